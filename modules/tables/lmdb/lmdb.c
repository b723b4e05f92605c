/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `lmdb`: NAME.lmdb beside the text file NAME, as Postfix's own, or a cache. */
#include "ostler/host.h"
#include "shared/lmdb_table.h"
#include "shared/lmdb_write.h"

static const struct index_type type = { .name = "lmdb", .suffix = ".lmdb" };
static const struct ost_host *host;

static bool lmdb_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

static bool lmdb_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	*self = lmdb_table_open(host, instance, &type, false, why);
	return *self != NULL;
}

static bool lmdb_make(struct ost_source *source, struct ost_why *why)
{
	return lmdb_build(host, source, why);
}

static const struct ost_table_ops lmdb_ops = {
	.ops = {
		.size = sizeof lmdb_ops,
		.flags = OST_TABLE_IMMEDIATE,
		.open = lmdb_open,
		.close = lmdb_table_close,
	},
	.lookup = lmdb_table_lookup,
	.update = lmdb_table_update,
	.remove = lmdb_table_remove,
	.walk = lmdb_table_walk,
	.cursor_free = lmdb_table_cursor_free,
	.build = lmdb_make,
	.suffix = ".lmdb",
};

static const struct ost_provide lmdb_provides[] = {
	{ OST_KIND_TABLE, "lmdb", &lmdb_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(lmdb, .version = "1.0", .summary = "indexed files and caches of LMDB", .license = "Apache-2.0",
	   .provides = lmdb_provides, .load = lmdb_load);
