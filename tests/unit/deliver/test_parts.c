/* SPDX-License-Identifier: Apache-2.0
 * The parts of an agent, one by one: the crew, the outbox, log lines, the job protocol, syncs. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/io.h"
#include "deliver/crew.h"
#include "deliver/delivery.h"
#include "deliver/syncer.h"
#include "deliver/userwire.h"
#include "ipc/protocol.h"

/* ---- crew -------------------------------------------------------------------------------------------------------------- */

enum { JOBS = 2000, LIMIT = 7 };

struct count {
	atomic_uint runs[JOBS];
	atomic_uint at_once, most;
};

static void count_job(void *ctx, void *job)
{
	struct count *c = ctx;
	unsigned now = atomic_fetch_add(&c->at_once, 1) + 1, most = atomic_load(&c->most);
	while (now > most && !atomic_compare_exchange_weak(&c->most, &most, now))
		;
	atomic_fetch_add(&c->runs[(size_t)(uintptr_t)job - 1], 1);
	if ((uintptr_t)job % 16 == 0)
		usleep(200);
	atomic_fetch_sub(&c->at_once, 1);
}

static void every_job_runs_once(void **state)
{
	(void)state;
	struct count *c = calloc(1, sizeof *c);
	struct crew *crew = crew_new(LIMIT, LIMIT, count_job, c);
	void *jobs[JOBS];
	for (size_t i = 0; i < JOBS; i++)
		jobs[i] = (void *)(uintptr_t)(i + 1);
	for (size_t at = 0, n; at < JOBS; at += n) { /* from one to a few hundred at a time, with idle moments between */
		n = at % 5 == 0 ? 1 : at % 300 + 1;
		n = n < JOBS - at ? n : JOBS - at;
		crew_add_all(crew, jobs + at, n);
		if (at % 7 == 0)
			usleep(300);
	}
	crew_destroy(&crew);
	assert_null(crew);
	for (size_t i = 0; i < JOBS; i++)
		assert_int_equal(atomic_load(&c->runs[i]), 1);
	assert_in_range(atomic_load(&c->most), 2, LIMIT);
	free(c);
}

struct gate {
	pthread_mutex_t lock; /* guards open, through */
	pthread_cond_t changed;
	bool open;
	unsigned inside;
};

static void wait_at_gate(void *ctx, void *job)
{
	struct gate *g = ctx;
	(void)job;
	pthread_mutex_lock(&g->lock);
	g->inside++;
	pthread_cond_broadcast(&g->changed);
	while (!g->open)
		pthread_cond_wait(&g->changed, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

static void a_stuck_job_holds_up_no_other(void **state)
{
	(void)state;
	struct gate g = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
	struct crew *crew = crew_new(4, 4, wait_at_gate, &g);
	for (int i = 0; i < 6; i++)
		crew_add(crew, &g);
	pthread_mutex_lock(&g.lock);
	while (g.inside < 4) /* as many as may: the fifth and sixth wait for a thread */
		pthread_cond_wait(&g.changed, &g.lock);
	pthread_mutex_unlock(&g.lock);
	assert_int_equal(crew_busy(crew), 6);
	pthread_mutex_lock(&g.lock);
	g.open = true;
	pthread_cond_broadcast(&g.changed);
	pthread_mutex_unlock(&g.lock);
	crew_destroy(&crew);
	assert_int_equal(g.inside, 6);
}

/* Waits until so many jobs are inside. */
static void wait_inside(struct gate *g, unsigned n)
{
	pthread_mutex_lock(&g->lock);
	while (g->inside < n)
		pthread_cond_wait(&g->changed, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

static void open_gate(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->open = true;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

static bool is_the(const void *ctx, const void *job)
{
	return ctx == job;
}

static void jobs_wait_for_those_at_work(void **state)
{
	(void)state;
	struct gate g = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
	static int others[3];
	struct crew *crew = crew_new(10, 2, wait_at_gate, &g);
	crew_add(crew, &g);
	crew_add(crew, &g);
	for (int i = 0; i < 3; i++)
		crew_add(crew, &others[i]);
	wait_inside(&g, 2);
	assert_int_equal(crew_busy(crew), 5);
	assert_null(crew_take(crew, is_the, &g)); /* at work, not waiting */
	assert_ptr_equal(crew_take(crew, is_the, &others[1]), &others[1]);
	assert_null(crew_take(crew, is_the, &others[1]));
	assert_int_equal(crew_busy(crew), 4);
	assert_ptr_equal(crew_take(crew, is_the, &others[2]), &others[2]);
	assert_ptr_equal(crew_take(crew, is_the, &others[0]), &others[0]);
	assert_int_equal(crew_busy(crew), 2);
	open_gate(&g);
	crew_destroy(&crew);
	assert_int_equal(g.inside, 2);
}

static void who_waits_for_too_long_gets_a_thread(void **state)
{
	(void)state;
	struct gate g = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
	const int64_t hour = 3600 * CLOCK_SECOND;
	struct crew *crew = crew_new(5, 2, wait_at_gate, &g);
	for (int i = 0; i < 7; i++)
		crew_add(crew, &g);
	wait_inside(&g, 2);
	int64_t now = clock_mono();
	assert_true(crew_relieve(crew, now, hour)); /* has not waited for so long */
	assert_int_equal(g.inside, 2);
	assert_true(crew_relieve(crew, now + hour, hour)); /* two more at a time, */
	wait_inside(&g, 4);
	assert_true(crew_relieve(crew, now + 3 * hour, hour)); /* and no more than the limit */
	wait_inside(&g, 5);
	assert_true(crew_relieve(crew, now + 5 * hour, hour));
	assert_int_equal(crew_busy(crew), 7);
	open_gate(&g);
	crew_destroy(&crew);
	assert_int_equal(g.inside, 7);
}

/* The linker puts these in the place of the functions. */
static atomic_bool no_threads, no_patience; /* no thread is to be had; who rests has rested long enough */
static atomic_uint rests;
int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __real_sem_clockwait(sem_t *, clockid_t, const struct timespec *);
int __wrap_sem_clockwait(sem_t *, clockid_t, const struct timespec *);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	return atomic_load(&no_threads) ? EAGAIN : __real_pthread_create(thread, attr, run, arg);
}

int __wrap_sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *until)
{
	struct timespec soon;
	if (!atomic_load(&no_patience))
		return __real_sem_clockwait(sem, clock, until);
	atomic_fetch_add(&rests, 1);
	clock_gettime(clock, &soon);
	soon.tv_nsec = soon.tv_nsec < 998000000 ? soon.tv_nsec + 1000000 : soon.tv_nsec;
	return __real_sem_clockwait(sem, clock, &soon);
}

static void who_is_there_does_the_work_of_all(void **state)
{
	(void)state;
	struct gate g = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
	struct crew *crew = crew_new(4, 4, wait_at_gate, &g);
	crew_start(crew);
	atomic_store(&no_threads, true);
	for (int i = 0; i < 4; i++)
		crew_add(crew, &g);
	wait_inside(&g, 1);
	assert_int_equal(crew_busy(crew), 4);
	open_gate(&g);
	crew_destroy(&crew);
	assert_int_equal(g.inside, 4);
	atomic_store(&no_threads, false);
}

static void the_last_thread_stays(void **state)
{
	(void)state;
	struct gate g = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
	struct crew *crew = crew_new(4, 4, wait_at_gate, &g);
	atomic_store(&no_patience, true);
	for (int i = 0; i < 3; i++)
		crew_add(crew, &g);
	wait_inside(&g, 3);
	open_gate(&g);
	for (int i = 0; i < 10000 && atomic_load(&rests) < 20; i++) /* two have left by then */
		usleep(1000);
	atomic_store(&no_threads, true);
	atomic_store(&no_patience, false);
	crew_add(crew, &g);
	crew_destroy(&crew);
	assert_int_equal(g.inside, 4);
	atomic_store(&no_threads, false);
}

/* ---- outbox -------------------------------------------------------------------------------------------------------------- */

static void pair(struct ipc_link **ours, struct ipc_link **theirs)
{
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	*ours = ipc_link_new(fds[0], "agent");
	*theirs = ipc_link_new(fds[1], "qmgr");
}

static void post(struct outbox *o, uint64_t id)
{
	struct buf b = BUF_INIT;
	tlv_put_u64(&b, F_ID, id);
	outbox_add(o, &b);
	assert_null(b.data); /* taken over */
}

/* The F_ID of the next message; 0: none within the time. */
static uint64_t next_id(struct ipc_link *l, int64_t wait)
{
	struct ipc_message m;
	uint64_t id = 0;
	if (ipc_receive(l, &m, clock_mono() + wait) != IPC_GOT)
		return 0;
	assert_int_equal(m.type, M_DELIVERED);
	struct tlv_reader r = tlv_read(m.body, m.len);
	struct tlv f;
	while (tlv_next(&r, &f))
		if (f.type == F_ID)
			assert_true(tlv_u64(&f, &id));
	return id;
}

static void reports_wait_for_a_link_and_for_the_last_inside(void **state)
{
	(void)state;
	struct outbox *o = outbox_new();
	struct ipc_link *ours, *theirs;
	pair(&ours, &theirs);
	post(o, 1);
	assert_false(outbox_empty(o));
	outbox_attach(o, ours);
	assert_int_equal(next_id(theirs, CLOCK_SECOND), 1);
	assert_true(outbox_empty(o));
	outbox_enter(o);
	outbox_enter(o);
	post(o, 2);
	post(o, 3);
	assert_int_equal(next_id(theirs, 1000), 0);
	outbox_leave(o);
	assert_int_equal(next_id(theirs, CLOCK_SECOND), 2);
	assert_int_equal(next_id(theirs, CLOCK_SECOND), 3);
	outbox_leave(o);
	outbox_attach(o, NULL);
	post(o, 4);
	assert_int_equal(next_id(theirs, 1000), 0);
	outbox_attach(o, ours);
	assert_int_equal(next_id(theirs, CLOCK_SECOND), 4);
	outbox_attach(o, NULL);
	outbox_destroy(&o);
	ipc_link_destroy(&ours);
	ipc_link_destroy(&theirs);
}

/* ---- log lines ------------------------------------------------------------------------------------------------------------ */

static void delays_as_postfix_writes_them(void **state)
{
	(void)state;
	static const struct {
		int64_t microseconds;
		int digits;
		const char *text;
	} rows[] = {
		{ 0, 2, "0" },           { 4999, 2, "0" },       { 5000, 2, "0.01" },      { 14000, 2, "0.01" },
		{ 50000, 2, "0.05" },    { 100000, 2, "0.1" },   { 123456, 2, "0.12" },    { 994000, 2, "0.99" },
		{ 999900, 2, "1" },      { 1000000, 2, "1" },    { 1234567, 2, "1.2" },    { 9960000, 2, "10" },
		{ 12345678, 2, "12" },   { 123456789, 2, "123" }, { 3600000000, 2, "3600" }, { -5, 2, "0" },
		{ 1234567, 0, "1" },     { 1234, 6, "0.0012" },  { 12, 6, "0.000012" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf b = BUF_INIT;
		log_seconds(&b, rows[i].microseconds, rows[i].digits);
		assert_string_equal(buf_str(&b), rows[i].text);
		buf_free(&b);
	}
}

/* ---- jobs on the wire -------------------------------------------------------------------------------------------------- */

static void jobs_arrive_as_they_were_sent(void **state)
{
	(void)state;
	struct ipc_link *ours, *theirs;
	struct ost_user_job sent[2], got[2];
	struct ipc_message m;
	struct arena *a = arena_new();
	bool last;
	pair(&ours, &theirs);
	for (int i = 0; i < 2; i++) {
		user_job_init(&sent[i]);
		sent[i].queue_id = "ABC";
		sent[i].path = i ? "b/" : "/spool/user";
		sent[i].args = "x\0y";
		sent[i].args_len = 3;
		sent[i].message_size = 5;
	}
	sent[0].message = "hello";
	sent[1].message_fd = io_memfd("test", "..hello", 7);
	sent[1].message_offset = 2;
	sent[1].message_form = OST_FORM_WIRE;
	sent[1].spool_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(userwire_send(ours, &sent[0], false));
	assert_true(userwire_send(ours, &sent[1], true));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ipc_receive(theirs, &m, clock_mono() + CLOCK_SECOND), IPC_GOT);
		assert_true(userwire_receive(a, &m, &got[i], &last));
		assert_int_equal(last, i);
		assert_string_equal(got[i].queue_id, "ABC");
		assert_string_equal(got[i].path, sent[i].path);
		assert_int_equal(got[i].args_len, 3);
		assert_memory_equal(got[i].args, "x\0y", 3);
		assert_int_equal(got[i].done.status, OST_SENT);
	}
	assert_memory_equal(got[0].message, "hello", 5);
	assert_int_equal(got[0].message_fd, -1);
	char space[8] = { 0 };
	assert_null(got[1].message);
	assert_int_equal(pread(got[1].message_fd, space, 5, (off_t)got[1].message_offset), 5);
	assert_string_equal(space, "hello");
	assert_int_equal(got[0].message_form, OST_FORM_LF);
	assert_int_equal(got[1].message_form, OST_FORM_WIRE);
	assert_true(got[1].spool_fd >= 0);
	user_failed(&got[1].done, OST_BOUNCED, "5.2.2", "full %d", 7);
	struct ost_user_done done[2], *list[] = { &done[0], &done[1] };
	assert_true(userwire_answer(theirs, got, 2));
	assert_int_equal(ipc_receive(ours, &m, clock_mono() + CLOCK_SECOND), IPC_GOT);
	assert_true(userwire_answered(&m, list, 2));
	assert_int_equal(done[0].status, OST_SENT);
	assert_int_equal(done[1].status, OST_BOUNCED);
	assert_string_equal(done[1].dsn, "5.2.2");
	assert_string_equal(done[1].text, "full 7");
	assert_false(userwire_answered(&m, list, 1));
	io_close(&sent[1].message_fd);
	io_close(&sent[1].spool_fd);
	io_close(&got[1].message_fd);
	io_close(&got[1].spool_fd);
	arena_destroy(&a);
	ipc_link_destroy(&ours);
	ipc_link_destroy(&theirs);
}

static void malformed_jobs_are_refused(void **state)
{
	(void)state;
	static const char bytes[64] = { 1, 0, 0, 0, 3, 0, 0, 0, 'A', 'B', 'C' };
	struct arena *a = arena_new();
	for (size_t len = 0; len <= sizeof bytes; len++) {
		struct ipc_message m = { .type = M_JOBS, .body = bytes, .len = len };
		struct ost_user_job j;
		bool last;
		assert_false(userwire_receive(a, &m, &j, &last));
	}
	arena_destroy(&a);
}

/* ---- groups of jobs ---------------------------------------------------------------------------------------------------- */

static int folder_fd; /* of the scratch folder; set once */

/* A job fails at writing when its path is "bad", at publishing when it is "worse"; its file cannot be synced when "pipe". */
static void write_jobs(const void *config, struct ost_user_job *jobs, size_t n)
{
	(void)config;
	for (size_t i = 0; i < n; i++) {
		int fds[2];
		if (strcmp(jobs[i].path, "bad") == 0) {
			user_failed(&jobs[i].done, OST_BOUNCED, "5.2.0", "bad");
		} else if (strcmp(jobs[i].path, "pipe") == 0) {
			assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
			close(fds[0]);
			jobs[i].file_fd = fds[1];
		} else {
			jobs[i].file_fd = openat(folder_fd, "f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		}
		jobs[i].state = &jobs[i];
	}
}

static void publish_jobs(const void *config, struct ost_user_job *jobs, size_t n)
{
	(void)config;
	for (size_t i = 0; i < n; i++) {
		assert_ptr_equal(jobs[i].state, &jobs[i]);
		jobs[i].state = NULL;
		assert_int_equal(jobs[i].file_fd, -1);
		if (jobs[i].done.status == OST_SENT && strcmp(jobs[i].path, "worse") == 0)
			user_failed(&jobs[i].done, OST_DEFERRED, "4.2.0", "worse");
		else if (jobs[i].done.status == OST_SENT)
			jobs[i].dir_fd = dup(folder_fd);
	}
}

static size_t settled; /* jobs that were told their end */

static void settle_jobs(const void *config, struct ost_user_job *jobs, size_t n)
{
	(void)config;
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(jobs[i].dir_fd, -1); /* the folders are synced */
		settled++;
	}
}

static void each_job_of_a_group_has_its_own_outcome(void **state)
{
	(void)state;
	static const struct ost_transport_ops ops = { .ops = { .size = sizeof ops }, .user_write = write_jobs,
							.user_publish = publish_jobs, .user_settle = settle_jobs };
	const struct user_half half = { .module = "test", .ops = &ops };
	static const char *const paths[] = { "good", "bad", "pipe", "good", "worse", "good" };
	enum { N = 6 };
	char scratch[] = "/tmp/ostler-user-XXXXXX";
	assert_non_null(mkdtemp(scratch));
	folder_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct syncer *syncer = syncer_new(3);
	for (int round = 0; round < 2; round++) {
		struct ost_user_job jobs[N];
		for (int i = 0; i < N; i++) {
			user_job_init(&jobs[i]);
			jobs[i].path = paths[i];
		}
		user_run(&half, jobs, N, round ? syncer : NULL);
		for (int i = 0; i < N; i++) {
			bool good = strcmp(paths[i], "good") == 0;
			assert_int_equal(jobs[i].done.status, good ? OST_SENT : i == 1 ? OST_BOUNCED : OST_DEFERRED);
			assert_int_equal(jobs[i].file_fd, -1);
			assert_int_equal(jobs[i].dir_fd, -1);
		}
	}
	assert_int_equal(settled, 2 * N);
	syncer_destroy(&syncer);
	unlinkat(folder_fd, "f", 0);
	close(folder_fd);
	rmdir(scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_job_runs_once),
		cmocka_unit_test(a_stuck_job_holds_up_no_other),
		cmocka_unit_test(jobs_wait_for_those_at_work),
		cmocka_unit_test(who_waits_for_too_long_gets_a_thread),
		cmocka_unit_test(who_is_there_does_the_work_of_all),
		cmocka_unit_test(the_last_thread_stays),
		cmocka_unit_test(reports_wait_for_a_link_and_for_the_last_inside),
		cmocka_unit_test(delays_as_postfix_writes_them),
		cmocka_unit_test(jobs_arrive_as_they_were_sent),
		cmocka_unit_test(malformed_jobs_are_refused),
		cmocka_unit_test(each_job_of_a_group_has_its_own_outcome),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
