/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "config/dict.h"
#include "config/edit.h"
#include "config/lines.h"
#include "config/value.h"

static void logical_lines(void **state)
{
	static const char text[] = "  orphan\n more\n\n# comment\nname = \n\tone,\n   # inner comment\n\n  "
				   "two  \r\nnext = 1\n \nlast";
	static const struct {
		const char *text;
		int line;
		bool orphan;
	} wanted[] = {
		{ "  orphan more", 1, true },
		{ "name = \tone,  two", 5, false },
		{ "next = 1", 10, false },
		{ "last", 12, false },
	};
	struct lines lines;
	struct logical_line line;
	size_t n = 0;
	lines_open(&lines, text, sizeof text - 1);
	for (; lines_next(&lines, &line); n++) {
		assert_true(n < sizeof wanted / sizeof *wanted);
		assert_string_equal(line.text, wanted[n].text);
		assert_int_equal(line.line, wanted[n].line);
		assert_int_equal(line.orphan, wanted[n].orphan);
	}
	assert_int_equal(n, sizeof wanted / sizeof *wanted);
	lines_close(&lines);
}

static void no_lines(void **state)
{
	struct lines lines;
	struct logical_line line;
	lines_open(&lines, "\n#x\n  \n", 7);
	assert_false(lines_next(&lines, &line));
	lines_close(&lines);
}

static void lists(void **state)
{
	static const struct {
		const char *text;
		const char *items[6];
	} cases[] = {
		{ "", { NULL } },
		{ " , \t\n", { NULL } },
		{ "a, b\tc,,d", { "a", "b", "c", "d", NULL } },
		{ "check_x { inet:h:1, timeout = 5s } permit",
		  { "check_x", "inet:h:1, timeout = 5s", "permit", NULL } },
		{ "inline:{a=b, c=d} x", { "inline:{a=b, c=d}", "x", NULL } },
		{ "{a}{b} {c}d", { "{a}{b}", "{c}d", NULL } },
		{ "{ {a b}, c }", { "{a b}, c", NULL } },
		{ "{} x", { "", "x", NULL } },
		{ "{open, x", { "{open, x", NULL } },
		{ "{ open {a}, x}", { "open {a}, x", NULL } },
		{ "{ open, {a} {b}", { "{ open, {a} {b}", NULL } },
		{ "a} b", { "a}", "b", NULL } },
	};
	struct arena *arena = arena_new();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char **list = cfg_split(arena, cases[i].text);
		size_t n = 0;
		for (; cases[i].items[n]; n++) {
			assert_non_null(list[n]);
			assert_string_equal(list[n], cases[i].items[n]);
		}
		assert_null(list[n]);
	}
	arena_destroy(&arena);
}

static void values(void **state)
{
	static const struct {
		enum cfg_type type;
		char unit;
		const char *text;
		bool ok;
		int64_t value;
	} cases[] = {
		{ CFG_INT, 0, "42", true, 42 },
		{ CFG_INT, 0, "-1", true, -1 },
		{ CFG_INT, 0, "", false, 0 },
		{ CFG_INT, 0, "1k", false, 0 },
		{ CFG_INT, 0, " 1", false, 0 },
		{ CFG_INT, 0, "99999999999999999999", false, 0 },
		{ CFG_SIZE, 0, "10240000", true, 10240000 },
		{ CFG_BOOL, 0, "yes", true, 1 },
		{ CFG_BOOL, 0, "No", true, 0 },
		{ CFG_BOOL, 0, "true", false, 0 },
		{ CFG_TIME, 's', "5", true, 5 * CLOCK_SECOND },
		{ CFG_TIME, 'd', "5", true, 5 * 86400 * CLOCK_SECOND },
		{ CFG_TIME, 's', "2m", true, 120 * CLOCK_SECOND },
		{ CFG_TIME, 's', "1h", true, 3600 * CLOCK_SECOND },
		{ CFG_TIME, 's', "1w", true, 604800 * CLOCK_SECOND },
		{ CFG_TIME, 's', "1W", true, 604800 * CLOCK_SECOND },
		{ CFG_TIME, 's', "5x", false, 0 },
		{ CFG_TIME, 's', "5ss", false, 0 },
		{ CFG_TIME, 's', "s", false, 0 },
		{ CFG_TIME, 'w', "9999999999999999", false, 0 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int64_t value = 0;
		struct ost_why why;
		bool ok = value_parse_type(cases[i].type, cases[i].unit, cases[i].text, &value, &why);
		if (ok != cases[i].ok || (ok && value != cases[i].value))
			fail_msg("\"%s\": %d, %lld", cases[i].text, ok, (long long)value);
	}
}

static void value_bounds(void **state)
{
	const struct param p = { .name = "x", .type = CFG_TIME, .defval = "5d", .min = 1, .max = 100 };
	int64_t value;
	struct ost_why why;
	assert_true(value_parse(&p, 's', "100", &value, &why));
	assert_false(value_parse(&p, 's', "0", &value, &why));
	assert_non_null(strstr(why.text, "too small (at least 1s)"));
	assert_false(value_parse(&p, 'd', "1", &value, &why));
	assert_non_null(strstr(why.text, "too large (at most 100s)"));
	assert_int_equal(value_unit("5d"), 'd');
	assert_int_equal(value_unit("${stress?{10}:{300}}s"), 's');
	assert_int_equal(value_unit("$default_destination_rate_delay"), 's');
	assert_int_equal(value_unit(""), 's');
}

static void nearest_names(void **state)
{
	assert_string_equal(param_nearest("smptd_banner"), "smtpd_banner");
	assert_string_equal(param_nearest("mydestinations"), "mydestination");
	assert_string_equal(param_nearest("virtual_alias_map"), "virtual_alias_maps");
	assert_null(param_nearest("something_of_my_own"));
	assert_null(param_nearest("x"));
}

static void dictionary(void **state)
{
	struct arena *arena = arena_new();
	struct dict *d = dict_new(arena);
	const struct dict_entry *const *list;
	for (int i = 0; i < 1000; i++)
		assert_null(dict_set(d, arena_printf(arena, "name%d", i), arena_printf(arena, "%d", i), "w"));
	assert_string_equal(dict_set(d, "name7", "new", "w2"), "7");
	assert_string_equal(dict_get(d, "name7")->value, "new");
	assert_string_equal(dict_get(d, "name999")->value, "999");
	assert_null(dict_get(d, "name1000"));
	assert_null(dict_get(NULL, "name1"));
	assert_int_equal(dict_list(d, DICT_BY_NAME, &list, arena), 1000);
	assert_string_equal(list[0]->name, "name0");
	assert_string_equal(list[2]->name, "name10");
	dict_list(d, DICT_AS_SET, &list, arena);
	assert_string_equal(list[2]->name, "name2");
	assert_string_equal(list[999]->name, "name7");
	arena_destroy(&arena);
}

/* Edits and compares. */
static void expect_edit(enum edit_action action, const char *request, const char *before, const char *after)
{
	struct buf out = BUF_INIT;
	struct ost_why why = { "" };
	struct arena *arena = arena_new();
	struct edit_request r;
	assert_true(edit_requests_read(arena, action, &request, 1, &r, &why));
	edit_main_cf(before, strlen(before), action, &r, 1, &out);
	assert_string_equal(buf_str(&out), after);
	arena_destroy(&arena);
	buf_free(&out);
}

static void edits(void **state)
{
	static const char file[] = "# top\na = 1\n  2\n# in\n  3\n\nb=4\na=5";
	expect_edit(EDIT_SET, "a= x  y", file, "# top\na = x  y\n# in\n\nb=4\na = x  y\n");
	expect_edit(EDIT_SET, "c=", "b=4", "b=4\nc = \n");
	expect_edit(EDIT_COMMENT, "a", file, "# top\n#a = 1\n#  2\n# in\n#  3\n\nb=4\n#a=5\n");
	expect_edit(EDIT_REMOVE, "b", file, "# top\na = 1\n  2\n# in\n  3\n\na=5\n");
	expect_edit(EDIT_REMOVE, "ab", file, "# top\na = 1\n  2\n# in\n  3\n\nb=4\na=5\n");
}

static void bad_edits(void **state)
{
	static const struct {
		enum edit_action action;
		const char *request;
	} cases[] = {
		{ EDIT_SET, "a" },        { EDIT_SET, "=x" },   { EDIT_SET, "a b=1" },
		{ EDIT_SET, "a=1\nb=2" }, { EDIT_SET, "#a=1" }, { EDIT_REMOVE, "#a" },
		{ EDIT_COMMENT, "a\nb" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena *arena = arena_new();
		struct edit_request r;
		struct ost_why why;
		assert_false(edit_requests_read(arena, cases[i].action, &cases[i].request, 1, &r, &why));
		arena_destroy(&arena);
	}
}

/* The last request for a name counts, and every place of a name is changed. */
static void several_edits(void **state)
{
	static const char *const requests[] = { "a=1", "b=2", "a=3" };
	static const char before[] = "a=0\nc=0\na=9\n";
	struct arena *arena = arena_new();
	struct buf out = BUF_INIT;
	struct ost_why why;
	struct edit_request r[3];
	assert_true(edit_requests_read(arena, EDIT_SET, requests, 3, r, &why));
	assert_true(r[0].ignored && !r[1].ignored && !r[2].ignored);
	edit_main_cf(before, strlen(before), EDIT_SET, r, 3, &out);
	assert_string_equal(buf_str(&out), "a = 3\nc=0\na = 3\nb = 2\n");
	assert_int_equal(r[2].matches, 2);
	buf_free(&out);
	arena_destroy(&arena);
}

/* Edits master.cf and compares; after NULL: refused. */
static void expect_master(enum edit_level level, enum edit_action action, const char *request,
			  const char *before, const char *after)
{
	struct buf out = BUF_INIT;
	struct ost_why why = { "" };
	struct arena *arena = arena_new();
	struct edit_master_request r;
	bool ok = edit_master_requests_read(arena, level, action, &request, 1, &r, &why) &&
		  edit_master_cf(before, strlen(before), level, action, &r, 1, true, &out, &why);
	assert_int_equal(ok, after != NULL);
	if (after)
		assert_string_equal(buf_str(&out), after);
	else
		assert_string_not_equal(why.text, "");
	arena_destroy(&arena);
	buf_free(&out);
}

static void master_edits(void **state)
{
	static const char file[] = "# top\na inet n - n - - smtpd\n  -o x=1 -o y=2\n# in\n  -o z={q}\nb unix "
				   "- - n - - pipe argv=a\n# end";
	expect_master(EDIT_ENTRY, EDIT_COMMENT, "a/inet", "a inet n - n - - smtpd\n# c\n  -v\n",
		      "#a inet n - n - - smtpd\n# c\n#  -v\n");
	expect_master(EDIT_ENTRY, EDIT_REMOVE, "b/unix", file,
		      "# top\na inet n - n - - smtpd\n  -o x=1 -o y=2\n# in\n  -o z={q}\n# end\n");
	expect_master(EDIT_ENTRY, EDIT_SET, "c/unix=c unix - - n - - smtp -o a=b", "# x\n",
		      "# x\nc          unix  -       -       n       -       -       smtp\n    -o a=b\n");
	expect_master(EDIT_FIELD, EDIT_SET, "a/inet/chroot=y", file,
		      "# top\n# in\na          inet  n       -       y       -       -       smtpd\n"
		      "    -o x=1\n    -o y=2\n    -o z={q}\nb unix - - n - - pipe argv=a\n# end\n");
	expect_master(
		EDIT_OPTION, EDIT_REMOVE, "*/*/y", "a inet n - n - - smtpd -o y=2 -o { x = 1 2 } rest\n",
		"a          inet  n       -       n       -       -       smtpd\n    -o {x=1 2}\n    rest\n");
	expect_master(
		EDIT_OPTION, EDIT_SET, "a/inet/n=v", "a inet n - n - - smtpd rest\n",
		"a          inet  n       -       n       -       -       smtpd\n    -o n=v\n    rest\n");
	expect_master(EDIT_FIELD, EDIT_SET, "a/inet/chroot=q", file, NULL);
	expect_master(EDIT_FIELD, EDIT_SET, "a/inet/nosuch=y", file, NULL);
	expect_master(EDIT_FIELD, EDIT_SET, "a/inet/command=", file, NULL);
	expect_master(EDIT_OPTION, EDIT_SET, "a/inet/x=1 2", file, NULL);
	expect_master(EDIT_ENTRY, EDIT_SET, "a=x", file, NULL);
	expect_master(EDIT_ENTRY, EDIT_SET, "a/inet=a inet n", file, NULL);
}

static void master_lines(void **state)
{
	static const char *const bad[] = { "",
					   "a inet n - - - -",
					   "a inet q - - - - smtpd",
					   "a tcp n - - - - smtpd",
					   "a inet n - - 5x - smtpd",
					   "a inet n - - - 5? smtpd",
					   "{a b} inet n - - - - smtpd" };
	struct arena *arena = arena_new();
	struct master_entry e;
	struct ost_why why;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(master_entry_read(arena, bad[i], &e, &why));
	assert_true(
		master_entry_read(arena, "a inet n y n 5? 0 smtpd -vo a=b -oc=d -D {x y} -o e=f", &e, &why));
	assert_int_equal(e.options, 6);
	assert_int_equal(e.count, 9);
	assert_string_equal(e.words[6], "x y");
	assert_null(e.warning);
	assert_true(master_entry_read(arena, "a inet n y n 5? 0 smtpd -o { a = b", &e, &why));
	assert_non_null(e.warning);
	assert_string_equal(e.words[1], "a=b");
	arena_destroy(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logical_lines), cmocka_unit_test(no_lines),
		cmocka_unit_test(lists),         cmocka_unit_test(values),
		cmocka_unit_test(value_bounds),  cmocka_unit_test(nearest_names),
		cmocka_unit_test(dictionary),    cmocka_unit_test(edits),
		cmocka_unit_test(bad_edits),     cmocka_unit_test(several_edits),
		cmocka_unit_test(master_edits),  cmocka_unit_test(master_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
