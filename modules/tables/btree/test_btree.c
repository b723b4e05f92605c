/* SPDX-License-Identifier: Apache-2.0
 * btree: what stands in for a file that Postfix has left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "module/module.h"
#include "ostler/host.h"
#include "table/table.h"
#include "tests/contract/index.h"
#define INDEXED_TYPE "btree"
#include "tests/support/indexed.h"

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

static void the_text_stands_in_until_there_is_an_index(void **state)
{
	(void)state;
	static const char *const entries[] = { "key=from the index", NULL };
	char db[160], expected[600];
	fixture_file(&fix, "left", "Key  value\nother two words\n");
	name_files("left");
	snprintf(db, sizeof db, "%s.db", path);
	write_berkeley(db, 0x00053162);
	expect("key", "value");
	expect("other", "two words");
	expect("none", NULL);
	snprintf(expected, sizeof expected,
		 "%s is a Berkeley DB file, which is not read: the text file %s is used", db, path);
	assert_true(fixture_logged(&fix, expected));
	snprintf(expected, sizeof expected, "run \"postmap btree:%s\"", path);
	assert_true(fixture_logged(&fix, expected));
	assert_int_equal(index_build(ops(), path, entries, 0), 0);
	table_reopen_all();
	expect("key", "from the index");
	assert_int_equal(access(db, F_OK), 0); /* Postfix's file is not touched */
}

static void without_an_index_it_is_no_empty_table(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	char expected[600];
	name_files("missing");
	table_open(fix.view, spec, &why);
	snprintf(expected, sizeof expected, "open database %s.lmdb: No such file or directory", path);
	assert_string_equal(why.text, expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_text_stands_in_until_there_is_an_index),
		cmocka_unit_test(without_an_index_it_is_no_empty_table),
	};
	return cmocka_run_group_tests_name("btree", tests, setup, teardown);
}
