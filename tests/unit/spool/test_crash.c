/* SPDX-License-Identifier: Apache-2.0
 * A process that does all that a spool can is stopped before each of its steps in turn, in several ways; then
 * the spool is recovered and compared with a ledger of what was acknowledged: nothing is lost, nothing is
 * half, nothing comes twice. */
#include "actor.h"
#include "stage.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

/* ---- the comparison -------------------------------------------------------------------------- */

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
	assert_int_equal(spool_draft_commit_named(&d, plain_envelope(s->arena, "a@x", "b@x"), m->name, true),
			 SPOOL_STORED);
	stage_run(s, 0.01);
	if (there)
		assert_int_equal(s->nfound, before);
	d = spool_draft_new(s->writer);
	assert_int_equal(spool_draft_commit_named(&d, plain_envelope(s->arena, "a@x", "b@x"), m->name, true),
			 SPOOL_STORED);
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

/* ---- the runs -------------------------------------------------------------------------------- */

/* Runs f in a child; how it ended. */
static int in_child(int (*f)(const char *, struct ledger *, struct disk *), const char *path,
		    struct ledger *l, struct disk *d)
{
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		log_open(&(struct log_to){
			.syslog_name = "ostler", .role = "test", .file = "/dev/null", .fd = -1 });
		alarm(60);
		_exit(f(path, l, d));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* The process ended as it should: killed by us, by its own refusal to answer, or at its end. */
static void assert_ended(int status, enum disk_end end)
{
	if (WIFSIGNALED(status))
		assert_true(WTERMSIG(status) == SIGKILL ||
			    (end == DISK_FAIL && WTERMSIG(status) == SIGABRT) ||
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
	assert_ended(in_child(actor_run, path, ledger, disk), end);
	bool reached = disk_reached(disk);
	disk_cut(disk, n);
	if (recovery) {
		struct ledger *none = ledger;
		disk_arm(disk, end, recovery);
		assert_ended(in_child(actor_recover, path, none, disk), end);
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
