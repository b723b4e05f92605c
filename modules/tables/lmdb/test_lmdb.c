/* SPDX-License-Identifier: Apache-2.0
 * lmdb: indexes, damaged ones, and caches that several processes change. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "module/module.h"
#include "ostler/host.h"
#include "table/cache.h"
#include "table/handle.h"
#include "table/table.h"
#include "tests/contract/index.h"
#define INDEXED_TYPE "lmdb"
#include "tests/support/indexed.h"

static void the_first_of_two_equal_keys_stays(void **state)
{
	(void)state;
	static const char *const entries[] = { "b=2", "a=1", "a=3", NULL };
	name_files("first");
	assert_int_equal(index_build(ops(), path, entries, 0), 1);
	expect("a", "1");
	name_files("replaced");
	assert_int_equal(index_build(ops(), path, entries, OST_BUILD_REPLACE | OST_BUILD_NO_NULL), 0);
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

static void a_key_that_is_too_long_is_named(void **state)
{
	(void)state;
	char entry[600];
	memset(entry, 'k', sizeof entry);
	snprintf(entry + 550, 10, "=v");
	const char *const entries[] = { entry, NULL };
	name_files("long");
	assert_int_equal(index_build(ops(), path, entries, 0), -1);
}

/* ---- many entries ------------------------------------------------------------------------------------------------- */

enum { MANY = 5000, LARGE = 9000 };

/* "key 4711", whose value is large now and then. */
static char *entry_text(int i)
{
	char *text = malloc(LARGE + 64);
	int n = snprintf(text, 64, "key%d=value %d ", i, i);
	size_t fill = i % 100 == 0 ? LARGE : 0;
	memset(text + n, 'x', fill);
	text[(size_t)n + fill] = '\0';
	return text;
}

static bool count_entry(void *ctx, const char *key, size_t klen, const char *value, size_t vlen)
{
	struct {
		int n;
		char last[64];
	} *seen = ctx;
	(void)value;
	assert_true(vlen >= 8);
	assert_true(strcmp(seen->last, key) < 0); /* in order */
	assert_true(klen < sizeof seen->last);
	snprintf(seen->last, sizeof seen->last, "%s", key);
	seen->n++;
	return true;
}

static void build_many(const char *name)
{
	static const char *entries[MANY + 1];
	for (int i = 0; i < MANY; i++)
		entries[i] = entry_text(i);
	name_files(name);
	assert_int_equal(index_build(ops(), path, entries, 0), 0);
	for (int i = 0; i < MANY; i++)
		free((char *)(uintptr_t)entries[i]);
}

static void many_entries_are_found_and_listed_in_order(void **state)
{
	(void)state;
	struct {
		int n;
		char last[64];
	} seen = { 0 };
	struct ost_why why = { "" };
	build_many("many");
	for (int i = 0; i < MANY; i += 7) {
		char *text = entry_text(i), *equals = strchr(text, '=');
		*equals = '\0';
		expect(text, equals + 1);
		free(text);
	}
	struct table *t = table_open(fix.view, spec, &why);
	struct arena *walk = arena_new();
	assert_true(table_walk(t, walk, count_entry, &seen, &why));
	assert_int_equal(seen.n, MANY);
	arena_destroy(&walk);
}

/* Whatever is in the file: an answer, and no crash. */
static void damage_is_an_answer(void **state)
{
	(void)state;
	char file[160];
	build_many("damaged");
	snprintf(file, sizeof file, "%s.lmdb", path);
	srandom(4711);
	for (int round = 0; round < 200; round++) {
		int fd = open(file, O_RDWR | O_CLOEXEC);
		struct stat st;
		assert_int_equal(fstat(fd, &st), 0);
		for (int i = 0; i < 50; i++) {
			unsigned char junk = (unsigned char)random();
			off_t at = round % 4 == 0 ? random() % 8192
						  : 4096 * (random() % (st.st_size / 4096)) + random() % 64;
			assert_int_equal(pwrite(fd, &junk, 1, at), 1);
		}
		close(fd);
		struct table *t = table_open(fix.view, spec, NULL);
		for (int i = 0; i < 50; i++) {
			char key[32];
			struct lookup found;
			snprintf(key, sizeof key, "key%d", i * 97);
			enum ost_found result = table_lookup(t, a, key, strlen(key), &found);
			assert_true(result == OST_NOTFOUND || (result == OST_FOUND) == (found.value != NULL));
		}
		table_reopen_all();
		arena_reset(a);
	}
}

/* ---- caches ------------------------------------------------------------------------------------------------------- */

static struct cache *open_cache(const char *name)
{
	struct ost_why why = { "" };
	name_files(name);
	struct cache *c = table_cache_open(fix.view, spec, &why);
	assert_string_equal(why.text, "");
	assert_non_null(c);
	return c;
}

static void expect_cached(struct cache *c, const char *key, const char *value)
{
	struct lookup found;
	assert_int_equal(table_cache_lookup(c, a, key, &found), value ? OST_FOUND : OST_NOTFOUND);
	if (value)
		assert_string_equal(found.value, value);
}

static void a_cache_is_made_changed_and_found_again(void **state)
{
	(void)state;
	struct cache *c = open_cache("cache"), *again = open_cache("cache");
	expect_cached(c, "a", NULL);
	assert_true(table_cache_update(c, "a", "1"));
	assert_true(table_cache_update(again, "b", ""));
	assert_true(table_cache_update(c, "a", "2"));
	expect_cached(again, "a", "2");
	expect_cached(c, "b", "");
	assert_int_equal(table_cache_remove(c, "a"), OST_FOUND);
	assert_int_equal(table_cache_remove(c, "a"), OST_NOTFOUND);
	table_cache_close(&c);
	expect_cached(again, "a", NULL);
	table_cache_close(&again);
	c = open_cache("cache");
	expect_cached(c, "b", "");
	table_cache_close(&c);
}

static void what_cannot_be_a_key_is_refused(void **state)
{
	(void)state;
	char key[600];
	memset(key, 'k', sizeof key);
	key[sizeof key - 1] = '\0';
	struct cache *c = open_cache("keys");
	assert_false(table_cache_update(c, "", "v"));
	assert_false(table_cache_update(c, key, "v"));
	expect_cached(c, key, NULL);
	assert_int_equal(table_cache_remove(c, key), OST_NOTFOUND);
	table_cache_close(&c);
}

static void a_table_is_not_changed(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	static const char *const entries[] = { "a=1", NULL };
	name_files("table");
	assert_int_equal(index_build(ops(), path, entries, 0), 0);
	struct mod_instance *in = mod_open(mod_find(OST_KIND_TABLE, "lmdb", &why), fix.view, path, &why);
	assert_int_equal(ops()->update(mod_self(in), "a", 1, "2", 1, &why), OST_BADTABLE);
	assert_int_equal(ops()->remove(mod_self(in), "a", 1, &why), OST_BADTABLE);
	mod_close(&in);
}

static bool keep_even(void *ctx, const char *key, const char *value)
{
	(void)ctx;
	(void)value;
	return (key[strlen(key) - 1] - '0') % 2 == 0;
}

static void expired_entries_go(void **state)
{
	(void)state;
	struct cache_expired counts;
	struct cache *c = open_cache("expiry");
	for (int i = 0; i < 1000; i++) {
		char key[32];
		snprintf(key, sizeof key, "entry %d", i);
		assert_true(table_cache_update(c, key, "x"));
	}
	struct arena *walk = arena_new();
	assert_true(table_cache_expire(c, walk, keep_even, NULL, &counts));
	assert_int_equal(counts.kept, 500);
	assert_int_equal(counts.removed, 500);
	assert_true(table_cache_expire(c, walk, keep_even, NULL, &counts));
	assert_int_equal(counts.kept, 500);
	assert_int_equal(counts.removed, 0);
	arena_destroy(&walk);
	table_cache_close(&c);
}

static void it_grows_beyond_its_first_size(void **state)
{
	(void)state;
	char *value = malloc(1 << 20), key[32];
	struct cache *c = open_cache("grows");
	memset(value, 'v', 1 << 20);
	value[(1 << 20) - 1] = '\0';
	for (int i = 0; i < 40; i++) {
		snprintf(key, sizeof key, "large %d", i);
		assert_true(table_cache_update(c, key, value));
		expect_cached(c, key, value);
		arena_reset(a);
	}
	expect_cached(c, "large 0", value);
	free(value);
	table_cache_close(&c);
}

/* ---- several processes -------------------------------------------------------------------------------------------- */

enum { PROCESSES = 4, CHANGES = 400 };

/* A child's work: keys of its own, and one that all write; what it reads is whole. */
static _Noreturn void work(int me, bool forever)
{
	struct ost_why why = { "" };
	struct arena *mine = arena_new();
	struct cache *c = table_cache_open(fix.view, spec, &why);
	for (int i = 0; c && (forever || i < CHANGES); i++) {
		char key[32], value[300];
		struct lookup found;
		arena_reset(mine);
		memset(value, 'a' + me, sizeof value);
		value[100 + i % 190] = '\0';
		snprintf(key, sizeof key, "%d/%d", me, i % CHANGES);
		if (!table_cache_update(c, key, value) || !table_cache_update(c, "shared", value))
			_exit(1);
		if (table_cache_lookup(c, mine, "shared", &found) != OST_FOUND || found.len < 100)
			_exit(2);
		for (size_t k = 1; k < found.len; k++)
			if (found.value[k] != found.value[0])
				_exit(3);
		if (table_cache_lookup(c, mine, key, &found) != OST_FOUND || strcmp(found.value, value) != 0)
			_exit(4);
	}
	_exit(c ? 0 : 5);
}

static void several_processes_change_one_file(void **state)
{
	(void)state;
	pid_t children[PROCESSES];
	name_files("shared");
	for (int i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		if (children[i] == 0)
			work(i, false);
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	struct cache *c = open_cache("shared");
	for (int i = 0; i < PROCESSES; i++) {
		char key[32];
		struct lookup found;
		for (int n = 0; n < CHANGES; n++) {
			snprintf(key, sizeof key, "%d/%d", i, n);
			assert_int_equal(table_cache_lookup(c, a, key, &found), OST_FOUND);
			assert_int_equal(found.value[0], 'a' + i);
		}
		arena_reset(a);
	}
	table_cache_close(&c);
}

/* A process that is killed in the middle of its changes stops nobody. */
static void the_death_of_one_stops_nobody(void **state)
{
	(void)state;
	name_files("deadly");
	for (int round = 0; round < 20; round++) {
		struct timespec pause = { .tv_nsec = 1000000 * (round % 7) + 3000000 };
		pid_t victim = fork();
		if (victim == 0)
			work(1, true);
		nanosleep(&pause, NULL);
		kill(victim, SIGKILL);
		waitpid(victim, NULL, 0);
		int status;
		pid_t other = fork();
		if (other == 0) {
			struct ost_why why = { "" };
			struct cache *c = table_cache_open(fix.view, spec, &why);
			_exit(!(c && table_cache_update(c, "after", "death") &&
				table_cache_remove(c, "after") == OST_FOUND));
		}
		assert_int_equal(waitpid(other, &status, 0), other);
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_of_two_equal_keys_stays),
		cmocka_unit_test(an_empty_table_is_a_table),
		cmocka_unit_test(a_key_that_is_too_long_is_named),
		cmocka_unit_test(many_entries_are_found_and_listed_in_order),
		cmocka_unit_test(damage_is_an_answer),
		cmocka_unit_test(several_processes_change_one_file), /* before this one opens caches: children
									are forked */
		cmocka_unit_test(the_death_of_one_stops_nobody),
		cmocka_unit_test(a_cache_is_made_changed_and_found_again),
		cmocka_unit_test(what_cannot_be_a_key_is_refused),
		cmocka_unit_test(a_table_is_not_changed),
		cmocka_unit_test(expired_entries_go),
		cmocka_unit_test(it_grows_beyond_its_first_size),
	};
	return cmocka_run_group_tests_name("lmdb", tests, setup, teardown);
}
