/* SPDX-License-Identifier: Apache-2.0
 * How fast lookups are inside a process. Not a test.
 *
 * table-bench CONFIG_DIR TYPE:NAME KEYS THREADS LOOKUPS    KEYS: a file, one key a line; each thread asks for
 * LOOKUPS of them, from a place of its own on. A line of JSON comes out: what was found, the time, and
 * lookups a second, of a thread's processor time ("per_cpu") and of the clock ("per_second"). */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "config/config.h"
#include "module/module.h"
#include "table/table.h"

#include <fcntl.h>

enum { KEY_BYTES = 1 << 30, THREADS_MAX = 256 };

struct keys {
	char *text;
	const char **at;
	size_t *len;
	size_t count;
};

struct asker {
	struct table *table;
	const struct keys *keys;
	size_t first, lookups, found, failed;
	double cpu; /* seconds */
};

static struct keys read_keys(const char *path)
{
	struct keys k = { 0 };
	size_t size, room = 0;
	char *save = NULL;
	k.text = io_read_file(AT_FDCWD, path, KEY_BYTES, &size);
	if (!k.text) {
		fprintf(stderr, "table-bench: %s: %m\n", path);
		exit(1);
	}
	for (char *line = strtok_r(k.text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (k.count == room) {
			room = room ? room * 2 : 1024;
			k.at = mem_realloc(k.at, room * sizeof *k.at);
			k.len = mem_realloc(k.len, room * sizeof *k.len);
		}
		k.at[k.count] = line;
		k.len[k.count++] = strlen(line);
	}
	return k;
}

static double thread_cpu(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *ask(void *arg)
{
	struct asker *a = arg;
	struct arena *arena = arena_new();
	struct lookup found;
	double start = thread_cpu();
	for (size_t i = 0; i < a->lookups; i++) {
		size_t n = (a->first + i) % a->keys->count;
		arena_reset(arena);
		enum ost_found result =
			table_lookup(a->table, arena, a->keys->at[n], a->keys->len[n], &found);
		a->found += result == OST_FOUND;
		a->failed += result < OST_NOTFOUND;
	}
	a->cpu = thread_cpu() - start;
	arena_destroy(&arena);
	return NULL;
}

static void run(struct table *t, const struct keys *keys, size_t threads, size_t lookups)
{
	struct asker askers[THREADS_MAX];
	pthread_t ids[THREADS_MAX];
	size_t found = 0, failed = 0;
	double cpu = 0;
	int64_t start = clock_mono();
	for (size_t i = 0; i < threads; i++) {
		askers[i] = (struct asker){
			.table = t, .keys = keys, .first = keys->count / threads * i, .lookups = lookups
		};
		if (pthread_create(&ids[i], NULL, ask, &askers[i]) != 0)
			exit(1);
	}
	for (size_t i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		found += askers[i].found;
		failed += askers[i].failed;
		cpu += askers[i].cpu;
	}
	double wall = (double)(clock_mono() - start) / CLOCK_SECOND, all = (double)(threads * lookups);
	printf("{\"threads\": %zu, \"lookups\": %.0f, \"found\": %zu, \"failed\": %zu, \"seconds\": %.3f, "
	       "\"cpu\": %.3f, "
	       "\"per_cpu\": %.0f, \"per_second\": %.0f}\n",
	       threads, all, found, failed, wall, cpu, all / cpu, all / wall);
}

int main(int argc, char **argv)
{
	struct ost_why why = { "" };
	if (argc != 6) {
		fprintf(stderr, "usage: table-bench CONFIG_DIR TYPE:NAME KEYS THREADS LOOKUPS\n");
		return 64;
	}
	struct findings *findings = findings_new();
	struct config *config = config_read(argv[1], NULL, findings);
	size_t threads = strtoul(argv[4], NULL, 10), lookups = strtoul(argv[5], NULL, 10);
	if (!config || threads == 0 || threads > THREADS_MAX) {
		fprintf(stderr, "table-bench: no configuration in %s, or no number of threads\n", argv[1]);
		return 1;
	}
	mod_init(config);
	mod_permit_root(true);
	table_init();
	struct keys keys = read_keys(argv[3]);
	struct table *t = table_open(config_main_view(config), argv[2], &why);
	if (why.text[0]) {
		fprintf(stderr, "table-bench: %s\n", why.text);
		return 1;
	}
	run(t, &keys, 1, lookups < keys.count ? lookups : keys.count); /* pages and caches are warm now */
	run(t, &keys, threads, lookups);
	table_close_all();
	mod_shutdown();
	free(keys.at);
	free(keys.len);
	free(keys.text);
	config_destroy(&config);
	findings_destroy(&findings);
	return 0;
}
