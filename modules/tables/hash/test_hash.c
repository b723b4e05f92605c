/* SPDX-License-Identifier: Apache-2.0
 * hash: building, duplicates, old and foreign index files. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "module/module.h"
#include "ostler/host.h"
#include "table/table.h"
#include "tests/contract/index.h"
#define INDEXED_TYPE "hash"
#include "tests/support/indexed.h"

static void the_first_of_two_equal_keys_stays(void **state)
{
	(void)state;
	static const char *const entries[] = { "a=1", "b=2", "a=3", NULL };
	name_files("first");
	assert_int_equal(index_build(ops(), path, entries, 0), 1);
	expect("a", "1");
	name_files("ignored");
	assert_int_equal(index_build(ops(), path, entries, OST_BUILD_IGNORE), 0);
	expect("a", "1");
	name_files("replaced");
	assert_int_equal(index_build(ops(), path, entries, OST_BUILD_REPLACE), 0);
	expect("a", "3");
	expect("b", "2");
	expect("c", NULL);
}

static void an_empty_table_is_a_table(void **state)
{
	(void)state;
	static const char *const entries[] = { NULL };
	name_files("empty");
	assert_int_equal(index_build(ops(), path, entries, 0), 0);
	expect("a", NULL);
}

static void a_missing_index_is_no_empty_table(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	char expected[600];
	name_files("missing");
	table_open(fix.view, spec, &why);
	snprintf(expected, sizeof expected, "open database %s.db: No such file or directory", path);
	assert_string_equal(why.text, expected);
}

static void set_age(const char *file, int seconds)
{
	struct timespec times[2] = { { .tv_sec = time(NULL) - seconds }, { .tv_sec = time(NULL) - seconds } };
	assert_int_equal(utimensat(AT_FDCWD, file, times, 0), 0);
}

static void an_index_that_is_older_than_its_source_is_used_with_a_warning(void **state)
{
	(void)state;
	static const char *const entries[] = { "a=1", NULL };
	char db[160], expected[600];
	name_files("aged");
	snprintf(db, sizeof db, "%s.db", path);
	assert_int_equal(index_build(ops(), path, entries, 0), 0);
	set_age(db, 1000);
	set_age(fixture_file(&fix, "aged", "a 2\n"), 500);
	expect("a", "1");
	snprintf(expected, sizeof expected, "warning: database %s is older than source file %s", db, path);
	assert_true(fixture_logged(&fix, expected));
	name_files("fresh");
	snprintf(db, sizeof db, "%s.db", path);
	assert_int_equal(index_build(ops(), path, entries, 0), 0);
	set_age(db, 1000);
	set_age(fixture_file(&fix, "fresh", "a 2\n"), 5); /* postmap may be running */
	expect("a", "1");
	snprintf(expected, sizeof expected, "database %s is older", db);
	assert_false(fixture_logged(&fix, expected));
}

/* The first bytes of a Berkeley DB hash file: its magic number stands at byte 12. */
static void write_berkeley(const char *file, uint32_t magic)
{
	unsigned char bytes[4096] = { 0 };
	memcpy(bytes + 12, &magic, sizeof magic);
	FILE *f = fopen(file, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, sizeof bytes, f), sizeof bytes);
	fclose(f);
}

static void the_text_stands_in_for_a_berkeley_file(void **state)
{
	(void)state;
	static const uint32_t magics[] = { 0x00061561, 0x61150600, 0x00053162, 0x62310500 };
	char db[160], expected[600];
	for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) {
		char name[32];
		snprintf(name, sizeof name, "berkeley%zu", i);
		fixture_file(&fix, name, "Key  value\nroot: admin, other\nbin:root\nexample.com smtp:[192.0.2.1]\n2001:db8::1 OK\n");
		name_files(name);
		snprintf(db, sizeof db, "%s.db", path);
		write_berkeley(db, magics[i]);
		expect("key", "value");
		expect("root", "admin, other"); /* as an alias file has it */
		expect("bin", "root");
		expect("example.com", "smtp:[192.0.2.1]");
		expect("2001:db8::1", "OK");
		expect("other", NULL);
		snprintf(expected, sizeof expected, "%s is a Berkeley DB file, which is not read: the text file %s is used", db,
			 path);
		assert_true(fixture_logged(&fix, expected));
	}
}

static void a_berkeley_file_without_its_text_is_named(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	char db[160];
	name_files("lonely");
	snprintf(db, sizeof db, "%s.db", path);
	write_berkeley(db, 0x00061561);
	table_open(fix.view, spec, &why);
	assert_non_null(strstr(why.text, "is a Berkeley DB file: run \"postmap hash:"));
}

static void damaged_files_never_say_not_found_for_certain_damage(void **state)
{
	(void)state;
	static const char *const entries[] = { "a=1", "b=2", NULL };
	struct ost_why why = { "" };
	char db[160];
	name_files("short");
	snprintf(db, sizeof db, "%s.db", path);
	assert_int_equal(index_build(ops(), path, entries, 0), 0);
	assert_int_equal(truncate(db, 1000), 0);
	table_open(fix.view, spec, &why);
	assert_non_null(strstr(why.text, "is not a constant database"));
	name_files("torn");
	snprintf(db, sizeof db, "%s.db", path);
	assert_int_equal(index_build(ops(), path, entries, 0), 0);
	assert_int_equal(truncate(db, 2048), 0); /* the head is there, and points beyond the end */
	struct lookup found;
	why.text[0] = '\0';
	struct table *t = table_open(fix.view, spec, &why);
	enum ost_found result = table_lookup(t, a, "a", 1, &found);
	assert_true(result == OST_TEMPFAIL || result == OST_BADTABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_of_two_equal_keys_stays),
		cmocka_unit_test(an_empty_table_is_a_table),
		cmocka_unit_test(a_missing_index_is_no_empty_table),
		cmocka_unit_test(an_index_that_is_older_than_its_source_is_used_with_a_warning),
		cmocka_unit_test(the_text_stands_in_for_a_berkeley_file),
		cmocka_unit_test(a_berkeley_file_without_its_text_is_named),
		cmocka_unit_test(damaged_files_never_say_not_found_for_certain_damage),
	};
	return cmocka_run_group_tests_name("hash", tests, setup, teardown);
}
