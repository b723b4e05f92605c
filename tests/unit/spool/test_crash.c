/* SPDX-License-Identifier: Apache-2.0
 * A process that does all that a spool can is stopped before each of its steps in turn, in several ways; then the spool
 * is recovered and compared with a ledger of what was acknowledged: nothing is lost, nothing is half, nothing comes
 * twice. */
#include "stage.h"
#include "disk.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "spool/keeper_state.h"

enum { MESSAGES = 40, RCPTS = 3, SEGMENT = 64 * 1024, SEGMENTS = 3 };

struct message { /* of the ledger: what the process was told */
	uint64_t serial;
	size_t size;
	uint32_t nrcpts;
	bool stored, finished, deleted, deleting;
	enum rcpt_status durable[RCPTS]; /* the states that were acknowledged */
	enum rcpt_status asked[RCPTS];   /* and those asked for last, acknowledged or not */
	char name[40];                   /* its identity */
	uint64_t notice_of;
};
struct ledger {
	struct message messages[MESSAGES];
	size_t n;
	bool finished; /* the process came to its end */
};

/* ---- the process that is stopped -------------------------------------------------------------------------------- */

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
	.found = on_found, .scanned = on_scanned, .loaded = on_loaded,
	.updated = on_updated, .reread = on_reread, .result = on_result,
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
static struct message *store(struct actor *a, size_t size, uint32_t nrcpts, const char *name, uint64_t notice_of)
{
	struct message *m = &a->ledger->messages[a->ledger->n++];
	struct spool_draft *d = spool_draft_new(a->writer);
	*m = (struct message){ .serial = spool_draft_serial(d), .size = size, .nrcpts = nrcpts, .notice_of = notice_of };
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
	m->stored = (name ? spool_draft_commit_named(&d, e, name) : spool_draft_commit_wait(&d, e)) == SPOOL_STORED;
	settle(a);
	return m;
}

/* An agent's result. */
static void deliver(struct actor *a, struct message *m, uint32_t rcpt, enum rcpt_status status)
{
	struct ost_why why;
	struct buf receipt = BUF_INIT;
	struct spool_result r = { .serial = m->serial, .rcpt = rcpt, .status = status, .when = clock_utc(), .dsn = "2.0.0" };
	if (!m->stored)
		return;
	m->asked[rcpt] = status;
	if (spool_results_append(a->results, &r, 1, &receipt, &why))
		m->durable[rcpt] = status;
	keeper_receipt(a->keeper, m->serial, buf_str(&receipt), receipt.len);
	buf_free(&receipt);
}

static void update(struct actor *a, struct message *m, uint32_t rcpt, enum rcpt_status status, uint32_t rounds)
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
	struct spool_options o = { .segment_size = SEGMENT, .segment_count = SEGMENTS, .update_limit = 400, .hook = disk_hook,
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

static int child(const char *path, struct ledger *ledger, struct disk *disk)
{
	struct actor a = { .ledger = ledger };
	open_all(&a, path, disk);
	act(&a);
	close_all(&a);
	arena_destroy(&a.arena);
	ledger->finished = true;
	return 0;
}

/* ---- the comparison --------------------------------------------------------------------------------------------- */

/* Is everything that was acknowledged in the states that the message has now? */
static void check_states(const struct message *m, const struct spool_envelope *e)
{
	assert_int_equal(e->nrcpts, m->nrcpts);
	for (uint32_t i = 0; i < m->nrcpts; i++) {
		char address[32];
		snprintf(address, sizeof address, "r%u@example.com", (unsigned)i);
		assert_string_equal(e->rcpts[i].address, address);
		assert_true(e->rcpts[i].status == m->durable[i] || e->rcpts[i].status == m->asked[i]);
	}
}

/* May it be gone? What was asked for may have become durable without an acknowledgement. */
static bool may_be_gone(const struct message *m)
{
	bool all = true;
	for (uint32_t i = 0; i < m->nrcpts; i++)
		all = all && (m->asked[i] == RCPT_SENT || m->asked[i] == RCPT_DONE);
	return all || m->finished || m->deleting;
}

/* One message of the ledger. */
static void check_message(struct stage *s, const struct message *m, size_t number)
{
	const struct keeper_summary *f = stage_found(s, m->serial);
	if (m->stored && !may_be_gone(m) && !f)
		fail_msg("message %zu is lost", number);
	if ((m->finished || m->deleted) && f)
		fail_msg("message %zu comes again", number);
	if (!f)
		return;
	struct spool_envelope *e = stage_load(s, m->serial);
	if (!e && !m->stored) /* half of it was there, and has been set aside */
		return;
	assert_non_null(e);
	check_states(m, e);
	stage_check_content(s, m->serial, m->size); /* not half */
}

/* Whoever comes again with an identity that was acknowledged makes no second message. */
static void check_named(struct stage *s, const struct message *m)
{
	if (!m->name[0])
		return;
	size_t before = s->nfound;
	struct spool_draft *d = spool_draft_new(s->writer);
	bool there = m->stored || stage_found(s, m->serial);
	assert_int_equal(spool_draft_commit_named(&d, plain_envelope(s->arena, "a@x", "b@x"), m->name), SPOOL_STORED);
	stage_run(s, 0.01);
	if (there)
		assert_int_equal(s->nfound, before);
	d = spool_draft_new(s->writer);
	assert_int_equal(spool_draft_commit_named(&d, plain_envelope(s->arena, "a@x", "b@x"), m->name), SPOOL_STORED);
	stage_run(s, 0.01);
	assert_true(s->nfound <= before + 1);
}

static void check(char *path, const struct ledger *l)
{
	struct stage *s = stage_at(path, SEGMENT, SEGMENTS);
	for (int round = 0; round < 2; round++) {
		stage_open_keeper(s);
		for (size_t i = 0; i < l->n; i++)
			check_message(s, &l->messages[i], i);
		for (size_t i = 0; i < s->nfound; i++) { /* and nothing else is there */
			bool known = false;
			for (size_t j = 0; j < l->n; j++)
				known |= s->found[i].serial == l->messages[j].serial;
			assert_true(known);
		}
		stage_close_keeper(s);
	}
	stage_open_keeper(s);
	stage_open_writer(s);
	for (size_t i = 0; i < l->n; i++)
		check_named(s, &l->messages[i]);
	uint64_t fresh = stage_store(s, 500, 1); /* life goes on */
	for (size_t i = 0; i < l->n; i++)
		assert_int_not_equal(l->messages[i].serial, fresh);
	stage_check_content(s, fresh, 500);
	stage_free(s);
}

/* ---- the runs --------------------------------------------------------------------------------------------------- */

/* Runs f in a child; how it ended. */
static int in_child(int (*f)(const char *, struct ledger *, struct disk *), const char *path, struct ledger *l,
		    struct disk *d)
{
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		log_open(&(struct log_to){ .syslog_name = "ostler", .role = "test", .file = "/dev/null", .fd = -1 });
		alarm(60);
		_exit(f(path, l, d));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* A recovery that is stopped as well. */
static int recover(const char *path, struct ledger *l, struct disk *disk)
{
	struct actor a = { .ledger = l };
	open_all(&a, path, disk);
	age(&a);
	close_all(&a);
	arena_destroy(&a.arena);
	return 0;
}

/* The process ended as it should: killed by us, by its own refusal to answer, or at its end. */
static void assert_ended(int status, enum disk_end end)
{
	if (WIFSIGNALED(status))
		assert_true(WTERMSIG(status) == SIGKILL || (end == DISK_FAIL && WTERMSIG(status) == SIGABRT) ||
			    (end == DISK_FULL && WTERMSIG(status) == SIGABRT));
	else
		assert_int_equal(WEXITSTATUS(status), 0);
}

/* One run; false when the nth step is past the end. */
static bool run(enum disk_end end, unsigned n, unsigned recovery, struct ledger *ledger)
{
	char *path = scratch_spool();
	struct disk *disk = disk_new(path);
	memset(ledger, 0, sizeof *ledger);
	disk_arm(disk, end, n);
	assert_ended(in_child(child, path, ledger, disk), end);
	bool reached = disk_reached(disk);
	disk_cut(disk, n);
	if (recovery) {
		struct ledger *none = ledger;
		disk_arm(disk, end, recovery);
		assert_ended(in_child(recover, path, none, disk), end);
		disk_cut(disk, n + recovery);
	}
	disk_free(&disk);
	print_message("# end %d at step %u, recovery %u, %s\n", (int)end, n, recovery, path);
	check(path, ledger);
	return reached;
}

/* How long the tests may take: OST_TEST_EVERY=1 takes every step. */
static unsigned stride(unsigned usual)
{
	const char *every = getenv("OST_TEST_EVERY");
	unsigned n = every ? (unsigned)strtoul(every, NULL, 10) : usual;
	return n ? n : 1;
}

static void stopped_at_every_step(enum disk_end end, unsigned usual)
{
	struct ledger *l = mmap(NULL, sizeof *l, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(l != MAP_FAILED);
	unsigned n = 1, by = stride(usual);
	for (; run(end, n, 0, l); n += by)
		;
	assert_true(n > 150); /* it does take that many steps */
	assert_true(l->finished);
	munmap(l, sizeof *l);
}

static void killed_at_every_step(void **state)
{
	(void)state;
	stopped_at_every_step(DISK_KILL, 7);
}

static void killed_in_the_middle_of_writes(void **state)
{
	(void)state;
	stopped_at_every_step(DISK_TORN, 7);
}

static void power_cut_at_every_step(void **state)
{
	(void)state;
	stopped_at_every_step(DISK_CUT, 4);
}

static void power_cut_that_keeps_something(void **state)
{
	(void)state;
	stopped_at_every_step(DISK_SOME, 3);
}

static void every_step_fails_once(void **state)
{
	(void)state;
	stopped_at_every_step(DISK_FAIL, 5);
}

static void the_disk_is_full_from_every_step_on(void **state)
{
	(void)state;
	stopped_at_every_step(DISK_FULL, 11);
}

static void recovery_is_cut_as_well(void **state)
{
	(void)state;
	struct ledger *l = mmap(NULL, sizeof *l, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (unsigned n = 20; n < 180; n += 8 * stride(3))
		for (unsigned m = 1; m < 30; m += stride(3))
			run(DISK_SOME, n, m, l);
	munmap(l, sizeof *l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_at_every_step),
		cmocka_unit_test(killed_in_the_middle_of_writes),
		cmocka_unit_test(power_cut_at_every_step),
		cmocka_unit_test(power_cut_that_keeps_something),
		cmocka_unit_test(every_step_fails_once),
		cmocka_unit_test(the_disk_is_full_from_every_step_on),
		cmocka_unit_test(recovery_is_cut_as_well),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
