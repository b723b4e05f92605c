/* SPDX-License-Identifier: Apache-2.0 */
#include "actor.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "spool/keeper_state.h"

struct actor {
	struct spool *spool;
	struct spool_writer *writer;
	struct spool_results *results;
	struct keeper *keeper;
	struct ledger *ledger;
	struct arena *arena;
	bool scanned, ok;
	size_t updated;
};

static void on_found(void *ctx, const struct keeper_summary *s, const struct spool_envelope *env)
{
	(void)ctx, (void)s, (void)env;
}

static void on_scanned(void *ctx)
{
	((struct actor *)ctx)->scanned = true;
}

static void on_loaded(void *ctx, uint64_t serial, void *token, const struct spool_envelope *env)
{
	(void)ctx, (void)serial, (void)token, (void)env;
}

static void on_updated(void *ctx, uint64_t serial, void *token, bool ok)
{
	struct actor *a = ctx;
	(void)serial, (void)token;
	a->ok = ok;
	a->updated++;
}

static void on_reread(void *ctx, void *token)
{
	(void)ctx, (void)token;
}

static void on_result(void *ctx, const struct spool_result *r)
{
	(void)ctx, (void)r;
}

static const struct keeper_events events = {
	.found = on_found,
	.scanned = on_scanned,
	.loaded = on_loaded,
	.updated = on_updated,
	.reread = on_reread,
	.result = on_result,
};

static void on_hint(void *ctx, const void *hint, size_t len)
{
	struct actor *a = ctx;
	keeper_hint(a->keeper, hint, len);
}

/* Something is wrong with the test itself, or the code hangs. */
static _Noreturn void give_up(int status)
{
	_exit(status);
}

/* Dispatches until the mover has nothing more to do. */
static void settle(struct actor *a)
{
	int64_t end = clock_mono() + 20 * CLOCK_SECOND;
	while (a->keeper->jobs > 0) {
		struct pollfd p = { .fd = keeper_fd(a->keeper), .events = POLLIN };
		poll(&p, 1, 100);
		keeper_dispatch(a->keeper);
		if (clock_mono() > end)
			give_up(7);
	}
}

/* Stores a message; the entry in the ledger, whether it was stored or not. */
static struct message *store(struct actor *a, size_t size, uint32_t nrcpts, const char *name,
			     uint64_t notice_of)
{
	struct message *m = &a->ledger->messages[a->ledger->n++];
	struct spool_draft *d = spool_draft_new(a->writer);
	*m = (struct message){
		.serial = spool_draft_serial(d), .size = size, .nrcpts = nrcpts, .notice_of = notice_of
	};
	snprintf(m->name, sizeof m->name, "%s", name ? name : "");
	struct spool_envelope *e = plain_envelope(a->arena, "a@example.com", "b@example.com");
	e->nrcpts = nrcpts;
	e->rcpts = arena_alloc(a->arena, nrcpts * sizeof *e->rcpts);
	for (uint32_t i = 0; i < nrcpts; i++)
		e->rcpts[i].address = arena_printf(a->arena, "r%u@example.com", (unsigned)i);
	e->notice_of = notice_of;
	e->notice_round = notice_of ? 1 : 0;
	char *content = mem_alloc(size);
	fill_content(content, size, (unsigned)m->serial);
	spool_draft_write(d, content, size);
	free(content);
	m->stored = (name ? spool_draft_commit_named(&d, e, name, true) : spool_draft_commit_wait(&d, e)) ==
		    SPOOL_STORED;
	settle(a);
	return m;
}

/* An agent's result. */
static void deliver(struct actor *a, struct message *m, uint32_t rcpt, enum rcpt_status status)
{
	struct ost_why why;
	struct buf receipt = BUF_INIT;
	struct spool_result r = {
		.serial = m->serial, .rcpt = rcpt, .status = status, .when = clock_utc(), .dsn = "2.0.0"
	};
	if (!m->stored)
		return;
	m->asked[rcpt] = status;
	if (spool_results_append(a->results, &r, 1, &receipt, &why))
		m->durable[rcpt] = status;
	keeper_receipt(a->keeper, m->serial, buf_str(&receipt), receipt.len);
	buf_free(&receipt);
}

static void update(struct actor *a, struct message *m, uint32_t rcpt, enum rcpt_status status,
		   uint32_t rounds)
{
	int64_t next = 77;
	struct spool_result r = { .serial = m->serial, .rcpt = rcpt, .status = status, .when = clock_utc() };
	struct keeper_change c = { .results = &r, .next_try = &next, .nresults = 1, .notice_round = rounds };
	if (!m->stored)
		return;
	m->asked[rcpt] = status;
	keeper_update(a->keeper, m->serial, &c, NULL);
	settle(a);
	if (a->ok)
		m->durable[rcpt] = status;
}

/* The message leaves, if all of it is done. */
static void finish(struct actor *a, struct message *m)
{
	for (uint32_t i = 0; i < m->nrcpts; i++)
		if (m->durable[i] != RCPT_SENT && m->durable[i] != RCPT_DONE)
			return;
	m->finished = true; /* durably, by its results: whatever happens from here on */
	keeper_finish(a->keeper, m->serial);
}

static void erase(struct actor *a, struct message *m)
{
	if (!m->stored)
		return;
	m->deleting = true;
	keeper_delete(a->keeper, m->serial, NULL);
	settle(a);
	m->deleted = a->ok;
}

/* A minute passes, as far as the keeper knows. */
static void age(struct actor *a)
{
	a->keeper->opened -= 61 * CLOCK_SECOND;
	keeper_tick(a->keeper);
	settle(a);
	keeper_tick(a->keeper);
	settle(a);
}

static void open_all(struct actor *a, const char *path, struct disk *disk)
{
	struct ost_why why;
	struct spool_options o = { .segment_size = SEGMENT,
				   .segment_count = SEGMENTS,
				   .update_limit = 400,
				   .hook = disk_hook,
				   .hook_ctx = disk };
	a->arena = arena_new();
	a->spool = spool_open(path, &o, &why);
	a->keeper = a->spool ? keeper_open(a->spool, &events, a, &why) : NULL;
	if (!a->keeper)
		give_up(0); /* refused, in words: fine */
	keeper_scan(a->keeper);
	settle(a);
	keeper_dispatch(a->keeper);
	a->writer = spool_writer_open(a->spool, on_hint, a, &why);
	a->results = spool_results_open(a->spool, &why);
	if (!a->writer || !a->results)
		give_up(0);
}

static void close_all(struct actor *a)
{
	spool_writer_close(&a->writer);
	spool_results_close(&a->results);
	settle(a);
	keeper_start_look(a->keeper, false);
	settle(a);
	age(a);
	keeper_close(&a->keeper);
	spool_close(&a->spool);
}

/* All there is to do with a spool. */
static void act(struct actor *a)
{
	struct message *quick = store(a, 100, 1, NULL, 0), *mixed = store(a, 5000, 3, NULL, 0);
	struct message *large = store(a, 70000, 1, NULL, 0), *named = store(a, 300, 1, "00ff00ff", 0);
	struct message *retried = store(a, 100, 2, NULL, 0);
	struct message *erased = store(a, 200, 2, NULL, 0), *failed = store(a, 400, 2, NULL, 0);
	deliver(a, quick, 0, RCPT_SENT);
	finish(a, quick);
	deliver(a, mixed, 0, RCPT_SENT);
	update(a, mixed, 1, RCPT_DEFERRED, 0);
	deliver(a, large, 0, RCPT_SENT);
	finish(a, large);
	erase(a, erased);
	for (int i = 0; i < 6; i++) /* enough to have its file written anew */
		update(a, retried, 0, RCPT_DEFERRED, 0);
	deliver(a, named, 0, RCPT_SENT);
	finish(a, named);
	settle(a);
	struct message *bulk[16];
	for (size_t i = 0; i < 16; i++) /* more than the journal holds */
		bulk[i] = store(a, 11000, 1, NULL, 0);
	keeper_tick(a->keeper);
	settle(a);
	keeper_tick(a->keeper); /* moves what is in the emptiest segment */
	settle(a);
	for (size_t i = 0; i < 8; i++) {
		deliver(a, bulk[i], 0, RCPT_SENT);
		finish(a, bulk[i]);
	}
	deliver(a, failed, 0, RCPT_FAILED);
	deliver(a, failed, 1, RCPT_SENT);
	struct message *notice = store(a, 600, 1, NULL, failed->serial);
	deliver(a, notice, 0, RCPT_SENT);
	finish(a, notice);
	update(a, failed, 0, RCPT_DONE, 1);
	finish(a, failed);
	settle(a);
	for (size_t i = 0; i < 6; i++) { /* into recycled segments */
		bulk[i] = store(a, 9000, 1, NULL, 0);
		keeper_tick(a->keeper);
		settle(a);
	}
	deliver(a, mixed, 1, RCPT_SENT);
	deliver(a, mixed, 2, RCPT_SENT);
	finish(a, mixed);
	age(a);
	deliver(a, bulk[5], 0, RCPT_SENT);
	finish(a, bulk[5]);
}

int actor_run(const char *path, struct ledger *ledger, struct disk *disk)
{
	struct actor a = { .ledger = ledger };
	open_all(&a, path, disk);
	act(&a);
	close_all(&a);
	arena_destroy(&a.arena);
	ledger->finished = true;
	return 0;
}

int actor_recover(const char *path, struct ledger *l, struct disk *disk)
{
	struct actor a = { .ledger = l };
	open_all(&a, path, disk);
	age(&a);
	close_all(&a);
	arena_destroy(&a.arena);
	return 0;
}
