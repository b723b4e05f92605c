/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ipc/link.h"

struct pair {
	struct ipc_link *a, *b;
};

static int setup(void **state)
{
	int fds[2];
	struct pair *p = MEM_NEW(struct pair);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	p->a = ipc_link_new(fds[0], "left");
	p->b = ipc_link_new(fds[1], "right");
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct pair *p = *state;
	ipc_link_destroy(&p->a);
	ipc_link_destroy(&p->b);
	free(p);
	return 0;
}

static void messages_arrive_in_order(void **state)
{
	struct pair *p = *state;
	struct ipc_message m;
	ipc_cork(p->a);
	for (unsigned i = 1; i <= 100; i++)
		assert_true(ipc_send(p->a, i, &i, sizeof i));
	assert_true(ipc_uncork(p->a));
	for (unsigned i = 1; i <= 100; i++) {
		assert_int_equal(ipc_receive(p->b, &m, CLOCK_NEVER), IPC_GOT);
		assert_int_equal(m.type, i);
		assert_int_equal(m.len, sizeof i);
		assert_memory_equal(m.body, &i, sizeof i);
	}
	assert_string_equal(ipc_link_peer(p->b), "left");
	assert_int_equal(ipc_receive(p->b, &m, 0), IPC_AGAIN);
}

static void descriptors_travel_with_their_message(void **state)
{
	struct pair *p = *state;
	struct ipc_message m;
	int pipe_fds[2];
	char text[3];
	assert_int_equal(pipe(pipe_fds), 0);
	assert_true(ipc_send(p->a, 1, "x", 1));
	assert_true(ipc_send_fds(p->a, 2, "y", 1, &pipe_fds[0], 1));
	assert_true(ipc_send(p->a, 3, "z", 1));
	assert_int_equal(ipc_receive(p->b, &m, CLOCK_NEVER), IPC_GOT);
	assert_int_equal(m.nfds, 0);
	assert_int_equal(ipc_receive(p->b, &m, CLOCK_NEVER), IPC_GOT);
	assert_int_equal(m.type, 2);
	assert_int_equal(m.nfds, 1);
	assert_int_equal(write(pipe_fds[1], "abc", 3), 3);
	assert_int_equal(read(m.fds[0], text, 3), 3);
	assert_memory_equal(text, "abc", 3);
	close(m.fds[0]);
	assert_int_equal(ipc_receive(p->b, &m, CLOCK_NEVER), IPC_GOT);
	assert_int_equal(m.nfds, 0);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static size_t open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void too_many_descriptors_end_the_link_and_leave_none_open(void **state)
{
	struct pair *p = *state;
	struct ipc_message m;
	enum { MANY = IPC_FDS_MAX + 3 };
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * MANY)];
	} control = { 0 };
	struct iovec iov = { .iov_base = "x", .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int fds[MANY];
	for (int i = 0; i < MANY; i++)
		fds[i] = 0;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fds);
	memcpy(CMSG_DATA(c), fds, sizeof fds);
	assert_true(sendmsg(ipc_link_fd(p->a), &msg, 0) > 0);
	size_t before = open_descriptors();
	assert_int_equal(ipc_receive(p->b, &m, 0), IPC_CLOSED);
	ipc_link_destroy(&p->b);
	assert_int_equal(open_descriptors(), before - 1);
}

static void descriptors_that_wait_are_not_inherited(void **state)
{
	struct pair *p = *state;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), next = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	close(next); /* the number of the copy that waits in the queue */
	ipc_cork(p->a);
	assert_true(ipc_send_fds(p->a, 1, "x", 1, &fd, 1));
	assert_true(fcntl(next, F_GETFD) & FD_CLOEXEC);
	assert_true(ipc_uncork(p->a));
	close(fd);
}

static void what_finds_no_room_waits(void **state)
{
	struct pair *p = *state;
	struct ipc_message m;
	enum { SIZE = 60000, COUNT = 50 };
	char *body = mem_zalloc(SIZE);
	ipc_link_set_nonblock(p->a, true);
	for (unsigned i = 0; i < COUNT; i++) {
		memset(body, (int)i, SIZE);
		assert_true(ipc_send(p->a, i + 1, body, SIZE));
	}
	assert_true(ipc_link_pending(p->a));
	for (unsigned i = 0; i < COUNT; i++) {
		while (ipc_receive(p->b, &m, 0) != IPC_GOT)
			assert_true(ipc_link_flush(p->a));
		assert_int_equal(m.type, i + 1);
		assert_int_equal((unsigned char)m.body[SIZE - 1], i);
	}
	assert_false(ipc_link_pending(p->a));
	free(body);
}

static void a_dead_peer_is_the_end_not_a_signal(void **state)
{
	struct pair *p = *state;
	struct ipc_message m;
	ipc_link_destroy(&p->b);
	assert_false(ipc_send(p->a, 1, "x", 1));
	assert_false(ipc_send(p->a, 1, "x", 1));
	assert_int_equal(ipc_receive(p->a, &m, CLOCK_NEVER), IPC_CLOSED);
}

static void a_stranger_is_refused(void **state)
{
	struct pair *p = *state;
	struct ipc_message m;
	struct buf b = BUF_INIT;
	tlv_put(&b, 7, 0, "no hello", 8);
	assert_int_equal(write(ipc_link_fd(p->a), b.data, b.len), b.len);
	assert_int_equal(ipc_receive(p->b, &m, CLOCK_NEVER), IPC_CLOSED);
	buf_free(&b);
}

enum { THREADS = 8, EACH = 2000 };
static void *send_many(void *arg)
{
	for (uint64_t i = 0; i < EACH; i++)
		ipc_send(arg, 5, &i, sizeof i);
	return NULL;
}

static void many_threads_send_at_once(void **state)
{
	struct pair *p = *state;
	pthread_t t[THREADS];
	struct ipc_message m;
	uint64_t sum = 0;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, send_many, p->a), 0);
	for (int i = 0; i < THREADS * EACH; i++) {
		uint64_t v;
		assert_int_equal(ipc_receive(p->b, &m, CLOCK_NEVER), IPC_GOT);
		memcpy(&v, m.body, sizeof v);
		sum += v;
	}
	assert_int_equal(sum, (uint64_t)THREADS * EACH * (EACH - 1) / 2);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(messages_arrive_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(descriptors_travel_with_their_message, setup, teardown),
		cmocka_unit_test_setup_teardown(too_many_descriptors_end_the_link_and_leave_none_open, setup, teardown),
		cmocka_unit_test_setup_teardown(descriptors_that_wait_are_not_inherited, setup, teardown),
		cmocka_unit_test_setup_teardown(what_finds_no_room_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(a_dead_peer_is_the_end_not_a_signal, setup, teardown),
		cmocka_unit_test_setup_teardown(a_stranger_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(many_threads_send_at_once, setup, teardown),
	};
	return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
