/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `cdb`: NAME.cdb beside the text file NAME, as Postfix's own. As there it can be made and
 * asked, and neither listed nor changed. */
#include "ostler/host.h"
#include "shared/constdb.h"

static const struct index_type type = { .name = "cdb", .suffix = ".cdb" };
static const struct ost_host *host;

static bool cdb_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

static bool cdb_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	*self = constdb_open(host, instance, &type, false, why);
	return *self != NULL;
}

static bool cdb_build(struct ost_source *source, struct ost_why *why)
{
	return constdb_build(host, source, why);
}

static const struct ost_table_ops cdb_ops = {
	.ops = {
		.size = sizeof cdb_ops,
		.flags = OST_TABLE_IMMEDIATE,
		.open = cdb_open,
		.close = constdb_close,
	},
	.lookup = constdb_lookup,
	.build = cdb_build,
	.suffix = ".cdb",
};

static const struct ost_provide cdb_provides[] = {
	{ OST_KIND_TABLE, "cdb", &cdb_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(cdb, .version = "1.1", .summary = "indexed files in cdb format, as Postfix makes them",
	   .license = "Apache-2.0", .provides = cdb_provides, .load = cdb_load);
