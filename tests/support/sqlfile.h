/* SPDX-License-Identifier: Apache-2.0
 * For tests of SQL tables without a server: what their file may say, and what is told when it is wrong. Who
 * includes this has FIXTURE_GROUP() before it, and defines SQLFILE_TYPE, the type's name. */
#ifndef SUPPORT_SQLFILE_H
#define SUPPORT_SQLFILE_H

#include <stdio.h>
#include <string.h>

#include "table/table.h"

static int files;

/* Opens the table of a file with these lines; "" or what is wrong. */
static const char *opened(const char *lines, char text[300])
{
	char name[32], spec[300];
	struct ost_why why = { "" };
	snprintf(name, sizeof name, "db%d.cf", ++files);
	snprintf(spec, sizeof spec, SQLFILE_TYPE ":%s", fixture_file(&fix, name, lines));
	table_open(fix.view, spec, &why);
	snprintf(text, 300, "%s", why.text);
	return text;
}

static void expect_good(const char *const *files_lines, size_t n)
{
	char text[300];
	for (size_t i = 0; i < n; i++)
		assert_string_equal(opened(files_lines[i], text), "");
}

struct sqlfile_bad {
	const char *lines, *text; /* a part of what is told */
};

static void expect_told(const struct sqlfile_bad *bad, size_t n)
{
	char text[300];
	for (size_t i = 0; i < n; i++)
		if (!strstr(opened(bad[i].lines, text), bad[i].text))
			fail_msg("%s: %s", bad[i].lines, text);
}

/* Keys that are outside of what the file speaks of are not asked for: nobody is there who could be. */
static void keys_that_are_not_asked_for(void **state)
{
	(void)state;
	char spec[300];
	struct ost_why why = { "" };
	struct lookup found;
	static const struct {
		const char *key;
		size_t len;
	} keys[] = { { "plain", 5 }, { "@example.com", 12 },     { "joe@example.org", 15 }, { "joe@com", 7 },
		     { "", 0 },      { "a\0b@example.com", 15 }, { "\xff@example.com", 13 } };
	snprintf(spec, sizeof spec, SQLFILE_TYPE ":%s",
		 fixture_file(&fix, "few.cf",
			      "dbname = x\nhosts = unix:/nonexistent\nquery = SELECT '%2'\ndomain = "
			      "example.com, com\n"));
	struct table *t = table_open(fix.view, spec, &why);
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		assert_int_equal(table_lookup(t, a, keys[i].key, keys[i].len, &found), OST_NOTFOUND);
	assert_int_equal(table_lookup(t, a, "joe@example.com", 15, &found), OST_TEMPFAIL);
	assert_non_null(strstr(found.why.text, "unix:/nonexistent: connect to " SQLFILE_TYPE " server: "));
}

#endif
