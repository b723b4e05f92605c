/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `hash`: NAME.db beside the text file NAME, a constant database (cdb) made by postmap. While a file of Berkeley DB
 * that Postfix has left is in its place, the text is read. */
#include "ostler/host.h"
#include "shared/constdb.h"

static const struct index_type type = { .name = "hash", .suffix = ".db" };
static const struct ost_host *host;

static bool hash_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

static bool hash_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	*self = constdb_open(host, instance, &type, true, why);
	return *self != NULL;
}

static bool hash_build(struct ost_source *source, struct ost_why *why)
{
	return constdb_build(host, source, why);
}

static const struct ost_table_ops hash_ops = {
	.ops = {
		.size = sizeof hash_ops,
		.flags = OST_TABLE_IMMEDIATE,
		.open = hash_open,
		.close = constdb_close,
	},
	.lookup = constdb_lookup,
	.walk = constdb_walk,
	.cursor_free = constdb_cursor_free,
	.build = hash_build,
	.suffix = ".db",
};

static const struct ost_provide hash_provides[] = {
	{ OST_KIND_TABLE, "hash", &hash_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(hash, .version = "1.1", .summary = "indexed files: constant databases made by postmap",
	   .license = "Apache-2.0", .provides = hash_provides, .load = hash_load);
