/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int files; /* made so far; one test program, one thread */

struct table *lines_table(const struct fixture *f, const char *type, const char *lines)
{
	char name[32], spec[200];
	struct ost_why why = { "" };
	snprintf(name, sizeof name, "lines%d", ++files);
	snprintf(spec, sizeof spec, "%s:%s", type, fixture_file(f, name, lines));
	struct table *t = table_open(f->view, spec, &why);
	assert_string_equal(why.text, "");
	return t;
}

void lines_expect(struct table *t, struct arena *a, const char *key, const char *value)
{
	struct lookup found;
	enum ost_found result = table_lookup(t, a, key, strlen(key), &found);
	if (result != (value ? OST_FOUND : OST_NOTFOUND))
		fail_msg("%s: %d %s", key, result, found.why.text);
	if (value)
		assert_string_equal(found.value, value);
}

void lines_complained(const struct fixture *f, const char *type, const char *complaint)
{
	char text[400];
	snprintf(text, sizeof text, "warning: %s map %s/lines%d, %s", type, f->dir, files, complaint);
	if (!fixture_logged(f, text))
		fail_msg("not logged: %s", text);
}
