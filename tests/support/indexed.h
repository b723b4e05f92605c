/* SPDX-License-Identifier: Apache-2.0
 * For tests of tables that have an index file: a fixture, one index after the other in it, and what it answers. Who includes this
 * defines INDEXED_TYPE, the type's name. */
#ifndef SUPPORT_INDEXED_H
#define SUPPORT_INDEXED_H

#include <stdio.h>
#include <string.h>

#include "module/module.h"
#include "ostler/host.h"
#include "table/table.h"
#include "tests/contract/index.h"
#include "tests/support/fixture.h"

static struct fixture fix;
static struct arena *a;
static char path[128], spec[160];

static int setup(void **state)
{
	(void)state;
	fixture_open(&fix, "", NULL);
	fixture_log(&fix);
	a = arena_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_destroy(&a);
	fixture_close(&fix);
	return 0;
}

static const struct ost_table_ops *ops(void)
{
	struct ost_why why;
	const struct mod_provider *p = mod_find(OST_KIND_TABLE, INDEXED_TYPE, &why);
	assert_non_null(p);
	return (const struct ost_table_ops *)p->ops;
}

static void name_files(const char *name)
{
	snprintf(path, sizeof path, "%s/%s", fix.dir, name);
	snprintf(spec, sizeof spec, INDEXED_TYPE ":%s", path);
}

static void expect(const char *key, const char *value)
{
	struct ost_why why = { "" };
	struct lookup found;
	struct table *t = table_open(fix.view, spec, &why);
	assert_string_equal(why.text, "");
	assert_int_equal(table_lookup(t, a, key, strlen(key), &found), value ? OST_FOUND : OST_NOTFOUND);
	if (value)
		assert_string_equal(found.value, value);
}

#endif
