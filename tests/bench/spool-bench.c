/* SPDX-License-Identifier: Apache-2.0
 * How fast the spool is by itself. Not a test.
 *
 * spool-bench FOLDER store [THREADS [MESSAGES [BYTES]]]   commits by many threads, each waiting for its own
 * spool-bench FOLDER scan                                  memory and time of a keeper that finds what is
 * there: see spool-fill The folder is made, and stays. */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/mem.h"
#include "spool/index.h"
#include "spool/keeper.h"

struct source {
	struct spool_writer *writer;
	size_t messages, bytes;
	size_t failed;
};

static struct spool_rcpt rcpt = { .address = "somebody@example.com", .orcpt = "rfc822;somebody@example.com" };
static const struct spool_envelope envelope = {
	.arrival = 1700000000000000,
	.sender = "sender@example.com",
	.message_id = "<20240101000000.12345@client.example.com>",
	.client = { .name = "client.example.com",
		    .address = "192.0.2.17",
		    .port = "43210",
		    .proto = "ESMTP",
		    .helo = "client.example.com",
		    .reverse_name = "client.example.com" },
	.rewrite_context = "remote",
	.rcpts = &rcpt,
	.nrcpts = 1,
};

static void ignore_hint(void *ctx, const void *hint, size_t len)
{
	(void)ctx, (void)hint, (void)len;
}

static void *store_some(void *arg)
{
	struct source *s = arg;
	char *content = mem_alloc(s->bytes);
	memset(content, 'x', s->bytes);
	for (size_t i = 0; i < s->messages; i++) {
		struct spool_draft *d = spool_draft_new(s->writer);
		spool_draft_write(d, content, s->bytes);
		s->failed += spool_draft_commit_wait(&d, &envelope) != SPOOL_STORED;
	}
	free(content);
	return NULL;
}

static double cpu_us(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* All threads store their share. Segments are made before the clock starts, so that only recycled ones are
 * measured. */
static int store(const char *path, size_t threads, size_t messages, size_t bytes)
{
	struct ost_why why;
	size_t record = bytes + 1024, segment = (size_t)256 << 20, failed = 0;
	size_t want = messages * record * 2 / segment + 2;
	struct spool_options o = { .segment_size = segment, .segment_count = want };
	struct spool *s = spool_create(path, &why) ? spool_open(path, &o, &why) : NULL;
	if (!s) {
		fprintf(stderr, "%s\n", why.text);
		return 1;
	}
	struct source *sources = mem_zalloc(threads * sizeof *sources);
	pthread_t *ids = mem_zalloc(threads * sizeof *ids);
	struct spool_writer *w = spool_writer_open(s, ignore_hint, NULL, &why);
	if (!w) {
		fprintf(stderr, "%s\n", why.text);
		return 1;
	}
	int64_t start = clock_mono();
	double cpu = cpu_us();
	for (size_t i = 0; i < threads; i++) {
		sources[i] = (struct source){ .writer = w, .messages = messages / threads, .bytes = bytes };
		pthread_create(&ids[i], NULL, store_some, &sources[i]);
	}
	for (size_t i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		failed += sources[i].failed;
	}
	double n = (double)(messages / threads * threads), wall = (double)(clock_mono() - start);
	printf("%zu threads, %.0f messages of %zu bytes: %.0f a second, %.1f us of wall clock and %.1f us of "
	       "CPU each, "
	       "%zu failed\n",
	       threads, n, bytes, n / wall * 1e6, wall / n, (cpu_us() - cpu) / n, failed);
	spool_writer_close(&w);
	spool_close(&s);
	free(sources);
	free(ids);
	return failed > 0;
}

/* ---- the keeper ---------------------------------------------------------------------------------------------- */

struct counts {
	size_t found;
	bool scanned;
};

static void on_found(void *ctx, const struct keeper_summary *s, const struct spool_envelope *e)
{
	(void)s, (void)e;
	((struct counts *)ctx)->found++;
}

static void on_scanned(void *ctx)
{
	((struct counts *)ctx)->scanned = true;
}

static long resident_kib(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	if (f && fscanf(f, "%*d %ld", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return pages * 4;
}

/* A keeper's first scan. */
static int scan(const char *path)
{
	struct ost_why why;
	struct counts c = { 0 };
	struct keeper_events events = { .found = on_found, .scanned = on_scanned };
	struct spool *s = spool_create(path, &why) ? spool_open(path, NULL, &why) : NULL;
	long before = resident_kib();
	int64_t start = clock_mono();
	double cpu = cpu_us();
	struct keeper *k = s ? keeper_open(s, &events, &c, &why) : NULL;
	if (!k) {
		fprintf(stderr, "%s\n", why.text);
		return 1;
	}
	keeper_scan(k);
	while (!c.scanned) {
		struct pollfd p = { .fd = keeper_fd(k), .events = POLLIN };
		poll(&p, 1, -1);
		keeper_dispatch(k);
	}
	printf("%zu messages found in %.2f s (%.2f s of CPU), %ld KiB more, %.0f bytes each\n", c.found,
	       (double)(clock_mono() - start) / 1e6, (cpu_us() - cpu) / 1e6, resident_kib() - before,
	       (double)(resident_kib() - before) * 1024 / (double)(c.found ? c.found : 1));
	keeper_close(&k);
	spool_close(&s);
	return 0;
}

/* The nth argument as a number. */
static size_t number(int argc, char **argv, int n, size_t otherwise)
{
	return argc > n ? (size_t)strtoull(argv[n], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	if (argc >= 3 && strcmp(argv[2], "store") == 0)
		return store(argv[1], number(argc, argv, 3, 50), number(argc, argv, 4, 100000),
			     number(argc, argv, 5, 4096));
	if (argc == 3 && strcmp(argv[2], "scan") == 0)
		return scan(argv[1]);
	fprintf(stderr, "usage: spool-bench FOLDER store [THREADS [MESSAGES [BYTES]]] | scan\n");
	return 2;
}
