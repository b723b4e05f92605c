/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `pipemap`: pipemap:{ type:name, type:name … }, each table is asked for what the one before
 * it answered. */
#include <stdlib.h>
#include <string.h>

#include "ostler/host.h"
#include "shared/members.h"

static const struct ost_host *host;

static bool pipemap_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

static bool pipemap_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	*self = members_open(host, instance, "pipemap", why);
	return *self != NULL;
}

static void pipemap_close(void *self)
{
	free(self);
}

static enum ost_found pipemap_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	const struct members *m = self;
	struct ost_query step = *query;
	enum ost_found result = OST_NOTFOUND;
	for (size_t i = 0; i < m->count; i++) {
		result = member_ask(host, m->list[i], &step, answer);
		if (result != OST_FOUND)
			return result;
		step.key = host->answer_value(answer, &step.klen); /* stays until this lookup returns */
	}
	return result;
}

static const struct ost_table_ops pipemap_ops = {
	.ops = {
		.size = sizeof pipemap_ops,
		.open = pipemap_open,
		.close = pipemap_close,
	},
	.lookup = pipemap_lookup,
};

static const struct ost_provide pipemap_provides[] = {
	{ OST_KIND_TABLE, "pipemap", &pipemap_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(pipemap, .version = "1.0",
	   .summary = "tables in a row: each is asked for what the one before answered",
	   .license = "Apache-2.0", .provides = pipemap_provides, .load = pipemap_load);
