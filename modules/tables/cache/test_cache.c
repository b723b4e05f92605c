/* SPDX-License-Identifier: Apache-2.0
 * cache: what is kept and for how long, who waits for whom. The table behind, the clock and the host are this
 * program's, so that no test waits for time to pass. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "modules/tables/cache/spec.h"
#include "ostler/host.h"
#include "shared/trial_why.h"

extern const struct ost_module cache_LTX_ost_module;

#define SECOND INT64_C(1000000)

/* ---- a host ------------------------------------------------------------------------------------------------------- */

struct ost_answer {
	char value[65536];
	size_t len;
	bool set;
	char why[256];
};

/* The table behind the cache. */
static struct {
	atomic_int calls;
	_Atomic(enum ost_found) result;
	char value[65536]; /* changed while nobody asks */
	atomic_uint_fast64_t version;
	atomic_bool changes;  /* its content is replaced while it is asked */
	pthread_mutex_t lock; /* guards gate */
	pthread_cond_t moved;
	bool closed; /* who asks waits for it to be opened */
} behind = { .lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER };

static _Atomic int64_t fake_now; /* 0: the system's clock */
static const char *instance_text;
static char last_log[256];
static atomic_int log_lines;
static uint32_t flags_set;

static int64_t host_now(void)
{
	int64_t now = atomic_load(&fake_now);
	struct timespec ts;
	if (now)
		return now;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec / 1000;
}

static const char *host_name(const struct ost_instance *instance)
{
	(void)instance;
	return instance_text;
}

static void host_log(struct ost_instance *instance, enum ost_level level, const char *fmt, ...)
{
	va_list ap;
	(void)instance;
	(void)level;
	va_start(ap, fmt);
	vsnprintf(last_log, sizeof last_log, fmt, ap);
	va_end(ap);
	atomic_fetch_add(&log_lines, 1);
}

static void host_answer(struct ost_answer *answer, const char *value, size_t len)
{
	assert_true(len < sizeof answer->value);
	memmove(answer->value, value, len);
	answer->value[len] = '\0';
	answer->len = len;
	answer->set = true;
}

static void host_answer_why(struct ost_answer *answer, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(answer->why, sizeof answer->why, fmt, ap);
	va_end(ap);
}

static const char *host_answer_value(const struct ost_answer *answer, size_t *len)
{
	*len = answer->len;
	return answer->set ? answer->value : NULL;
}

static struct ost_table *host_table_open(struct ost_instance *instance, const char *type_name,
					 struct ost_why *why)
{
	(void)instance;
	if (strcmp(type_name, "broken:x") == 0)
		host_why(why, "it is broken");
	return (struct ost_table *)(void *)&behind;
}

static enum ost_found host_table_ask(struct ost_table *table, const struct ost_query *query,
				     struct ost_answer *answer)
{
	assert_ptr_equal(table, &behind);
	(void)query;
	atomic_fetch_add(&behind.calls, 1);
	pthread_mutex_lock(&behind.lock);
	while (behind.closed)
		pthread_cond_wait(&behind.moved, &behind.lock);
	pthread_mutex_unlock(&behind.lock);
	if (atomic_load(&behind.changes))
		atomic_fetch_add(&behind.version, 1);
	enum ost_found result = atomic_load(&behind.result);
	if (result == OST_FOUND)
		host_answer(answer, behind.value, strlen(behind.value));
	return result;
}

static uint32_t host_table_flags(const struct ost_table *table)
{
	(void)table;
	return OST_TABLE_WHOLE_KEYS | OST_TABLE_UNSAFE;
}

static uint64_t host_table_version(const struct ost_table *table)
{
	(void)table;
	return atomic_load(&behind.version);
}

static void host_set_flags(struct ost_instance *instance, uint32_t flags)
{
	(void)instance;
	flags_set = flags;
}

static const struct ost_host host = {
	.size = sizeof host,
	.log = host_log,
	.now = host_now,
	.instance_name = host_name,
	.why = host_why,
	.answer = host_answer,
	.answer_why = host_answer_why,
	.answer_value = host_answer_value,
	.table_open = host_table_open,
	.table_ask = host_table_ask,
	.table_flags = host_table_flags,
	.table_version = host_table_version,
	.set_table_flags = host_set_flags,
};

/* ---- use ---------------------------------------------------------------------------------------------------------- */

static const struct ost_table_ops *ops(void)
{
	return (const struct ost_table_ops *)cache_LTX_ost_module.provides[0].ops;
}

static void *open_cache(const char *text)
{
	struct ost_why why = { "" };
	void *self = NULL;
	instance_text = text;
	if (!ops()->ops.open(NULL, NULL, &self, &why))
		fail_msg("%s: %s", text, why.text);
	return self;
}

static void close_cache(void *self)
{
	ops()->ops.close(self);
}

static void set_behind(enum ost_found result, const char *value)
{
	atomic_store(&behind.result, result);
	snprintf(behind.value, sizeof behind.value, "%s", value ? value : "");
}

static void set_gate(bool closed)
{
	pthread_mutex_lock(&behind.lock);
	behind.closed = closed;
	pthread_cond_broadcast(&behind.moved);
	pthread_mutex_unlock(&behind.lock);
}

static enum ost_found ask_n(void *self, const char *key, size_t klen, int64_t time, struct ost_answer *answer)
{
	struct ost_query query = {
		.size = sizeof query, .key = key, .klen = klen, .deadline = host_now() + time
	};
	answer->set = false;
	answer->len = 0;
	return ops()->lookup(self, &query, answer);
}

/* One lookup; the value, or a word for the outcome. Valid until the next one. */
static const char *ask(void *self, const char *key)
{
	static struct ost_answer answer;
	switch (ask_n(self, key, strlen(key), 10 * SECOND, &answer)) {
	case OST_FOUND:
		return answer.value;
	case OST_NOTFOUND:
		return "(none)";
	case OST_TEMPFAIL:
		return "(try again)";
	default:
		return "(broken)";
	}
}

static int calls(void)
{
	return atomic_exchange(&behind.calls, 0);
}

static int setup(void **state)
{
	(void)state;
	struct ost_why why;
	assert_true(cache_LTX_ost_module.load(&host, &why));
	atomic_store(&fake_now, 1000 * SECOND);
	atomic_store(&behind.calls, 0);
	atomic_store(&behind.changes, false);
	atomic_store(&log_lines, 0);
	set_gate(false);
	set_behind(OST_FOUND, "one");
	return 0;
}

static void pass(int64_t time)
{
	atomic_fetch_add(&fake_now, time);
}

/* ---- tests -------------------------------------------------------------------------------------------------------- */

static void the_spec_is_read_whole(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ttl, negative, stale, size;
		const char *table, *error;
	} cases[] = {
		{ "hash:/x", 60, 10, 3600, 10000, "hash:/x", NULL },
		{ "{}:hash:/x", 60, 10, 3600, 10000, "hash:/x", NULL },
		{ "{ttl=5}:a:b:c", 5, 10, 3600, 10000, "a:b:c", NULL },
		{ "{ ttl=1m, negative=0 stale=2h,size=7 }:a:b", 60, 0, 7200, 7, "a:b", NULL },
		{ "{ttl=1d,negative=1w,stale=366d}:unionmap:{a:b,c:d}", 86400, 604800, 31622400, 10000,
		  "unionmap:{a:b,c:d}", NULL },
		{ "{ttl=1,ttl=2}:a:b", 2, 10, 3600, 10000, "a:b", NULL },
		{ "x", .error = "need \"cache:{name=value...}:type:name\"" },
		{ "", .error = "need \"cache:{name=value...}:type:name\"" },
		{ "{ttl=1}", .error = "need \"cache:{name=value...}:type:name\"" },
		{ "{ttl=1}x:y", .error = "need \"cache:{name=value...}:type:name\"" },
		{ "{ttl=1}:xy", .error = "need \"cache:{name=value...}:type:name\"" },
		{ "{ttl=1:a:b", .error = "need \"cache:{name=value...}:type:name\"" },
		{ "{tt=1}:a:b",
		  .error = "\"tt=1\" is not one of ttl=time, negative=time, stale=time, size=number" },
		{ "{ttl}:a:b",
		  .error = "\"ttl\" is not one of ttl=time, negative=time, stale=time, size=number" },
		{ "{ttl=}:a:b",
		  .error = "bad value in \"ttl=\": need a time of at most 366d (units: s, m, h, d, w)" },
		{ "{ttl=-1}:a:b",
		  .error = "bad value in \"ttl=-1\": need a time of at most 366d (units: s, m, h, d, w)" },
		{ "{ttl=1x}:a:b",
		  .error = "bad value in \"ttl=1x\": need a time of at most 366d (units: s, m, h, d, w)" },
		{ "{ttl=1ss}:a:b",
		  .error = "bad value in \"ttl=1ss\": need a time of at most 366d (units: s, m, h, d, w)" },
		{ "{ttl=367d}:a:b",
		  .error = "bad value in \"ttl=367d\": need a time of at most 366d (units: s, m, h, d, w)" },
		{ "{ttl=99999999999999999999}:a:b",
		  .error = "bad value in \"ttl=99999999999999999999\": need a time of at most 366d (units: "
			   "s, m, h, d, w)" },
		{ "{size=0}:a:b", .error = "bad value in \"size=0\": need a number from 1 to 10000000" },
		{ "{size=10000001}:a:b",
		  .error = "bad value in \"size=10000001\": need a number from 1 to 10000000" },
		{ "{size=1k}:a:b", .error = "bad value in \"size=1k\": need a number from 1 to 10000000" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct cache_spec spec;
		char error[CACHE_SPEC_ERROR] = "";
		if (cache_spec_parse(cases[i].text, &spec, error) != (cases[i].error == NULL))
			fail_msg("%s: %s", cases[i].text, error);
		if (cases[i].error) {
			assert_string_equal(error, cases[i].error);
			continue;
		}
		assert_int_equal(spec.ttl, cases[i].ttl * SECOND);
		assert_int_equal(spec.negative, cases[i].negative * SECOND);
		assert_int_equal(spec.stale, cases[i].stale * SECOND);
		assert_int_equal(spec.size, cases[i].size);
		assert_string_equal(spec.table, cases[i].table);
	}
}

static void a_broken_one_says_why(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	void *self = NULL;
	instance_text = "{size=0}:a:b";
	assert_false(ops()->ops.open(NULL, NULL, &self, &why));
	assert_string_equal(why.text, "bad syntax: \"cache:{size=0}:a:b\": bad value in \"size=0\": need a "
				      "number from 1 to 10000000");
	instance_text = "broken:x";
	assert_false(ops()->ops.open(NULL, NULL, &self, &why));
	assert_string_equal(why.text, "it is broken");
	close_cache(open_cache("a:b"));
	assert_int_equal(flags_set, OST_TABLE_WHOLE_KEYS | OST_TABLE_UNSAFE); /* those of the table behind */
}

static void answers_are_kept_for_their_time(void **state)
{
	(void)state;
	void *c = open_cache("{ttl=60,negative=10}:a:b");
	assert_string_equal(ask(c, "k"), "one");
	assert_string_equal(ask(c, "k"), "one");
	set_behind(OST_FOUND, "two");
	pass(60 * SECOND - 1);
	assert_string_equal(ask(c, "k"), "one");
	assert_int_equal(calls(), 1);
	pass(1);
	assert_string_equal(ask(c, "k"), "two");
	assert_int_equal(calls(), 1);
	set_behind(OST_NOTFOUND, NULL);
	assert_string_equal(ask(c, "other"), "(none)");
	set_behind(OST_FOUND, "there");
	pass(10 * SECOND - 1);
	assert_string_equal(ask(c, "other"), "(none)");
	assert_int_equal(calls(), 1);
	pass(1);
	assert_string_equal(ask(c, "other"), "there");
	assert_int_equal(calls(), 1);
	close_cache(c);
}

static void times_of_nothing_keep_nothing(void **state)
{
	(void)state;
	void *c = open_cache("{ttl=0,negative=0}:a:b");
	assert_string_equal(ask(c, "k"), "one");
	assert_string_equal(ask(c, "k"), "one");
	set_behind(OST_NOTFOUND, NULL);
	assert_string_equal(ask(c, "k"), "(none)");
	assert_string_equal(ask(c, "k"), "(none)");
	assert_int_equal(calls(), 4);
	close_cache(c);
}

static void old_values_do_while_the_table_fails(void **state)
{
	(void)state;
	void *c = open_cache("{ttl=60,stale=100}:a:b");
	assert_string_equal(ask(c, "k"), "one");
	set_behind(OST_TEMPFAIL, NULL);
	assert_string_equal(ask(c, "new"), "(try again)");
	assert_int_equal(atomic_load(&log_lines), 0);
	pass(60 * SECOND);
	calls();
	assert_string_equal(ask(c, "k"), "one");
	assert_string_equal(last_log, "cache: a:b does not answer: answers of before are used meanwhile");
	assert_string_equal(ask(c, "k"), "one"); /* without asking: not within a second */
	assert_int_equal(calls(), 1);
	pass(SECOND);
	assert_string_equal(ask(c, "k"), "one");
	assert_int_equal(calls(), 1);
	assert_int_equal(atomic_load(&log_lines), 1);
	pass(100 * SECOND - SECOND - 1);
	assert_string_equal(ask(c, "k"), "one");
	pass(1);
	assert_string_equal(ask(c, "k"), "(try again)");
	set_behind(OST_FOUND, "two");
	assert_string_equal(ask(c, "k"), "two");
	assert_string_equal(last_log, "cache: a:b answers again");
	assert_int_equal(atomic_load(&log_lines), 2);
	close_cache(c);
}

/* A user who is new must not be turned away; and what is broken is no failure that passes. */
static void not_found_is_never_old_and_broken_is_broken(void **state)
{
	(void)state;
	void *c = open_cache("{ttl=60,negative=10,stale=100}:a:b");
	set_behind(OST_NOTFOUND, NULL);
	assert_string_equal(ask(c, "k"), "(none)");
	set_behind(OST_TEMPFAIL, NULL);
	pass(10 * SECOND);
	assert_string_equal(ask(c, "k"), "(try again)");
	set_behind(OST_FOUND, "one");
	assert_string_equal(ask(c, "k"), "one");
	set_behind(OST_BADTABLE, NULL);
	pass(60 * SECOND);
	assert_string_equal(ask(c, "k"), "(broken)");
	close_cache(c);
}

static void another_version_forgets_all(void **state)
{
	(void)state;
	void *c = open_cache("{stale=1h}:a:b");
	assert_string_equal(ask(c, "k"), "one");
	set_behind(OST_FOUND, "two");
	atomic_fetch_add(&behind.version, 1);
	assert_string_equal(ask(c, "k"), "two");
	set_behind(OST_TEMPFAIL, NULL);
	atomic_fetch_add(&behind.version, 1);
	assert_string_equal(ask(c, "k"), "(try again)"); /* not what the old table said */
	/* What was asked while it changed may be of before, and is not kept. */
	set_behind(OST_FOUND, "three");
	atomic_store(&behind.changes, true);
	calls();
	assert_string_equal(ask(c, "k"), "three");
	assert_string_equal(ask(c, "k"), "three");
	assert_int_equal(calls(), 2);
	close_cache(c);
}

static void the_longest_unused_leaves(void **state)
{
	(void)state;
	void *c = open_cache("{size=2}:a:b");
	ask(c, "a");
	ask(c, "b");
	ask(c, "a");
	ask(c, "c");
	calls();
	ask(c, "a");
	ask(c, "c");
	assert_int_equal(calls(), 0);
	ask(c, "b");
	assert_int_equal(calls(), 1);
	close_cache(c);
}

static void no_more_than_the_size_is_kept(void **state)
{
	(void)state;
	enum { SIZE = 1000, KEYS = 3000 };
	char key[32];
	void *c = open_cache("{size=1000}:a:b");
	for (int i = 0; i < KEYS; i++) {
		snprintf(key, sizeof key, "key-%d", i);
		ask(c, key);
	}
	assert_int_equal(calls(), KEYS);
	for (int i = KEYS - 1; i >= 0; i--) { /* hits do not push others out before they are counted */
		snprintf(key, sizeof key, "key-%d", i);
		ask(c, key);
	}
	int kept = KEYS - calls();
	assert_in_range(kept, SIZE * 8 / 10, SIZE);
	close_cache(c);
}

static void keys_are_bytes_and_long_ones_pass(void **state)
{
	(void)state;
	static struct ost_answer answer;
	static char big[40000];
	void *c = open_cache("a:b");
	assert_int_equal(ask_n(c, "a\0b", 3, SECOND, &answer), OST_FOUND);
	assert_int_equal(ask_n(c, "a\0c", 3, SECOND, &answer), OST_FOUND);
	assert_int_equal(ask_n(c, "a", 1, SECOND, &answer), OST_FOUND);
	assert_int_equal(ask_n(c, "", 0, SECOND, &answer), OST_FOUND);
	assert_int_equal(calls(), 4);
	assert_int_equal(ask_n(c, "a\0b", 3, SECOND, &answer), OST_FOUND);
	assert_int_equal(calls(), 0);
	memset(big, 'x', sizeof big - 1);
	assert_int_equal(ask_n(c, big, sizeof big - 1, SECOND, &answer), OST_FOUND);
	assert_int_equal(ask_n(c, big, sizeof big - 1, SECOND, &answer), OST_FOUND);
	assert_int_equal(calls(), 2);
	set_behind(OST_FOUND, big);
	assert_string_equal(ask(c, "value"), big);
	assert_string_equal(ask(c, "value"), big);
	assert_int_equal(calls(), 2);
	close_cache(c);
}

/* ---- several threads ------------------------------------------------------------------------------------------------ */

struct asker {
	pthread_t thread;
	void *cache;
	int64_t time;
	enum ost_found result;
	struct ost_answer answer;
};

static void *ask_in_thread(void *arg)
{
	struct asker *r = arg;
	r->result = ask_n(r->cache, "k", 1, r->time, &r->answer);
	return NULL;
}

static struct asker *start_asker(void *cache, int64_t time)
{
	struct asker *r = calloc(1, sizeof *r);
	assert_non_null(r);
	r->cache = cache;
	r->time = time;
	assert_int_equal(pthread_create(&r->thread, NULL, ask_in_thread, r), 0);
	return r;
}

static void expect_asker(struct asker **rp, enum ost_found result, const char *value)
{
	struct asker *r = *rp;
	pthread_join(r->thread, NULL);
	assert_int_equal(r->result, result);
	if (value)
		assert_string_equal(r->answer.value, value);
	free(r);
	*rp = NULL;
}

static void wait_for_calls(int n)
{
	while (atomic_load(&behind.calls) < n)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static void one_question_for_all_who_miss(void **state)
{
	(void)state;
	enum { THREADS = 8 };
	static const enum ost_found results[] = { OST_FOUND, OST_NOTFOUND, OST_TEMPFAIL, OST_BADTABLE };
	struct asker *askers[THREADS];
	atomic_store(&fake_now, 0);
	for (size_t k = 0; k < sizeof results / sizeof *results; k++) {
		void *c = open_cache("a:b");
		set_behind(results[k], "one");
		set_gate(true);
		calls();
		for (int i = 0; i < THREADS; i++)
			askers[i] = start_asker(c, 3600 * SECOND);
		wait_for_calls(1);
		nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL); /* so that most of them wait */
		set_gate(false);
		for (int i = 0; i < THREADS; i++)
			expect_asker(&askers[i], results[k], results[k] == OST_FOUND ? "one" : NULL);
		if (results[k] >= OST_NOTFOUND)
			assert_int_equal(calls(), 1); /* whoever came late found it kept */
		close_cache(c);
	}
}

/* The first one's question stays under way; the second has no time to wait for it. */
static void who_waits_has_a_deadline(void **state)
{
	(void)state;
	static struct ost_answer answer;
	void *c = open_cache("{ttl=1,stale=1h}:a:b");
	assert_string_equal(ask(c, "k"),
			    "one"); /* by the other clock: old by now, or not yet; forgotten below */
	atomic_fetch_add(&behind.version, 1);
	atomic_store(&fake_now, 0);
	set_gate(true);
	calls();
	struct asker *first = start_asker(c, 3600 * SECOND);
	wait_for_calls(1);
	assert_int_equal(ask_n(c, "k", 1, SECOND / 20, &answer), OST_TEMPFAIL);
	assert_string_equal(answer.why, "a:b does not answer in time");
	assert_int_equal(calls(), 1);
	set_gate(false);
	expect_asker(&first, OST_FOUND, "one");
	close_cache(c);
}

/* The first one runs out of time, which says nothing to the second, who has more. */
static void who_has_more_time_asks_again(void **state)
{
	(void)state;
	void *c = open_cache("a:b");
	atomic_store(&fake_now, 0);
	set_gate(true);
	set_behind(OST_TEMPFAIL, "one");
	struct asker *first = start_asker(c, 0);
	wait_for_calls(1);
	struct asker *second = start_asker(c, 3600 * SECOND);
	nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	assert_int_equal(atomic_load(&behind.calls), 1); /* it waits */
	set_gate(false);
	expect_asker(&first, OST_TEMPFAIL, NULL);
	expect_asker(&second, OST_TEMPFAIL, NULL);
	assert_int_equal(calls(), 2);
	close_cache(c);
}

static void *ask_many(void *cache)
{
	static _Thread_local struct ost_answer answer;
	unsigned seed = (unsigned)(uintptr_t)&answer;
	for (int i = 0; i < 20000; i++) {
		char key[16];
		snprintf(key, sizeof key, "%d", rand_r(&seed) % 300);
		enum ost_found result = ask_n(cache, key, strlen(key), SECOND, &answer);
		assert_true(result == OST_FOUND || result == OST_NOTFOUND || result == OST_TEMPFAIL);
		if (result == OST_FOUND)
			assert_string_equal(answer.value, "one");
	}
	return NULL;
}

/* All at once: hits, misses, others pushed out, failures, changes. */
static void threads_do_not_disturb_each_other(void **state)
{
	(void)state;
	enum { THREADS = 4 };
	static const enum ost_found results[] = { OST_FOUND, OST_NOTFOUND, OST_FOUND, OST_TEMPFAIL };
	pthread_t threads[THREADS];
	void *c = open_cache("{size=200,ttl=1,negative=1}:a:b");
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_many, c), 0);
	for (int i = 0; i < 200; i++) {
		atomic_store(&behind.result, results[i % 4]);
		atomic_fetch_add(&behind.version, i % 10 == 0);
		pass(SECOND / 3);
		nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	close_cache(c);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_spec_is_read_whole),
		TEST(a_broken_one_says_why),
		TEST(answers_are_kept_for_their_time),
		TEST(times_of_nothing_keep_nothing),
		TEST(old_values_do_while_the_table_fails),
		TEST(not_found_is_never_old_and_broken_is_broken),
		TEST(another_version_forgets_all),
		TEST(the_longest_unused_leaves),
		TEST(no_more_than_the_size_is_kept),
		TEST(keys_are_bytes_and_long_ones_pass),
		TEST(one_question_for_all_who_miss),
		TEST(who_waits_has_a_deadline),
		TEST(who_has_more_time_asks_again),
		TEST(threads_do_not_disturb_each_other),
	};
	return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
