/* SPDX-License-Identifier: Apache-2.0
 * Lists with braces: modules split them as the core does. The settings of a cache table: what is read is
 * within bounds, what is refused has a reason. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "config/view.h"
#include "modules/tables/cache/spec.h"
#include "shared/braces.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare_lists(const char *text)
{
	struct arena *a = arena_new();
	char *copy = mem_strdup(text), *at = copy, *item;
	const char **expected = cfg_split(a, text);
	while ((item = braces_item(&at)) != NULL) {
		braces_group(&item);
		if (!*expected || strcmp(*expected, item) != 0)
			abort();
		expected++;
	}
	if (*expected)
		abort();
	free(copy);
	arena_destroy(&a);
}

static void read_spec(const char *text)
{
	struct cache_spec spec;
	char error[CACHE_SPEC_ERROR] = "";
	const int64_t most = INT64_C(366) * 86400 * 1000000;
	if (!cache_spec_parse(text, &spec, error)) {
		if (!*error)
			abort();
		return;
	}
	if (spec.ttl < 0 || spec.ttl > most || spec.negative < 0 || spec.negative > most || spec.stale < 0 ||
	    spec.stale > most || spec.size < 1 || spec.size > 10000000 || !strchr(spec.table, ':'))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = mem_strndup((const char *)data, size), *content = braces_content(text);
	compare_lists(text);
	read_spec(text);
	if (content && (*text != '{' || strlen(content) > strlen(text) - 2))
		abort();
	free(content);
	free(text);
	return 0;
}
