/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/waiter.h"
#include "base/waitheap.h"

static void the_heap_sorts_and_forgets(void **state)
{
	(void)state;
	enum { N = 500 };
	struct heap h = { 0 };
	struct heap_item *items = mem_zalloc(N * sizeof *items);
	unsigned seed = 7;
	for (int i = 0; i < N; i++)
		heap_set(&h, &items[i], rand_r(&seed) % 100);
	for (int i = 0; i < N; i += 3)
		heap_remove(&h, &items[i]);
	for (int i = 1; i < N; i += 3)
		heap_set(&h, &items[i], rand_r(&seed) % 100);
	int64_t last = -1;
	size_t count = 0;
	for (struct heap_item *first; (first = heap_first(&h)); count++) {
		assert_true(first->key >= last);
		last = first->key;
		heap_remove(&h, first);
		assert_int_equal(first->place, 0);
	}
	assert_int_equal(count, N - (N + 2) / 3);
	heap_free(&h);
	free(items);
}

static void io_deadline_and_wake(void **state)
{
	(void)state;
	int pair[2], who = 0;
	void *owner;
	struct waiter *w = waiter_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	struct wait_entry *e = waiter_add(w, pair[0], &who);

	waiter_park(w, e, WAIT_READ, CLOCK_NEVER);
	assert_int_equal(waiter_parked(w), 1);
	assert_int_equal(waiter_take(w, 0, &owner), WAITED_NOTHING);
	assert_int_equal(write(pair[1], "x", 1), 1);
	assert_int_equal(waiter_take(w, CLOCK_NEVER, &owner), WAITED_IO);
	assert_ptr_equal(owner, &who);
	assert_int_equal(waiter_parked(w), 0);
	/* held: the unread byte wakes nobody */
	assert_int_equal(waiter_take(w, 0, &owner), WAITED_NOTHING);

	waiter_park(w, e, WAIT_WRITE, CLOCK_NEVER);
	assert_int_equal(waiter_take(w, CLOCK_NEVER, &owner), WAITED_IO);

	waiter_park(w, e, WAIT_NOTHING, clock_mono() + 2000);
	assert_int_equal(waiter_take(w, CLOCK_NEVER, &owner), WAITED_DEADLINE);

	/* the heap knows an earlier deadline than the true one: it must not fire early */
	int64_t true_deadline = clock_mono() + 60000;
	waiter_park(w, e, WAIT_NOTHING, clock_mono() + 20000);
	waiter_wake(w, e);
	assert_int_equal(waiter_take(w, CLOCK_NEVER, &owner), WAITED_WAKE);
	waiter_park(w, e, WAIT_NOTHING, true_deadline);
	assert_int_equal(waiter_take(w, CLOCK_NEVER, &owner), WAITED_DEADLINE);
	assert_true(clock_mono() >= true_deadline);

	/* woken while held: the next park ends at once */
	waiter_wake(w, e);
	waiter_park(w, e, WAIT_NOTHING, CLOCK_NEVER);
	assert_int_equal(waiter_take(w, CLOCK_NEVER, &owner), WAITED_WAKE);

	waiter_remove(w, &e);
	assert_null(e);
	waiter_stop(w);
	assert_int_equal(waiter_take(w, CLOCK_NEVER, &owner), WAITED_STOP);
	waiter_destroy(&w);
	close(pair[0]);
	close(pair[1]);
}

/* News is what came since the entry was taken, whenever the epoll tells of it; a closed end is always news. */
static void news_are_told_once(void **state)
{
	(void)state;
	enum wait_for news = WAIT_READ | WAIT_NEWS;
	int pair[2], who = 0;
	char c[8];
	void *owner;
	struct waiter *w = waiter_new();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	struct wait_entry *e = waiter_add(w, pair[0], &who);
	assert_int_equal(write(pair[1], "a", 1), 1);
	waiter_park(w, e, news, CLOCK_NEVER); /* the first time, what is there counts */
	assert_int_equal(waiter_take(w, 0, &owner), WAITED_IO);

	waiter_park(w, e, news, CLOCK_NEVER); /* unread, against the rule: not told again */
	assert_int_equal(waiter_take(w, 0, &owner), WAITED_NOTHING);
	assert_int_equal(write(pair[1], "b", 1), 1);
	assert_int_equal(waiter_take(w, 0, &owner), WAITED_IO);
	assert_int_equal(read(pair[0], c, sizeof c), 2);

	assert_int_equal(write(pair[1], "c", 1), 1); /* while it is held, and seen by a thread that looks */
	assert_int_equal(waiter_take(w, 0, &owner), WAITED_NOTHING);
	waiter_park(w, e, news, CLOCK_NEVER);
	assert_int_equal(waiter_take(w, 0, &owner), WAITED_IO);
	assert_int_equal(read(pair[0], c, sizeof c), 1);

	waiter_park(w, e, WAIT_NOTHING, CLOCK_NEVER); /* while only its deadline is waited for */
	assert_int_equal(write(pair[1], "d", 1), 1);
	assert_int_equal(waiter_take(w, 0, &owner), WAITED_NOTHING);
	waiter_wake(w, e);
	assert_int_equal(waiter_take(w, 0, &owner), WAITED_WAKE);
	waiter_park(w, e, news, CLOCK_NEVER);
	assert_int_equal(waiter_take(w, 0, &owner), WAITED_IO);
	assert_int_equal(read(pair[0], c, sizeof c), 1);

	assert_int_equal(write(pair[1], "e", 1), 1); /* the last words and the end come as one event */
	close(pair[1]);
	waiter_park(w, e, news, CLOCK_NEVER);
	assert_int_equal(waiter_take(w, 0, &owner), WAITED_IO);
	assert_int_equal(read(pair[0], c, sizeof c), 1);
	waiter_park(w, e, news, CLOCK_NEVER);
	assert_int_equal(waiter_take(w, 0, &owner), WAITED_IO);
	assert_int_equal(read(pair[0], c, sizeof c), 0);
	waiter_remove(w, &e);
	waiter_destroy(&w);
	close(pair[0]);
}

/* One look brings the events of many; a listener among them may go before its turn. */
static void events_come_in_batches(void **state)
{
	(void)state;
	enum { N = 20 };
	int pairs[N][2], listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct sockaddr_un any = { .sun_family = AF_UNIX }, bound;
	socklen_t len = sizeof bound;
	struct wait_entry *entries[N], *l;
	bool seen[N] = { false };
	void *owner;
	struct waiter *w = waiter_new();
	assert_int_equal(bind(listener, (struct sockaddr *)&any, sizeof any.sun_family), 0);
	assert_int_equal(listen(listener, 5), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&bound, &len), 0);
	for (int i = 0; i < N; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
		entries[i] = waiter_add(w, pairs[i][0], &pairs[i]);
		waiter_park(w, entries[i], WAIT_READ, CLOCK_NEVER);
		assert_int_equal(write(pairs[i][1], "x", 1), 1);
	}
	l = waiter_listen(w, listener, &listener);
	int client = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&bound, len), 0);
	for (int i = 0; i < N; i++) {
		assert_int_equal(waiter_take(w, 0, &owner), WAITED_IO);
		size_t at = (size_t)((int(*)[2])owner - pairs);
		assert_false(seen[at]);
		seen[at] = true;
	}
	for (int i = 0; i < N; i++) /* the listener's event is in the list with these or behind them */
		waiter_park(w, entries[i], WAIT_READ, CLOCK_NEVER);
	enum wait_why why = waiter_take(w, 0, &owner);
	assert_true(why == WAITED_LISTENER || why == WAITED_IO);
	waiter_unlisten(w, &l);
	if (why == WAITED_IO)
		waiter_park(w, entries[(int(*)[2])owner - pairs], WAIT_NOTHING, CLOCK_NEVER);
	for (int left = N - (why == WAITED_IO); left > 0; left--) {
		assert_int_equal(waiter_take(w, 0, &owner), WAITED_IO);
		waiter_park(w, entries[(int(*)[2])owner - pairs], WAIT_NOTHING, CLOCK_NEVER);
	}
	assert_int_equal(waiter_take(w, 0, &owner), WAITED_NOTHING);
	for (int i = 0; i < N; i++) {
		waiter_wake(w, entries[i]);
		assert_int_equal(waiter_take(w, 0, &owner), WAITED_WAKE);
		waiter_remove(w, &entries[i]);
		close(pairs[i][0]);
		close(pairs[i][1]);
	}
	waiter_destroy(&w);
	close(client);
	close(listener);
}

enum { CLIENTS = 40, ROUNDS = 200 };

struct echo { /* a session that sends back what it reads, and naps now and then */
	int fd;
	enum wait_for want; /* to read: each time, or news alone */
	unsigned count;
	struct wait_entry *entry;
};
struct echo_server {
	struct waiter *waiter;
	struct echo echoes[CLIENTS];
	atomic_int closed;
};

static void echo_work(void *ctx, void *owner, enum wait_why why)
{
	struct echo_server *server = ctx;
	struct echo *e = owner;
	char c[2];
	if (why == WAITED_DEADLINE || why == WAITED_WAKE) {
		waiter_park(server->waiter, e->entry, WAIT_READ, clock_mono() + 20 * CLOCK_SECOND);
		return;
	}
	assert_int_equal(why, WAITED_IO);
	ssize_t n = recv(e->fd, c, sizeof c, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN && e->want & WAIT_NEWS) { /* an event of what has been read */
		waiter_park(server->waiter, e->entry, e->want, clock_mono() + 20 * CLOCK_SECOND);
		return;
	}
	if (n == 0) {
		waiter_remove(server->waiter, &e->entry);
		close(e->fd);
		atomic_fetch_add(&server->closed, 1);
		return;
	}
	assert_int_equal(n, 1);
	assert_int_equal(send(e->fd, c, 1, MSG_DONTWAIT), 1);
	if (++e->count % 7 == 0) {
		pool_wait_begin();
		usleep(100);
		pool_wait_end();
	}
	if (e->count % 50 == 0)
		waiter_park(server->waiter, e->entry, WAIT_NOTHING, clock_mono() + 500);
	else if (e->count % 11 == 0) {
		waiter_wake(server->waiter, e->entry);
		waiter_park(server->waiter, e->entry, WAIT_NOTHING, CLOCK_NEVER);
	} else
		waiter_park(server->waiter, e->entry, e->want, clock_mono() + 20 * CLOCK_SECOND);
}

static void *client_main(void *arg)
{
	int *fds = arg;
	for (int round = 0; round < ROUNDS; round++) {
		char sent = (char)round, got = 0;
		for (int i = 0; i < CLIENTS / 2; i++)
			assert_int_equal(send(fds[i], &sent, 1, 0), 1);
		for (int i = 0; i < CLIENTS / 2; i++) {
			assert_int_equal(recv(fds[i], &got, 1, 0), 1);
			assert_int_equal(got, sent);
		}
	}
	for (int i = 0; i < CLIENTS / 2; i++)
		close(fds[i]);
	return NULL;
}

static void many_sessions_on_few_threads(void **state)
{
	(void)state;
	struct echo_server server = { .waiter = waiter_new() };
	struct pool *pool = pool_new(server.waiter, 2, 6, echo_work, &server);
	int fds[CLIENTS];
	for (int i = 0; i < CLIENTS; i++) {
		int pair[2];
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		fds[i] = pair[1];
		server.echoes[i].fd = pair[0];
		server.echoes[i].want = i % 2 ? WAIT_READ : WAIT_READ | WAIT_NEWS;
		server.echoes[i].entry = waiter_add(server.waiter, pair[0], &server.echoes[i]);
		waiter_park(server.waiter, server.echoes[i].entry, WAIT_READ, clock_mono() + 20 * CLOCK_SECOND);
	}
	pool_start(pool);
	pthread_t clients[2];
	for (int i = 0; i < 2; i++)
		pthread_create(&clients[i], NULL, client_main, fds + i * CLIENTS / 2);
	for (int i = 0; i < 2; i++)
		pthread_join(clients[i], NULL);
	while (atomic_load(&server.closed) < CLIENTS)
		usleep(1000);
	struct pool_state now = pool_state(pool);
	assert_true(now.threads <= 6);
	assert_true(now.threads > 2); /* naps made it grow */
	waiter_stop(server.waiter);
	pool_join(&pool);
	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(server.echoes[i].count, ROUNDS);
	waiter_destroy(&server.waiter);
}

static void listeners_stay_armed(void **state)
{
	(void)state;
	struct waiter *w = waiter_new();
	struct sockaddr_un any = { .sun_family = AF_UNIX }, bound;
	socklen_t len = sizeof bound;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof any.sun_family), 0); /* an abstract name */
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&bound, &len), 0);
	struct wait_entry *e = waiter_listen(w, fd, &fd);
	for (int i = 0; i < 2; i++) {
		void *owner;
		int client = socket(AF_UNIX, SOCK_STREAM, 0);
		assert_int_equal(connect(client, (struct sockaddr *)&bound, len), 0);
		assert_int_equal(waiter_take(w, CLOCK_NEVER, &owner), WAITED_LISTENER);
		assert_ptr_equal(owner, &fd);
		int got = accept(fd, NULL, NULL);
		assert_true(got >= 0);
		close(got);
		close(client);
	}
	waiter_unlisten(w, &e);
	waiter_destroy(&w);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_heap_sorts_and_forgets),
		cmocka_unit_test(io_deadline_and_wake),
		cmocka_unit_test(news_are_told_once),
		cmocka_unit_test(events_come_in_batches),
		cmocka_unit_test(many_sessions_on_few_threads),
		cmocka_unit_test(listeners_stay_armed),
	};
	return cmocka_run_group_tests_name("base/waiter", tests, NULL, NULL);
}
