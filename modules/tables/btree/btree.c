/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `btree`: files of LMDB like those of `lmdb`, NAME.lmdb. While there is only a NAME.db of
 * Berkeley DB that Postfix has left, the text is read. */
#include "ostler/host.h"
#include "shared/lmdb_table.h"
#include "shared/lmdb_write.h"

static const struct index_type type = { .name = "btree", .suffix = ".lmdb" };
static const struct ost_host *host;

static bool btree_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

static bool btree_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	*self = lmdb_table_open(host, instance, &type, true, why);
	return *self != NULL;
}

static bool btree_make(struct ost_source *source, struct ost_why *why)
{
	return lmdb_build(host, source, why);
}

static const struct ost_table_ops btree_ops = {
	.ops = {
		.size = sizeof btree_ops,
		.flags = OST_TABLE_IMMEDIATE,
		.open = btree_open,
		.close = lmdb_table_close,
	},
	.lookup = lmdb_table_lookup,
	.update = lmdb_table_update,
	.remove = lmdb_table_remove,
	.walk = lmdb_table_walk,
	.cursor_free = lmdb_table_cursor_free,
	.build = btree_make,
	.suffix = ".lmdb",
};

static const struct ost_provide btree_provides[] = {
	{ OST_KIND_TABLE, "btree", &btree_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(btree, .version = "1.0", .summary = "indexed ordered files and caches, of LMDB",
	   .license = "Apache-2.0", .provides = btree_provides, .load = btree_load);
