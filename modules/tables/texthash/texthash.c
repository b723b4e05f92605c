/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `texthash`: a text file, read into memory when the table is opened and again when it has changed. */
#include <stdlib.h>

#include "ostler/host.h"
#include "shared/textmap.h"

static const struct ost_host *host;

static bool texthash_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

static bool texthash_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	*self = textmap_load(host, instance, host->instance_name(instance), false, why);
	return *self != NULL;
}

static void texthash_close(void *self)
{
	textmap_free(self);
}

static enum ost_found texthash_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	return textmap_lookup(host, self, query, answer);
}

static enum ost_found texthash_walk(void *self, struct ost_cursor **cursor, struct ost_answer *key, struct ost_answer *value)
{
	return textmap_walk(host, self, cursor, key, value);
}

static void texthash_cursor_free(void *self, struct ost_cursor *cursor)
{
	(void)self;
	free(cursor);
}

static const struct ost_table_ops texthash_ops = {
	.ops = {
		.size = sizeof texthash_ops,
		.flags = OST_TABLE_IMMEDIATE,
		.open = texthash_open,
		.close = texthash_close,
	},
	.lookup = texthash_lookup,
	.walk = texthash_walk,
	.cursor_free = texthash_cursor_free,
};

static const struct ost_provide texthash_provides[] = {
	{ OST_KIND_TABLE, "texthash", &texthash_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(texthash, .version = "1.0", .summary = "text files that need no index", .license = "Apache-2.0",
	   .provides = texthash_provides, .load = texthash_load);
