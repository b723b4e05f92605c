/* SPDX-License-Identifier: Apache-2.0
 * A spool with a writer, for the tests of storing and fetching. */
#ifndef TEST_SPOOL_FIXTURE_H
#define TEST_SPOOL_FIXTURE_H

#include "helper.h"

#include "spool/sys.h"

struct fixture {
	char *path;
	struct spool *spool;
	struct spool_writer *writer;
	struct hint_catch hints;
	struct arena *arena;
	struct spool_options options;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);
void fixture_open(struct fixture *);
void fixture_close(struct fixture *);
/* Stores a message of `size` bytes of content number `number`, with a prefix or without. */
enum spool_outcome fixture_store(struct fixture *, size_t size, unsigned number, const char *prefix);
/* The same, written in pieces of that many bytes. */
enum spool_outcome fixture_store_in_pieces(struct fixture *, size_t size, unsigned number, const char *prefix, size_t piece);
/* The nth ticket that was hinted. */
struct ticket fixture_ticket(struct fixture *, size_t n);
/* Fetches by ticket and compares with what fixture_store() made. */
void assert_stored(struct fixture *, const struct ticket *, size_t size, unsigned number, const char *prefix);

struct failing { /* fails the nth step of a kind with an errno value, for as long as told */
	enum sys_step step;
	int countdown, times, error;
	int seen;
};
int fail_step(void *ctx, const struct sys_call *call);

#endif
