/* SPDX-License-Identifier: Apache-2.0
 * Clients are answered when there are no descriptors left. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "smtpd/spare.h"

enum { CLIENTS = 3, FILLERS_MAX = 256 };

struct scene { /* a listening socket with clients that wait, and no descriptor left */
	struct spare *spare;
	int listener, clients[CLIENTS], fillers[FILLERS_MAX];
	size_t nfillers;
	struct rlimit before;
};

static int take_one(const struct scene *sc)
{
	return accept4(sc->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static void open_scene(struct scene *sc)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX }; /* the system chooses one */
	socklen_t len = sizeof name;
	*sc = (struct scene){ .listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) };
	assert_int_equal(bind(sc->listener, (struct sockaddr *)&name, sizeof name.sun_family), 0);
	assert_int_equal(listen(sc->listener, CLIENTS), 0);
	assert_int_equal(getsockname(sc->listener, (struct sockaddr *)&name, &len), 0);
	for (size_t i = 0; i < CLIENTS; i++) {
		sc->clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(sc->clients[i], (struct sockaddr *)&name, len), 0);
	}
	sc->spare = spare_new("mx.example.test");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &sc->before), 0);
	struct rlimit few = { .rlim_cur = FILLERS_MAX, .rlim_max = sc->before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (int fd; (fd = dup(sc->listener)) >= 0;)
		sc->fillers[sc->nfillers++] = fd;
}

static void close_scene(struct scene *sc)
{
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &sc->before), 0);
	spare_destroy(&sc->spare);
	assert_null(sc->spare);
	while (sc->nfillers > 0)
		close(sc->fillers[--sc->nfillers]);
	for (size_t i = 0; i < CLIENTS; i++)
		close(sc->clients[i]);
	close(sc->listener);
}

/* What the client was told before its connection ended. */
static void assert_refused(int client)
{
	char text[600];
	size_t at = 0;
	ssize_t n;
	while ((n = recv(client, text + at, sizeof text - at - 1, MSG_DONTWAIT)) > 0)
		at += (size_t)n;
	text[at] = '\0';
	assert_int_equal(n, 0);
	assert_string_equal(text,
			    "421 4.3.2 mx.example.test Error: too many connections, try again later\r\n");
}

static void clients_are_refused_one_by_one(void **state)
{
	struct scene sc;
	(void)state;
	open_scene(&sc);
	assert_int_equal(take_one(&sc), -1);
	assert_int_equal(errno, EMFILE);
	for (size_t i = 0; i < CLIENTS; i++) {
		assert_true(spare_refuse(sc.spare, sc.listener));
		assert_refused(sc.clients[i]);
	}
	assert_false(spare_refuse(sc.spare, sc.listener)); /* no client waits */
	close_scene(&sc);
}

static void sessions_get_what_becomes_free(void **state)
{
	struct scene sc;
	(void)state;
	open_scene(&sc);
	assert_true(spare_refuse(sc.spare, sc.listener));
	close(sc.fillers[--sc.nfillers]);
	int fd = take_one(&sc);
	assert_true(fd >= 0);
	assert_true(spare_refuse(sc.spare, sc.listener)); /* the spare one is still there */
	assert_refused(sc.clients[2]);
	close(fd);
	close_scene(&sc);
}

static void a_lost_spare_is_found_again(void **state)
{
	struct scene sc;
	(void)state;
	open_scene(&sc);
	struct rlimit few = { .rlim_cur = (rlim_t)sc.listener, .rlim_max = sc.before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_false(spare_refuse(sc.spare, sc.listener)); /* not even what is given back may be taken */
	few.rlim_cur = FILLERS_MAX;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_true(spare_refuse(sc.spare, sc.listener));
	assert_refused(sc.clients[0]);
	close_scene(&sc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients_are_refused_one_by_one),
		cmocka_unit_test(sessions_get_what_becomes_free),
		cmocka_unit_test(a_lost_spare_is_found_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
