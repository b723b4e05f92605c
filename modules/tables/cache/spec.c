/* SPDX-License-Identifier: Apache-2.0 */
#include "spec.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/braces.h"

#define SECOND INT64_C(1000000)
#define DAY    (86400 * SECOND)

enum kind { KIND_TIME, KIND_COUNT };

static const struct item {
	const char *name;
	enum kind kind;
	size_t offset;
	int64_t preset, min, max;
} items[] = {
	{ "ttl", KIND_TIME, offsetof(struct cache_spec, ttl), 60 * SECOND, 0, 366 * DAY },
	{ "negative", KIND_TIME, offsetof(struct cache_spec, negative), 10 * SECOND, 0, 366 * DAY },
	{ "stale", KIND_TIME, offsetof(struct cache_spec, stale), 3600 * SECOND, 0, 366 * DAY },
	{ "size", KIND_COUNT, offsetof(struct cache_spec, size), 10000, 1, 10000000 },
};
enum { ITEMS = sizeof items / sizeof *items };

static const struct {
	char letter;
	int64_t time;
} units[] = { { 's', SECOND }, { 'm', 60 * SECOND }, { 'h', 3600 * SECOND }, { 'd', DAY }, { 'w', 7 * DAY } };

static bool flaw(char error[CACHE_SPEC_ERROR], const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool flaw(char error[CACHE_SPEC_ERROR], const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(error, CACHE_SPEC_ERROR, fmt, ap);
	va_end(ap);
	return false;
}

/* What a number is to be multiplied with, by what follows it; 0: rubbish. */
static int64_t unit_of(enum kind kind, const char *rest)
{
	if (kind == KIND_COUNT)
		return *rest == '\0';
	if (*rest == '\0')
		return SECOND;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (rest[0] == units[i].letter && rest[1] == '\0')
			return units[i].time;
	return 0;
}

static bool parse_value(const struct item *item, const char *text, int64_t *value)
{
	char *rest;
	if (*text < '0' || *text > '9') /* no sign, no white space */
		return false;
	errno = 0;
	long long n = strtoll(text, &rest, 10);
	int64_t unit = unit_of(item->kind, rest);
	if (errno || unit == 0 || n > item->max / unit)
		return false;
	*value = n * unit;
	return *value >= item->min;
}

/* "ttl=60s" */
static bool parse_item(struct cache_spec *spec, const char *text, char error[CACHE_SPEC_ERROR])
{
	size_t len = strcspn(text, "=");
	size_t i = 0;
	while (i < ITEMS && (strlen(items[i].name) != len || strncmp(items[i].name, text, len) != 0))
		i++;
	if (i == ITEMS || !text[len])
		return flaw(error, "\"%.40s\" is not one of ttl=time, negative=time, stale=time, size=number",
			    text);
	int64_t value;
	if (!parse_value(&items[i], text + len + 1, &value))
		return flaw(error, "bad value in \"%.40s\": need %s", text,
			    items[i].kind == KIND_TIME ? "a time of at most 366d (units: s, m, h, d, w)"
						       : "a number from 1 to 10000000");
	memcpy((char *)spec + items[i].offset, &value, sizeof value);
	return true;
}

static bool parse_items(struct cache_spec *spec, char *content, char error[CACHE_SPEC_ERROR])
{
	for (char *at = content, *item; (item = braces_item(&at));)
		if (!parse_item(spec, item, error))
			return false;
	return true;
}

bool cache_spec_parse(const char *text, struct cache_spec *spec, char error[CACHE_SPEC_ERROR])
{
	*spec = (struct cache_spec){ .table = text };
	for (size_t i = 0; i < ITEMS; i++)
		memcpy((char *)spec + items[i].offset, &items[i].preset, sizeof items[i].preset);
	if (*text == '{') {
		size_t len = braces_length(text);
		if (len == 0 || text[len] != ':')
			return flaw(error, "need \"cache:{name=value...}:type:name\"");
		char *content = strndup(text + 1, len - 2);
		bool ok = content ? parse_items(spec, content, error) : flaw(error, "out of memory");
		free(content);
		if (!ok)
			return false;
		spec->table = text + len + 1;
	}
	return strchr(spec->table, ':') ? true : flaw(error, "need \"cache:{name=value...}:type:name\"");
}
