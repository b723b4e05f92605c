/* SPDX-License-Identifier: Apache-2.0
 * The parameter `domain`: of which domains keys are looked up. The host is the test's: one table, and files
 * in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "shared/domain_list.h"

struct ost_table {
	const char *has;
	bool fails;
};
static struct ost_table table = { .has = "in-table.test" }, broken = { .fails = true };
static const char *file_text;

static bool why(struct ost_why *w, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(w->text, sizeof w->text, fmt, ap);
	va_end(ap);
	return false;
}

static int file_open(struct ost_instance *instance, const char *path, const char *suffix, struct ost_why *w)
{
	(void)instance;
	(void)suffix;
	if (strcmp(path, "/list") != 0) {
		why(w, "open %s: No such file or directory", path);
		return -1;
	}
	int fd = memfd_create("list", MFD_CLOEXEC);
	assert_int_equal(write(fd, file_text, strlen(file_text)), strlen(file_text));
	return fd;
}

static struct ost_table *table_open(struct ost_instance *instance, const char *name, struct ost_why *w)
{
	(void)instance;
	bool good = strcmp(name, "good:x") == 0;
	why(w, "%s", good ? "" : "cannot be opened");
	return good ? &table : &broken;
}

static enum ost_found table_ask(struct ost_table *t, const struct ost_query *q, struct ost_answer *answer)
{
	(void)answer;
	if (t->fails)
		return OST_TEMPFAIL;
	return q->klen == strlen(t->has) && memcmp(q->key, t->has, q->klen) == 0 && q->deadline == 7;
}

static char logged[200];

static void log_line(struct ost_instance *instance, enum ost_level level, const char *fmt, ...)
{
	va_list ap;
	(void)instance;
	assert_int_equal(level, OST_LOG_WARNING);
	va_start(ap, fmt);
	vsnprintf(logged, sizeof logged, fmt, ap);
	va_end(ap);
}

static const struct ost_host host = { .size = sizeof host,
				      .why = why,
				      .log = log_line,
				      .file_open = file_open,
				      .table_open = table_open,
				      .table_ask = table_ask };

static enum ost_found ask(const char *domains, const char *key, size_t klen)
{
	struct domain_list *list;
	struct ost_why w = { "" };
	const struct expansion_needs none = { 0 };
	struct expansion_key k;
	assert_true(domain_list_open(&host, NULL, domains, &list, &w));
	assert_true(expansion_split(&none, key, klen, &k));
	enum ost_found found = domain_list_has(&host, list, &k, 7, NULL);
	domain_list_close(list);
	return found;
}

static void the_first_item_that_matches_decides(void **state)
{
	static const struct {
		const char *domains, *key;
		enum ost_found found;
	} cases[] = {
		{ "", "joe", OST_FOUND },
		{ " , ", "joe", OST_FOUND },
		{ "a.test", "joe@a.test", OST_FOUND },
		{ "a.test", "joe@A.Test", OST_FOUND },
		{ "A.TEST", "joe@a.test", OST_FOUND },
		{ "a.test", "joe@b.test", OST_NOTFOUND },
		{ "a.test", "joe@x.a.test", OST_NOTFOUND },
		{ "a.test, b.test", "joe@b.test", OST_FOUND },
		{ "a.test", "joe", OST_NOTFOUND },
		{ "a.test", "a.test", OST_NOTFOUND },
		{ "a.test", "@a.test", OST_NOTFOUND },
		{ "a.test", "joe@", OST_NOTFOUND },
		{ "!a.test b.test", "joe@a.test", OST_NOTFOUND },
		{ "!!a.test", "joe@a.test", OST_FOUND },
		{ "!a.test,a.test", "joe@a.test", OST_NOTFOUND },
		{ "good:x", "joe@in-table.test", OST_FOUND },
		{ "good:x", "joe@In-Table.test", OST_FOUND },
		{ "good:x", "joe@other.test", OST_NOTFOUND },
		{ "!good:x in-table.test", "joe@in-table.test", OST_NOTFOUND },
		{ "bad:x", "joe@a.test", OST_TEMPFAIL },
		{ "a.test bad:x", "joe@a.test", OST_FOUND },
		{ "/list", "joe@f1.test", OST_FOUND },
		{ "/list", "joe@f2.test", OST_NOTFOUND },
		{ "/list", "joe@f3.test", OST_FOUND },
		{ "/list", "joe@f4.test", OST_FOUND },
		{ "/list", "joe@in-table.test", OST_FOUND },
		{ "!/list,f5.test", "joe@f2.test", OST_FOUND },
		{ "!/list,f5.test", "joe@f1.test", OST_NOTFOUND },
		{ "!/list,f5.test", "joe@f5.test", OST_FOUND },
	};
	(void)state;
	file_text = "# comment\nf1.test, !f2.test\n f3.test\ngood:x\nf4.test";
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		enum ost_found found = ask(cases[i].domains, cases[i].key, strlen(cases[i].key));
		if (found != cases[i].found)
			fail_msg("%s, %s: %d", cases[i].domains, cases[i].key, found);
	}
	assert_int_equal(ask("a.test", "joe@a.test\0", 11), OST_NOTFOUND);
	assert_int_equal(ask("a.test", "joe@a.tes\0", 10), OST_NOTFOUND);
	char longest[3000] = "joe@";
	memset(longest + 4, 'x', sizeof longest - 5);
	assert_int_equal(ask("a.test", longest, sizeof longest - 1), OST_NOTFOUND);
}

static void a_table_that_cannot_be_opened_is_told(void **state)
{
	struct domain_list *list;
	struct ost_why w = { "" };
	(void)state;
	logged[0] = '\0';
	assert_true(domain_list_open(&host, NULL, "good:x", &list, &w));
	domain_list_close(list);
	assert_string_equal(logged, "");
	assert_true(domain_list_open(&host, NULL, "good:x !bad:x", &list, &w));
	domain_list_close(list);
	assert_string_equal(logged, "parameter domain: bad:x: cannot be opened");
}

static void what_cannot_be_read_is_refused(void **state)
{
	(void)state;
	struct domain_list *list;
	struct ost_why w = { "" };
	assert_false(domain_list_open(&host, NULL, "a.test /missing", &list, &w));
	assert_null(list);
	assert_string_equal(w.text, "open /missing: No such file or directory");
	file_text = "x.test /list";
	assert_false(domain_list_open(&host, NULL, "/list", &list, &w));
	assert_non_null(strstr(w.text, "nested too deep"));
	domain_list_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_item_that_matches_decides),
		cmocka_unit_test(a_table_that_cannot_be_opened_is_told),
		cmocka_unit_test(what_cannot_be_read_is_refused),
	};
	return cmocka_run_group_tests_name("domain_list", tests, NULL, NULL);
}
