/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/contract/table.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "module/answer.h"
#include "module/enter.h"
#include "module/module.h"
#include "ostler/host.h"
#include "table/table.h"

enum { BIG_KEY = 65536, THREADS = 8, ROUNDS = 200 };

/* The case under test and the view: what use() takes from the test's state. Tests run one after the other. */
static const struct table_case *tc;
static const struct cfg_view *view;

static void use(void **state)
{
	tc = *state;
	view = tc->view;
}

/* ---- without the core's help ------------------------------------------------------------------------------------- */

static const struct mod_provider *provider(void)
{
	struct ost_why why = { "" };
	const struct mod_provider *p = mod_find(OST_KIND_TABLE, tc->type, &why);
	assert_string_equal(why.text, "");
	return p;
}

static const struct ost_table_ops *ops(void)
{
	return (const struct ost_table_ops *)provider()->ops;
}

static struct mod_instance *open_spec(const char *spec, struct ost_why *why)
{
	return mod_open(provider(), view, strchr(spec, ':') + 1, why);
}

static struct mod_instance *open_case(void)
{
	struct ost_why why = { "" };
	struct mod_instance *in = open_spec(tc->spec, &why);
	assert_string_equal(why.text, "");
	assert_non_null(in);
	return in;
}

struct asked {
	enum ost_found result;
	const char *value;
	size_t len;
	struct ost_why why;
};

/* One lookup; what it answers lives in the arena. */
static struct asked ask(struct mod_instance *in, struct arena *a, const char *key, size_t klen)
{
	struct asked asked = { .why = { "" } };
	struct ost_answer answer = { .arena = a, .why = &asked.why };
	struct ost_query query = { .size = sizeof query, .key = key, .klen = klen, .deadline = clock_mono() + 30 * CLOCK_SECOND };
	mod_enter(in, "lookup", query.deadline);
	asked.result = ops()->lookup(mod_self(in), &query, &answer);
	mod_leave(in);
	asked.value = answer.value;
	asked.len = answer.len;
	return asked;
}

static void expect_present(struct mod_instance *in, struct arena *a, const char *key, const char *value)
{
	struct asked asked = ask(in, a, key, strlen(key));
	assert_int_equal(asked.result, OST_FOUND);
	assert_non_null(asked.value);
	assert_int_equal(asked.len, strlen(value));
	assert_string_equal(asked.value, value);
}

/* Answers something that is allowed, and nothing is found that is not there. */
static void expect_absent(struct mod_instance *in, struct arena *a, const char *key, size_t klen)
{
	struct asked asked = ask(in, a, key, klen);
	if (tc->finds_all) {
		assert_int_equal(asked.result, OST_FOUND);
		return;
	}
	if (asked.result == OST_TEMPFAIL || asked.result == OST_BADTABLE)
		fail_msg("a key that is odd is no failure: %s", asked.why.text);
	assert_int_equal(asked.result, OST_NOTFOUND);
}

/* ---- the suite ----------------------------------------------------------------------------------------------------- */

static void finds_what_is_there(void **state)
{
	use(state);
	struct arena *a = arena_new();
	struct mod_instance *in = open_case();
	expect_present(in, a, tc->key, tc->value);
	expect_present(in, a, tc->key, tc->value);
	mod_close(&in);
	arena_destroy(&a);
}

static void does_not_find_what_is_not_there(void **state)
{
	use(state);
	static const char absent[] = "a-key-that-is-not-there-0xdeadbeef";
	struct arena *a = arena_new();
	struct mod_instance *in = open_case();
	expect_absent(in, a, absent, strlen(absent));
	mod_close(&in);
	arena_destroy(&a);
}

static void hostile_keys_do_no_harm(void **state)
{
	use(state);
	static const struct {
		const char *key;
		size_t len;
	} hostile[] = {
#define KEY(text) { text, sizeof(text) - 1 }
		KEY(""),
		KEY("\0"),
		KEY("a\0b"),
		KEY("\n"),
		KEY("line one\nline two\r\n"),
		KEY("'"),
		KEY("\""),
		KEY("' or 1=1; drop table mail; -- "),
		KEY("\\"),
		KEY("*)(uid=*))(|(uid=*"),
		KEY("%s%n%d$1${1}"),
		KEY("../../../../etc/passwd"),
		KEY("\xff\xfe\x80"),
		KEY("\xc0\xaf"),
		KEY("\xed\xa0\x80"),
		KEY("   "),
		KEY("a b\tc"),
		KEY("{}"),
		KEY("\x1b[2J"),
#undef KEY
	};
	struct arena *a = arena_new();
	struct mod_instance *in = open_case();
	for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++)
		expect_absent(in, a, hostile[i].key, hostile[i].len);
	expect_present(in, a, tc->key, tc->value);
	mod_close(&in);
	arena_destroy(&a);
}

static void a_key_of_64_kib_is_only_a_key(void **state)
{
	use(state);
	struct arena *a = arena_new();
	struct mod_instance *in = open_case();
	static const char fill[] = { 'a', '\'', '\n', '\xff', '%', '\0' };
	for (size_t i = 0; i < sizeof fill; i++) {
		char *key = arena_alloc(a, BIG_KEY + 1);
		memset(key, fill[i], BIG_KEY);
		expect_absent(in, a, key, BIG_KEY);
	}
	mod_close(&in);
	arena_destroy(&a);
}

/* The whole key counts: what follows a NUL too, and no more than klen bytes. */
static void the_length_of_the_key_counts(void **state)
{
	use(state);
	struct arena *a = arena_new();
	struct mod_instance *in = open_case();
	size_t len = strlen(tc->key);
	char *key = arena_alloc(a, len + 3);
	memcpy(key, tc->key, len);
	expect_absent(in, a, key, len + 1); /* key NUL */
	key[len + 1] = 'x';
	expect_absent(in, a, key, len + 2); /* key NUL x */
	mod_close(&in);
	arena_destroy(&a);
}

static void values_are_the_askers(void **state)
{
	use(state);
	struct arena *a = arena_new();
	struct mod_instance *in = open_case();
	struct asked first = ask(in, a, tc->key, strlen(tc->key));
	assert_int_equal(first.result, OST_FOUND);
	char *text = (char *)(uintptr_t)first.value;
	memset(text, '#', first.len); /* the asker may spoil it */
	expect_present(in, a, tc->key, tc->value);
	mod_close(&in); /* and it outlives the table */
	for (size_t i = 0; i < first.len; i++)
		assert_int_equal(text[i], '#');
	arena_destroy(&a);
}

static void *look_up_often(void *arg)
{
	struct arena *a = arena_new();
	uintptr_t wrong = 0;
	for (int i = 0; i < ROUNDS; i++) {
		arena_reset(a);
		struct asked hit = ask(arg, a, tc->key, strlen(tc->key));
		wrong += hit.result != OST_FOUND || strcmp(hit.value, tc->value) != 0;
		struct asked miss = ask(arg, a, "not\nthere", 9);
		wrong += !tc->finds_all && miss.result != OST_NOTFOUND;
	}
	arena_destroy(&a);
	return (void *)wrong;
}

static void many_threads_ask_at_once(void **state)
{
	use(state);
	pthread_t threads[THREADS];
	struct mod_instance *in = open_case();
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, look_up_often, in), 0);
	for (int i = 0; i < THREADS; i++) {
		void *wrong;
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	mod_close(&in);
}

static void opens_and_closes_again_and_again(void **state)
{
	use(state);
	struct arena *a = arena_new();
	struct mod_instance *other = open_case();
	for (int i = 0; i < 100; i++) {
		struct mod_instance *in = open_case();
		if (i % 10 == 0)
			expect_present(in, a, tc->key, tc->value);
		mod_close(&in);
	}
	expect_present(other, a, tc->key, tc->value); /* instances do not disturb each other */
	mod_close(&other);
	arena_destroy(&a);
}

static void a_failed_open_says_why_and_leaves_nothing(void **state)
{
	use(state);
	for (int i = 0; i < 10; i++) {
		struct ost_why why = { "" };
		struct mod_instance *in = open_spec(tc->broken, &why);
		assert_null(in);
		assert_string_not_equal(why.text, "");
	}
	struct mod_instance *in = open_case(); /* and the next one works */
	mod_close(&in);
}

static void all_entries_can_be_listed(void **state)
{
	use(state);
	struct arena *a = arena_new();
	struct mod_instance *in = open_case();
	struct ost_cursor *cursor = NULL;
	struct ost_why why = { "" };
	bool seen = false;
	size_t n = 0;
	enum ost_found result;
	do {
		struct ost_answer key = { .arena = a, .why = &why }, value = { .arena = a, .why = &why };
		result = ops()->walk(mod_self(in), &cursor, &key, &value);
		seen = seen || (result == OST_FOUND && strcmp(key.value, tc->key) == 0 && strcmp(value.value, tc->value) == 0);
	} while (result == OST_FOUND && ++n < 100000);
	assert_int_equal(result, OST_NOTFOUND);
	assert_true(seen);
	assert_null(cursor);
	struct ost_answer key = { .arena = a, .why = &why }, value = { .arena = a, .why = &why };
	assert_int_equal(ops()->walk(mod_self(in), &cursor, &key, &value), OST_FOUND);
	assert_non_null(cursor);
	assert_non_null(ops()->cursor_free);
	ops()->cursor_free(mod_self(in), cursor); /* in the middle */
	mod_close(&in);
	arena_destroy(&a);
}

static void a_change_is_seen_after_a_reopen(void **state)
{
	use(state);
	struct arena *a = arena_new();
	struct lookup found;
	struct ost_why why = { "" };
	struct table *t = table_open(view, tc->spec, &why);
	assert_string_equal(why.text, "");
	assert_int_equal(table_lookup(t, a, tc->key, strlen(tc->key), &found), OST_FOUND);
	tc->change();
	table_reopen_all();
	assert_int_equal(table_lookup(t, a, tc->changed_key, strlen(tc->changed_key), &found), OST_FOUND);
	assert_string_equal(found.value, tc->changed_value);
	arena_destroy(&a);
}

static bool always(const struct table_case *c)
{
	(void)c;
	return true;
}
static bool can_break(const struct table_case *c)
{
	return c->broken != NULL;
}
static bool can_list(const struct table_case *c)
{
	return c->ops->walk != NULL && !c->unlisted;
}
static bool can_change(const struct table_case *c)
{
	return c->change != NULL;
}

static const struct {
	struct CMUnitTest test;
	bool (*applies)(const struct table_case *);
} suite[] = {
	{ cmocka_unit_test(finds_what_is_there), always },
	{ cmocka_unit_test(does_not_find_what_is_not_there), always },
	{ cmocka_unit_test(hostile_keys_do_no_harm), always },
	{ cmocka_unit_test(a_key_of_64_kib_is_only_a_key), always },
	{ cmocka_unit_test(the_length_of_the_key_counts), always },
	{ cmocka_unit_test(values_are_the_askers), always },
	{ cmocka_unit_test(many_threads_ask_at_once), always },
	{ cmocka_unit_test(opens_and_closes_again_and_again), always },
	{ cmocka_unit_test(a_failed_open_says_why_and_leaves_nothing), can_break },
	{ cmocka_unit_test(all_entries_can_be_listed), can_list },
	{ cmocka_unit_test(a_change_is_seen_after_a_reopen), can_change }, /* the last: the case is another one then */
};

size_t contract_table(struct table_case *c, struct CMUnitTest *tests, size_t n)
{
	for (size_t i = 0; i < sizeof suite / sizeof *suite && n < CONTRACT_TESTS; i++) {
		if (!suite[i].applies(c))
			continue;
		tests[n] = suite[i].test;
		tests[n].name = mem_printf("%s: %s", c->type, suite[i].test.name);
		tests[n].initial_state = c;
		n++;
	}
	return n;
}
