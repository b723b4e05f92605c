/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/policy/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/braces.h"

static const char spaces[] = " \t\r\n";

/* "10s", "5m", "2h"; seconds without a unit. */
static bool parse_time(const char *text, int64_t least, int64_t *value)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = { { 's', 1 }, { '\0', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 } };
	enum { SECONDS_MAX = 100000000, SECOND = 1000000 };
	char *end;
	errno = 0;
	long long n = strtoll(text, &end, 10);
	if (end == text || errno || n < least || n > SECONDS_MAX || (*end && end[1]))
		return false;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (units[i].unit == *end) {
			*value = n * units[i].seconds * SECOND;
			return true;
		}
	}
	return false;
}

static bool parse_number(const char *text, int64_t least, int64_t *value)
{
	char *end;
	errno = 0;
	*value = strtoll(text, &end, 10);
	return end != text && !*end && errno == 0 && *value >= least && *value <= INT32_MAX;
}

static const struct attribute {
	const char *name;
	size_t text;                                                    /* offset of a text; else 0 and */
	bool (*parse)(const char *text, int64_t least, int64_t *value); /* with a number at */
	size_t number;
	int64_t least;
} attributes[] = {
	{ .name = "timeout", .parse = parse_time, .number = offsetof(struct policy_settings, timeout), .least = 1 },
	{ .name = "default_action", .text = offsetof(struct policy_settings, default_action) },
	{ .name = "policy_context", .text = offsetof(struct policy_settings, context) },
	{ .name = "max_idle", .parse = parse_time, .number = offsetof(struct policy_settings, max_idle), .least = 1 },
	{ .name = "max_ttl", .parse = parse_time, .number = offsetof(struct policy_settings, max_ttl), .least = 1 },
	{ .name = "request_limit", .parse = parse_number, .number = offsetof(struct policy_settings, request_limit) },
	{ .name = "try_limit", .parse = parse_number, .number = offsetof(struct policy_settings, try_limit), .least = 1 },
	{ .name = "retry_delay", .parse = parse_time, .number = offsetof(struct policy_settings, retry_delay), .least = 1 },
};

/* "name=value", with white space around both, in place. */
static bool parse_attribute(struct policy_settings *s, char *item, char *flaw, size_t size)
{
	char *value = strchr(item, '=');
	if (!value || value == item) {
		snprintf(flaw, size, "missing '=' after attribute name: \"%.60s\"", item);
		return false;
	}
	size_t len = (size_t)(value - item);
	while (len > 0 && strchr(spaces, item[len - 1]))
		len--;
	item[len] = '\0';
	value++;
	value += strspn(value, spaces);
	for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
		const struct attribute *a = &attributes[i];
		if (strcmp(a->name, item) != 0)
			continue;
		if (!a->parse)
			*(const char **)((char *)s + a->text) = value;
		else if (!a->parse(value, a->least, (int64_t *)((char *)s + a->number))) {
			snprintf(flaw, size, "bad value for attribute %s: \"%.60s\"", item, value);
			return false;
		}
		return true;
	}
	snprintf(flaw, size, "unknown attribute: \"%.60s\"", item);
	return false;
}

/* "unix:/path", "unix:private/name", "inet:host:port", "inet:[address]:port", "inet:port". */
static bool parse_server(struct policy_settings *s, const char *item, char *text)
{
	bool local = strncmp(item, "unix:", 5) == 0;
	if (!local && strncmp(item, "inet:", 5) != 0)
		return false;
	s->server = item + 5;
	s->host = text += 5;
	s->port = "";
	s->below_queue = local && *text != '/';
	if (local)
		return *text != '\0';
	char *colon = strrchr(text, ':');
	if (!colon) {
		s->host = "localhost";
		s->port = text;
		return *text != '\0' && *text != '[';
	}
	*colon = '\0';
	s->port = colon + 1;
	bool literal = *text == '[' && colon[-1] == ']' && colon - text > 2;
	return *text && *s->port && (literal || !strpbrk(text, ":[]"));
}

bool policy_settings_parse(struct policy_settings *s, const char *argument, char *flaw, size_t size)
{
	size_t room = strlen(argument) + 1;
	char *at = s->text = malloc(2 * room);
	if (!s->text) {
		snprintf(flaw, size, "out of memory");
		return false;
	}
	memcpy(s->text, argument, room);
	char *item = braces_item(&at);
	if (!item) {
		snprintf(flaw, size, "a policy server is missing");
		return false;
	}
	char *copy = memcpy(s->text + room, item, strlen(item) + 1); /* is taken apart, and item is for the log */
	if (!parse_server(s, item, copy)) {
		snprintf(flaw, size, "no policy server: \"%.60s\" (inet:host:port, unix:/path or unix:private/name)", item);
		return false;
	}
	while ((item = braces_item(&at)) != NULL) {
		if (*item == '{' && !braces_group(&item)) {
			snprintf(flaw, size, "braces that do not match: \"%.60s\"", item);
			return false;
		}
		if (!parse_attribute(s, item, flaw, size))
			return false;
	}
	return true;
}
