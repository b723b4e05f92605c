/* SPDX-License-Identifier: Apache-2.0
 * Log lines that wait for each other: none is lost, split or out of its thread's order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

enum { MANY = 5000, TEXT_MAX = 4 * 1024 * 1024 };

struct place {
	char path[64];
};

static int open_log(void **state)
{
	static struct place place;
	snprintf(place.path, sizeof place.path, "/tmp/ost-test-log-XXXXXX");
	int fd = mkstemp(place.path);
	if (fd < 0)
		return -1;
	close(fd);
	log_open(&(struct log_to){ .syslog_name = "ostler", .role = "test", .file = place.path, .fd = -1 });
	*state = &place;
	return 0;
}

static int remove_log(void **state)
{
	const struct place *p = *state;
	log_gather(false);
	return unlink(p->path);
}

/* The log as it is now. */
static char *contents(const struct place *p)
{
	char *text = calloc(1, TEXT_MAX);
	FILE *f = fopen(p->path, "r");
	assert_non_null(f);
	assert_true(fread(text, 1, TEXT_MAX - 1, f) < TEXT_MAX - 1);
	fclose(f);
	return text;
}

static size_t lines_in(const struct place *p)
{
	size_t n = 0;
	char *text = contents(p);
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		n++;
	free(text);
	return n;
}

static void test_lines_wait_for_the_flush(void **state)
{
	log_info("at once");
	assert_int_equal(lines_in(*state), 1);
	log_gather(true);
	log_info("first");
	assert_int_equal(lines_in(*state), 1);
	log_flush();
	assert_int_equal(lines_in(*state), 2);
	log_info("next");
	log_flush_dying();
	assert_int_equal(lines_in(*state), 3);
	log_info("waits");
	log_warning("second"); /* does not, nor does what came before it */
	assert_int_equal(lines_in(*state), 5);
	log_info("third");
	log_gather(false);
	assert_int_equal(lines_in(*state), 6);
	log_info("at once again");
	char *text = contents(*state);
	const char *first = strstr(text, "]: first\n"), *second = strstr(text, "]: warning: second\n");
	assert_non_null(first);
	assert_non_null(second);
	assert_true(first < second && second < strstr(text, "]: at once again\n"));
	free(text);
}

static void test_more_than_fits_is_written_whole(void **state)
{
	log_gather(true);
	for (int i = 0; i < MANY; i++)
		log_info("line %d of many, with some more text so that they do not fit", i);
	log_gather(false);
	char *text = contents(*state);
	const char *at = text;
	for (int i = 0; i < MANY; i++) {
		char want[64];
		snprintf(want, sizeof want, "]: line %d of many,", i);
		const char *found = strstr(at, want), *end = strchr(at, '\n');
		assert_true(found && end && found < end);
		at = end + 1;
	}
	assert_string_equal(at, "");
	free(text);
}

static void *log_one(void *arg)
{
	log_gather(arg != NULL);
	log_info("another thread's line");
	log_gather(false);
	return NULL;
}

static void test_threads_keep_the_order(void **state)
{
	for (int gathers = 0; gathers < 2; gathers++) {
		pthread_t thread;
		log_gather(true);
		log_info("before the thread %d", gathers);
		assert_int_equal(pthread_create(&thread, NULL, log_one, gathers ? &thread : NULL), 0);
		pthread_join(thread, NULL);
		log_info("behind the thread %d", gathers);
		log_flush();
	}
	char *text = contents(*state);
	const char *at = text;
	static const char *const order[] = { "before the thread 0", "another", "behind the thread 0",
					     "before the thread 1", "another", "behind the thread 1" };
	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		at = strstr(at, order[i]);
		assert_non_null(at);
	}
	free(text);
	assert_int_equal(lines_in(*state), 6);
}

static void test_last_words_go_out(void **state)
{
	pid_t pid = fork();
	if (pid == 0) {
		log_gather(true);
		log_info("before");
		log_fatal("the end");
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	char *text = contents(*state);
	assert_non_null(strstr(text, "]: before\n"));
	assert_non_null(strstr(text, "]: fatal: the end\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lines_wait_for_the_flush, open_log, remove_log),
		cmocka_unit_test_setup_teardown(test_more_than_fits_is_written_whole, open_log, remove_log),
		cmocka_unit_test_setup_teardown(test_threads_keep_the_order, open_log, remove_log),
		cmocka_unit_test_setup_teardown(test_last_words_go_out, open_log, remove_log),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
