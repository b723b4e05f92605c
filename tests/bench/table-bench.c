/* SPDX-License-Identifier: Apache-2.0
 * How fast a table answers, from one thread and from several: table-bench [-t threads] [-n lookups] [-k keys]
 * config_dir type:name. The keys are key0, key1 …; what is printed is the time of one lookup in a thread, and
 * lookups a second of all. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/config.h"
#include "module/module.h"
#include "table/table.h"

struct bench {
	struct table *table;
	long lookups;
	size_t keys;
	char (*key)[24];
};

struct asker {
	pthread_t thread;
	const struct bench *bench;
	size_t first; /* key: threads do not march in step */
	long found, failed;
	double cpu; /* nanoseconds: on a busy machine the clock on the wall tells nothing */
};

static void *ask(void *arg)
{
	struct asker *r = arg;
	const struct bench *b = r->bench;
	struct arena *a = arena_new();
	size_t k = r->first;
	for (long i = 0; i < b->lookups; i++) {
		struct lookup found;
		if (i % 64 == 0)
			arena_reset(a);
		k = k + 1 < b->keys ? k + 1 : 0;
		enum ost_found result = table_lookup(b->table, a, b->key[k], strlen(b->key[k]), &found);
		r->found += result == OST_FOUND;
		r->failed += result < OST_NOTFOUND;
	}
	arena_destroy(&a);
	struct timespec used;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	r->cpu = (double)used.tv_sec * 1e9 + (double)used.tv_nsec;
	return NULL;
}

static void run(const struct bench *b, size_t threads)
{
	struct asker *askers = calloc(threads, sizeof *askers);
	int64_t began = clock_mono();
	long found = 0, failed = 0;
	double cpu = 0;
	for (size_t i = 0; askers && i < threads; i++) {
		askers[i] = (struct asker){ .bench = b, .first = i * b->keys / threads };
		if (pthread_create(&askers[i].thread, NULL, ask, &askers[i]) != 0)
			abort();
	}
	for (size_t i = 0; askers && i < threads; i++) {
		pthread_join(askers[i].thread, NULL);
		found += askers[i].found;
		failed += askers[i].failed;
		cpu += askers[i].cpu;
	}
	double seconds = (double)(clock_mono() - began) / (double)CLOCK_SECOND,
	       all = (double)b->lookups * (double)threads;
	printf("%zu threads: %.0f ns of a processor a lookup, %.0f lookups a second; %ld found, %ld failed\n",
	       threads, cpu / all, all / seconds, found, failed);
	free(askers);
}

static struct config *start(const char *folder)
{
	struct findings *findings = findings_new();
	struct config *c = config_read(folder, NULL, findings);
	findings_destroy(&findings);
	if (!c) {
		fprintf(stderr, "the configuration in %s cannot be read\n", folder);
		exit(1);
	}
	mod_permit_root(true);
	mod_init(c);
	table_init();
	return c;
}

int main(int argc, char **argv)
{
	struct bench b = { .lookups = 1000000, .keys = 1000 };
	size_t threads = 1;
	int option;
	while ((option = getopt(argc, argv, "t:n:k:")) != -1) {
		if (option == 't')
			threads = strtoul(optarg, NULL, 10);
		else if (option == 'n')
			b.lookups = strtol(optarg, NULL, 10);
		else if (option == 'k')
			b.keys = strtoul(optarg, NULL, 10);
	}
	if (argc - optind != 2 || threads < 1 || b.keys < 1) {
		fprintf(stderr,
			"usage: table-bench [-t threads] [-n lookups] [-k keys] config_dir type:name\n");
		return 2;
	}
	struct ost_why why = { "" };
	struct config *c = start(argv[optind]);
	b.table = table_open(config_main_view(c), argv[optind + 1], &why);
	b.key = calloc(b.keys, sizeof *b.key);
	if (why.text[0] || !b.key) {
		fprintf(stderr, "%s\n", why.text);
		return 1;
	}
	for (size_t i = 0; i < b.keys; i++)
		snprintf(b.key[i], sizeof b.key[i], "key%zu", i);
	run(&b, threads);
	free(b.key);
	table_close_all();
	mod_shutdown();
	config_destroy(&c);
	return 0;
}
