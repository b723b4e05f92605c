/* SPDX-License-Identifier: Apache-2.0
 * Tables made of tables, from the core's side: nesting, members that are broken and come back, versions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "module/enter.h"
#include "table/table.h"
#include "tests/support/group.h"

FIXTURE_GROUP("");

static enum ost_found ask(struct table *t, const char *key, const char *value)
{
	struct lookup found;
	enum ost_found result = table_lookup(t, a, key, strlen(key), &found);
	if (value) {
		assert_int_equal(result, OST_FOUND);
		assert_string_equal(found.value, value);
	}
	return result;
}

/* unionmap:{unionmap:{…static:a…}} with so many around it. */
static const char *nested(unsigned depth)
{
	const char *text = "static:a";
	for (unsigned i = 0; i < depth; i++)
		text = arena_printf(a, "unionmap:{%s}", text);
	return text;
}

static void nesting_has_a_bound(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	unsigned depth = 0;
	while (depth < 50) {
		struct table *t = table_open(fix.view, nested(depth), &why);
		if (why.text[0]) {
			assert_int_equal(ask(t, "k", NULL), OST_TEMPFAIL);
			break;
		}
		ask(t, "k", "a");
		depth++;
	}
	assert_non_null(strstr(why.text, ": tables that ask tables are nested too deep"));
	assert_int_equal(depth, MOD_DEPTH - 3);
	table_open(fix.view, nested(5000), &why); /* and one that is far beyond it */
	assert_string_not_equal(why.text, "");
}

/* With a module around it (a check that asks a list) there is room for what could be opened. */
static void what_was_opened_can_be_asked_from_within_modules(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	const struct mod_provider *p = mod_find(OST_KIND_TABLE, "static", &why);
	struct mod_instance *outer = mod_open(p, fix.view, "x", &why);
	struct table *t = table_open(fix.view, nested(MOD_DEPTH - 4), &why);
	assert_string_equal(why.text, "");
	mod_enter(outer, "check", mod_deadline(1));
	ask(t, "k", "a");
	mod_leave(outer);
	mod_close(&outer);
}

static void a_broken_member_comes_back(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	char path[128], spec[200];
	snprintf(path, sizeof path, "%s/later", fix.dir);
	snprintf(spec, sizeof spec, "unionmap:{static:a,texthash:%s}", path);
	struct table *t = table_open(fix.view, spec, &why);
	assert_non_null(strstr(why.text, "No such file or directory"));
	assert_int_equal(ask(t, "k", NULL), OST_TEMPFAIL);
	struct table *above = table_open(fix.view, arena_printf(a, "cache:debug:%s", spec), &why);
	assert_string_not_equal(why.text, "");
	fixture_file(&fix, "later", "k v\n");
	table_reopen_all();
	ask(t, "k", "a,v");
	ask(above, "k", "a,v");
	table_open(fix.view, spec, &why);
	assert_string_equal(why.text, "");
}

/* A member whose kind changes (it could not be opened at first) changes what is made of it. */
static void flags_follow_a_member_that_comes_back(void **state)
{
	(void)state;
	char path[128];
	snprintf(path, sizeof path, "%s/patterns-later", fix.dir);
	struct table *t =
		table_open(fix.view, arena_printf(a, "debug:regexp:%s", path), &(struct ost_why){ "" });
	assert_int_equal(table_flags(t) & OST_TABLE_WHOLE_KEYS, 0);
	fixture_file(&fix, "patterns-later", "/^a/ b\n");
	table_reopen_all();
	assert_int_equal(table_flags(t) & OST_TABLE_WHOLE_KEYS, OST_TABLE_WHOLE_KEYS);
	ask(t, "abc", "b");
}

static void a_change_raises_the_versions_above_and_no_others(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	const char *changed = arena_strdup(a, fixture_file(&fix, "one", "k 1\n"));
	const char *same = arena_strdup(a, fixture_file(&fix, "two", "k 2\n"));
	struct table *member = table_open(fix.view, arena_printf(a, "texthash:%s", changed), &why);
	struct table *other = table_open(fix.view, arena_printf(a, "debug:texthash:%s", same), &why);
	struct table *above = table_open(
		fix.view, arena_printf(a, "unionmap:{texthash:%s,texthash:%s}", changed, same), &why);
	struct table *top = table_open(
		fix.view, arena_printf(a, "cache:{ttl=1h}:unionmap:{texthash:%s,texthash:%s}", changed, same),
		&why);
	uint64_t versions[4] = { table_version(member), table_version(above), table_version(top),
				 table_version(other) };
	ask(top, "k", "1,2");
	fixture_file(&fix, "one", "k 11\n");
	table_reopen_all();
	assert_int_not_equal(table_version(member), versions[0]);
	assert_int_not_equal(table_version(above), versions[1]);
	assert_int_not_equal(table_version(top), versions[2]);
	assert_int_equal(table_version(other), versions[3]);
	ask(top, "k", "11,2");
	uint64_t now = table_version(top);
	table_reopen_all(); /* nothing has changed */
	assert_int_equal(table_version(top), now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nesting_has_a_bound),
		cmocka_unit_test(what_was_opened_can_be_asked_from_within_modules),
		cmocka_unit_test(a_broken_member_comes_back),
		cmocka_unit_test(flags_follow_a_member_that_comes_back),
		cmocka_unit_test(a_change_raises_the_versions_above_and_no_others),
	};
	return cmocka_run_group_tests_name("tables made of tables", tests, setup, teardown);
}
