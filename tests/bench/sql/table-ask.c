/* SPDX-License-Identifier: Apache-2.0
 * Asks one table from many threads and says how it went:
 *
 *     table-ask CONFIGURATION-FOLDER TYPE:NAME THREADS SECONDS <lines of "key TAB value"
 *
 * Every 100 ms a line on standard output, and one with the sums at the end, of `name=number` words: answers
 * that were right, that were "try again", that were wrong, and the longest time that one took in that while,
 * in microseconds. A value that is left out means "not found". SIGTERM ends it before its time. Who gets "try
 * again" waits a moment, as a session would. */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "config/config.h"
#include "module/module.h"
#include "module/pools.h"
#include "table/table.h"

enum { THREADS_MAX = 1000, MOMENT_US = 2000, STEP_US = 100000 };

struct pair {
	char *key, *value; /* value NULL: not found */
};

static struct pair *pairs;
static size_t count;
static struct table *table;
static atomic_bool finish;
static _Atomic uint64_t good, later, wrong, worst;
static volatile sig_atomic_t stop;

static void on_stop(int number)
{
	(void)number;
	stop = 1;
}

static void note_time(uint64_t us)
{
	uint64_t seen = atomic_load(&worst);
	while (us > seen && !atomic_compare_exchange_weak(&worst, &seen, us))
		;
}

static void judge(enum ost_found result, const struct lookup *found, const struct pair *p)
{
	if (result < OST_NOTFOUND) {
		atomic_fetch_add(&later, 1);
		usleep(MOMENT_US);
	} else if (result == OST_FOUND ? p->value && strcmp(found->value, p->value) == 0 : p->value == NULL) {
		atomic_fetch_add(&good, 1);
	} else {
		atomic_fetch_add(&wrong, 1);
	}
}

static void *asker(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	struct arena *a = arena_new();
	while (!atomic_load(&finish)) {
		struct lookup found;
		const struct pair *p = &pairs[(size_t)rand_r(&seed) % count];
		int64_t start = clock_mono();
		arena_reset(a);
		enum ost_found result = table_lookup(table, a, p->key, strlen(p->key), &found);
		note_time((uint64_t)(clock_mono() - start));
		judge(result, &found, p);
	}
	arena_destroy(&a);
	return NULL;
}

static void read_pairs(void)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	while ((n = getline(&line, &room, stdin)) > 0) {
		line[n - (line[n - 1] == '\n')] = '\0';
		char *tab = strchr(line, '\t');
		if (tab)
			*tab++ = '\0';
		pairs = mem_realloc_array(pairs, count + 1, sizeof *pairs);
		pairs[count++] = (struct pair){ mem_strdup(line), tab ? mem_strdup(tab) : NULL };
	}
	free(line);
}

static void report(const char *what, int64_t since, uint64_t g, uint64_t l, uint64_t w, uint64_t longest)
{
	printf("%s ms=%" PRId64 " good=%" PRIu64 " later=%" PRIu64 " wrong=%" PRIu64 " worst=%" PRIu64 "\n",
	       what, (clock_mono() - since) / 1000, g, l, w, longest);
	fflush(stdout);
}

static void watch(int64_t seconds)
{
	int64_t start = clock_mono();
	uint64_t g = 0, l = 0, w = 0, longest = 0;
	while (!stop && clock_mono() < start + seconds * CLOCK_SECOND) {
		usleep(STEP_US);
		mod_pools_tidy();
		uint64_t g1 = atomic_load(&good), l1 = atomic_load(&later), w1 = atomic_load(&wrong),
			 t = atomic_exchange(&worst, 0);
		report("step", start, g1 - g, l1 - l, w1 - w, t);
		g = g1;
		l = l1;
		w = w1;
		longest = t > longest ? t : longest;
	}
	report("sum", start, g, l, w, longest);
}

static struct config *start_modules(const char *folder)
{
	struct findings *findings = findings_new();
	struct config *c = config_read(folder, NULL, findings);
	findings_destroy(&findings);
	if (!c) {
		fprintf(stderr, "table-ask: %s: cannot be read\n", folder);
		exit(1);
	}
	mod_permit_root(true);
	mod_init(c);
	table_init();
	return c;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];
	struct ost_why why = { "" };
	int n = argc == 5 ? (int)strtol(argv[3], NULL, 10) : 0;
	if (n < 1 || n > THREADS_MAX) {
		fprintf(stderr, "usage: table-ask folder type:name threads seconds <keys\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_stop);
	read_pairs();
	struct config *c = start_modules(argv[1]);
	table = table_open(config_main_view(c), argv[2], &why);
	if (why.text[0] || count == 0) {
		fprintf(stderr, "table-ask: %s: %s\n", argv[2], count ? why.text : "no keys");
		return 1;
	}
	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, asker, (void *)(uintptr_t)(i + 1)) != 0)
			abort();
	watch(strtol(argv[4], NULL, 10));
	atomic_store(&finish, true);
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	table_close_all();
	mod_shutdown();
	config_destroy(&c);
	for (size_t i = 0; i < count; i++) {
		free(pairs[i].key);
		free(pairs[i].value);
	}
	free(pairs);
	return 0;
}
