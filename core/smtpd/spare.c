/* SPDX-License-Identifier: Apache-2.0 */
#include "smtpd/spare.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"

#define SPARE_MAGIC 0x53e57001u

struct spare {
	unsigned magic;
	char reply[512];       /* RFC 5321, 4.5.3.1.5 */
	pthread_mutex_t lock;  /* guards what follows */
	int fd;                /* -1: lost; there was none when it was to be taken back */
	int64_t told;          /* clock_mono() of the last line in the log */
	unsigned long refused; /* since then */
};

struct spare *spare_new(const char *myhostname)
{
	struct spare *s = MEM_NEW(struct spare);
	s->magic = SPARE_MAGIC;
	snprintf(s->reply, sizeof s->reply - 2, "421 4.3.2 %s Error: too many connections, try again later",
		 myhostname);
	memcpy(s->reply + strlen(s->reply), "\r\n", 3);
	s->told = clock_mono() - CLOCK_SECOND;
	pthread_mutex_init(&s->lock, NULL);
	s->fd = eventfd(0, EFD_CLOEXEC); /* anything that needs no file and no right */
	return s;
}

void spare_destroy(struct spare **sp)
{
	struct spare *s = *sp;
	if (!s)
		return;
	CHECK_MAGIC(s, SPARE_MAGIC);
	io_close(&s->fd);
	pthread_mutex_destroy(&s->lock);
	s->magic = 0;
	free(s);
	*sp = NULL;
}

/* At most one line a second, however many come. The lock is held. */
static void tell(struct spare *s)
{
	int64_t now = clock_mono();
	s->refused++;
	if (now - s->told < CLOCK_SECOND)
		return;
	log_warning("too many open files: %lu clients told to try again later", s->refused);
	s->told = now;
	s->refused = 0;
}

bool spare_refuse(struct spare *s, int listener)
{
	CHECK_MAGIC(s, SPARE_MAGIC);
	pthread_mutex_lock(&s->lock);
	io_close(&s->fd);
	int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (client >= 0) {
		/* Nothing has been sent before: it fits, or the client is gone. */
		(void)send(client, s->reply, strlen(s->reply), MSG_NOSIGNAL);
		close(client);
	}
	s->fd = eventfd(0, EFD_CLOEXEC);
	if (client >= 0)
		tell(s); /* a log that must be opened does not get it */
	pthread_mutex_unlock(&s->lock);
	return client >= 0;
}
