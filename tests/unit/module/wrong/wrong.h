/* SPDX-License-Identifier: Apache-2.0
 * The smallest table, for modules that are wrong in one way each. */
#ifndef WRONG_H
#define WRONG_H

#include "ostler/host.h"

static enum ost_found wrong_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	(void)self;
	(void)query;
	(void)answer;
	return OST_NOTFOUND;
}

/* A descriptor with its symbol, all members given: OST_MODULE() would not let them be wrong. */
#define WRONG_MODULE(modname, ...)                                                                                   \
	extern const struct ost_module modname##_LTX_ost_module;                                                     \
	__attribute__((visibility("default"))) const struct ost_module modname##_LTX_ost_module = { __VA_ARGS__ }

#define WRONG_TABLE(modname)                                                                                         \
	static const struct ost_table_ops ops = { .ops = { .size = sizeof ops }, .lookup = wrong_lookup };           \
	static const struct ost_provide provides[] = { { OST_KIND_TABLE, #modname, &ops.ops },                       \
						       { OST_KIND_END, NULL, NULL } }

#define WRONG_HEAD(modname)                                                                                          \
	.magic = OST_MAGIC, .abi_major = OST_ABI_MAJOR, .abi_minor = OST_ABI_MINOR, .size = sizeof(struct ost_module), \
	.name = #modname, .version = "1", .summary = "wrong on purpose", .license = "Apache-2.0", .provides = provides

#endif
