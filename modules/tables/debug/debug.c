/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `debug`: debug:type:name logs each question to another table, and what it answers. */
#include <stdlib.h>
#include <string.h>

#include "ostler/host.h"

static const struct ost_host *host;

struct watched_table {
	struct ost_instance *instance;
	struct ost_table *table; /* the core's */
	const char *name;        /* "hash:/etc/x" */
};

static bool debug_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

static bool debug_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	const char *name = host->instance_name(instance);
	struct ost_why inner = { "" };
	if (!strchr(name, ':'))
		return host->why(why, "open dictionary: expecting \"type:name\" form instead of \"%s\"",
				 *name ? name : "debug:");
	struct ost_table *table = host->table_open(instance, name, &inner);
	if (!table || inner.text[0])
		return host->why(why, "%s", inner.text);
	struct watched_table *w = malloc(sizeof *w);
	if (!w)
		return host->why(why, "out of memory");
	*w = (struct watched_table){ instance, table, name };
	host->set_table_flags(instance, host->table_flags(table));
	*self = w;
	return true;
}

static void debug_close(void *self)
{
	free(self);
}

static enum ost_found debug_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	const struct watched_table *w = self;
	enum ost_found result = host->table_ask(w->table, query, answer);
	size_t len = 0;
	const char *value = result == OST_FOUND ? host->answer_value(answer, &len) : NULL;
	host->log(w->instance, OST_LOG_INFO, "%s lookup: \"%s\" = \"%s\"", w->name, query->key,
		  value                    ? value
		  : result == OST_NOTFOUND ? "not_found"
					   : "error");
	return result;
}

static const struct ost_table_ops debug_ops = {
	.ops = {
		.size = sizeof debug_ops,
		.open = debug_open,
		.close = debug_close,
	},
	.lookup = debug_lookup,
};

static const struct ost_provide debug_provides[] = {
	{ OST_KIND_TABLE, "debug", &debug_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(debug, .version = "1.0", .summary = "logs what another table is asked, and what it answers",
	   .license = "Apache-2.0", .provides = debug_provides, .load = debug_load);
