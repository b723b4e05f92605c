/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `fail`: every lookup answers "try again later". For tests, and to hold mail back. */
#include <string.h>

#include "ostler/host.h"

static const struct ost_host *host;

static bool fail_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

static bool fail_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	*self = NULL;
	return *host->instance_name(instance) ||
	       host->why(why, "open dictionary: expecting \"type:name\" form instead of \"fail:\"");
}

static enum ost_found fail_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	(void)self;
	(void)query;
	host->answer_why(answer, "this table fails always");
	return OST_TEMPFAIL;
}

static const struct ost_table_ops fail_ops = {
	.ops = {
		.size = sizeof fail_ops,
		.flags = OST_TABLE_IMMEDIATE | OST_TABLE_WHOLE_KEYS,
		.open = fail_open,
	},
	.lookup = fail_lookup,
};

static const struct ost_provide fail_provides[] = {
	{ OST_KIND_TABLE, "fail", &fail_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(fail, .version = "1.0", .summary = "every lookup fails for now", .license = "Apache-2.0",
	   .provides = fail_provides, .load = fail_load);
