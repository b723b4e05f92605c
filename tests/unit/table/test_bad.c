/* SPDX-License-Identifier: Apache-2.0
 * Tables of a module that is wrong on purpose: what the core makes of their answers, and what is left of a process that such
 * a module has killed. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "module/module.h"
#include "table/table.h"
#include "tests/support/fixture.h"

static struct fixture fix;
static struct arena *a;

static int setup(void **state)
{
	(void)state;
	char line[600];
	snprintf(line, sizeof line, "table bad %s\n", fixture_built("tests/modules/bad/.libs/bad.so"));
	fixture_open(&fix, "", line);
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

static void answers_that_make_no_sense_are_a_broken_table(void **state)
{
	(void)state;
	static const struct {
		const char *key;
		enum ost_found expected;
		const char *why;
	} cases[] = {
		{ "novalue", OST_BADTABLE, "found, but the module gave no value" },
		{ "rubbish", OST_BADTABLE, "the module answered 42" },
		{ "minus", OST_BADTABLE, "the module answered -17" },
		{ "tempfail", OST_TEMPFAIL, "asked for: tempfail??" },
		{ "badtable", OST_BADTABLE, "asked for: badtable??" },
		{ "quiet", OST_NOTFOUND, "" },
		{ "nothing", OST_NOTFOUND, "" },
		{ "empty", OST_BADTABLE, "empty result" },
		{ "good", OST_FOUND, "" },
	};
	struct ost_why why;
	struct maps *m = maps_open(fix.view, "bad:x", &why);
	assert_string_equal(why.text, "");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct lookup found;
		enum ost_found result = maps_find(m, a, cases[i].key, &found);
		if (result != cases[i].expected)
			fail_msg("%s: %d", cases[i].key, result);
		assert_int_equal(found.value != NULL, result == OST_FOUND);
		if (result < OST_NOTFOUND)
			assert_non_null(strstr(found.why.text, cases[i].why));
	}
}

static void values_may_be_odd_and_large(void **state)
{
	(void)state;
	struct lookup found;
	struct table *t = table_open(fix.view, "bad:x", NULL);
	assert_int_equal(table_lookup(t, a, "control", 7, &found), OST_FOUND);
	assert_int_equal(found.len, strlen("one\r\ntwo\x1b[2J\xff"));
	assert_int_equal(table_lookup(t, a, "huge", 4, &found), OST_FOUND);
	assert_int_equal(found.len, 10u << 20);
}

static void an_open_that_fails_is_a_stand_in(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	struct lookup found;
	struct table *t = table_open(fix.view, "bad:open-fails", &why);
	assert_string_equal(why.text, "asked to fail");
	assert_int_equal(table_lookup(t, a, "good", 4, &found), OST_TEMPFAIL);
}

static void *look_up(void *key)
{
	struct lookup found;
	struct table *t = table_open(fix.view, "bad:in-a-child", NULL);
	table_lookup(t, a, key, strlen(key), &found);
	_exit(77);
}

/* In a child: a lookup that kills it, or does not come back. Answers how the child ended, and what its page says. */
static int die_by(const char *key, char *text, size_t size)
{
	void *page = mmap(NULL, MOD_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(page != MAP_FAILED);
	pid_t pid = fork();
	if (pid == 0) {
		const struct rlimit no_core = { 0 };
		setrlimit(RLIMIT_CORE, &no_core);
		static const int fatal[] = { SIGSEGV, SIGABRT, SIGBUS, SIGALRM };
		for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
			signal(fatal[i], SIG_DFL);
		mod_page_attach(page);
		alarm(2); /* for those that hang */
		pthread_t thread; /* a new one, which takes a slot of this page */
		pthread_create(&thread, NULL, look_up, (void *)(uintptr_t)key);
		pthread_join(thread, NULL);
		_exit(78);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	mod_page_describe(page, text, size);
	munmap(page, MOD_PAGE_SIZE);
	return status;
}

static void the_page_of_a_dead_process_names_the_module(void **state)
{
	(void)state;
	static const struct {
		const char *key;
		int signal; /* 0: it ends by exit(0) */
	} cases[] = { { "crash", SIGSEGV }, { "abort", SIGABRT }, { "overflow", SIGSEGV }, { "thread", SIGSEGV },
		      { "hang", SIGALRM },  { "exit", 0 } };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[200];
		int status = die_by(cases[i].key, text, sizeof text);
		if (cases[i].signal && !(WIFSIGNALED(status) && WTERMSIG(status) == cases[i].signal) && !WIFEXITED(status))
			fail_msg("%s: status %x", cases[i].key, status);
		assert_false(WIFEXITED(status) && WEXITSTATUS(status) >= 77); /* it did not come back */
		assert_string_equal(text, "module bad, lookup");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_that_make_no_sense_are_a_broken_table),
		cmocka_unit_test(values_may_be_odd_and_large),
		cmocka_unit_test(an_open_that_fails_is_a_stand_in),
		cmocka_unit_test(the_page_of_a_dead_process_names_the_module),
	};
	return cmocka_run_group_tests_name("bad", tests, setup, teardown);
}
