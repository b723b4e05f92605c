/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `static`: one value for every key, static:value or static:{ value with spaces }. */
#include <stdlib.h>
#include <string.h>

#include "ostler/host.h"
#include "shared/braces.h"

static const struct ost_host *host;

static bool static_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

static bool static_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	const char *name = host->instance_name(instance);
	if (!*name)
		return host->why(why, "open dictionary: expecting \"type:name\" form instead of \"static:\"");
	*self = *name == '{' ? braces_content(name) : strdup(name);
	return *self || host->why(why, "bad static:name syntax: %s '}' in \"%s\"",
				  braces_length(name) ? "syntax error after" : "missing", name);
}

static void static_close(void *self)
{
	free(self);
}

static enum ost_found static_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	(void)query;
	host->answer(answer, self, strlen(self));
	return OST_FOUND;
}

static const struct ost_table_ops static_ops = {
	.ops = {
		.size = sizeof static_ops,
		.flags = OST_TABLE_IMMEDIATE,
		.open = static_open,
		.close = static_close,
	},
	.lookup = static_lookup,
};

static const struct ost_provide static_provides[] = {
	{ OST_KIND_TABLE, "static", &static_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(static, .version = "1.0", .summary = "one value for every key", .license = "Apache-2.0",
	   .provides = static_provides, .load = static_load);
