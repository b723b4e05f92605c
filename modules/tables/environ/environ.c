/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `environ`: the environment variables of the process, as they were when the table was opened.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ostler/host.h"
#include "shared/textmap.h"

static const struct ost_host *host;

static bool environ_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

/* A copy: a library that changes the environment does not disturb who reads it. */
static bool copy_all(struct textmap *map)
{
	for (char **at = environ; at && *at; at++) {
		size_t len = strcspn(*at, "=");
		const char *value = (*at)[len] ? *at + len + 1 : NULL;
		if (value && textmap_put(map, *at, len, value, strlen(value), false) == TEXTMAP_NO_MEMORY)
			return false;
	}
	return true;
}

static bool environ_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	if (!*host->instance_name(instance))
		return host->why(why,
				 "open dictionary: expecting \"type:name\" form instead of \"environ:\"");
	struct textmap *map = textmap_new();
	if (map && copy_all(map)) {
		*self = map;
		return true;
	}
	textmap_free(map);
	return host->why(why, "out of memory");
}

static void environ_close(void *self)
{
	textmap_free(self);
}

static enum ost_found environ_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	return textmap_lookup(host, self, query, answer);
}

static const struct ost_table_ops environ_ops = {
	.ops = {
		.size = sizeof environ_ops,
		.flags = OST_TABLE_IMMEDIATE,
		.open = environ_open,
		.close = environ_close,
	},
	.lookup = environ_lookup,
};

static const struct ost_provide environ_provides[] = {
	{ OST_KIND_TABLE, "environ", &environ_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(environ, .version = "1.0", .summary = "environment variables of the process",
	   .license = "Apache-2.0", .provides = environ_provides, .load = environ_load);
