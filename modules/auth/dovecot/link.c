/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/dovecot/link.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "shared/stream.h"

enum { HANDSHAKE_LINES = 1000 };

struct waiting { /* a thread's request, on its stack */
	struct waiting *next;
	uint32_t id;
	bool answered;
	struct link_reply *reply;
};

struct link {
	const struct ost_host *host;
	pthread_mutex_t lock; /* guards all but the stream's input, which is the reading thread's */
	pthread_cond_t changed;
	unsigned refs;
	uint32_t last_id;
	unsigned heard; /* lines; wraps around */
	bool reading; /* a thread is in stream_line() */
	bool dead, failed;
	struct ost_why why; /* it is dead */
	struct waiting *waiting;
	struct stream stream;
};

/* ---- life ---------------------------------------------------------------------------------------------------------- */

/* A number that no other client of the server has: process ids are smaller. */
static unsigned client_number(void)
{
	uint32_t n = 0;
	if (getrandom(&n, sizeof n, 0) != sizeof n)
		n = (uint32_t)clock() * 2654435761u;
	return 0x40000000u | (n & 0x3fffffffu);
}

/* Tells who we are, and reads what the server can. */
static bool shake_hands(struct link *l, struct mechanisms *m, int64_t deadline, struct ost_why *why)
{
	static const char *const states[] = { "", "lost connection", "no answer in time", "a line that is too long" };
	char hello[64], *line;
	size_t len;
	bool version = false;
	int n = snprintf(hello, sizeof hello, "VERSION\t1\t1\nCPID\t%u\n", client_number());
	enum stream_state state = stream_write(&l->stream, hello, (size_t)n, deadline, false);
	m->count = 0;
	for (int i = 0; state == STREAM_OK && i < HANDSHAKE_LINES; i++) {
		struct auth_reply r;
		state = stream_line(&l->stream, &line, &len, deadline);
		if (state != STREAM_OK)
			break;
		auth_parse(line, &r);
		if (r.kind == LINE_BAD)
			return l->host->why(why, "it speaks another protocol, or another version of it");
		if (r.kind == LINE_SPID && m->count == 0)
			return l->host->why(why, "it is not the socket for clients (auth-master instead of auth-client?)");
		if (r.kind == LINE_DONE)
			return version || l->host->why(why, "it has not told its version");
		version = version || r.kind == LINE_VERSION;
		if (r.kind == LINE_MECH && !r.hidden && m->count < LINK_MECHS && strlen(r.mechanism) < LINK_NAME) {
			snprintf(m->list[m->count].name, LINK_NAME, "%s", r.mechanism);
			m->list[m->count++].properties = r.properties;
		}
	}
	return l->host->why(why, "no handshake: %s", state == STREAM_OK ? "it has no end" : states[state]);
}

struct link *link_new(const struct ost_host *host, int fd, struct mechanisms *m, int64_t deadline, struct ost_why *why)
{
	struct link *l = calloc(1, sizeof *l);
	if (!l) {
		stream_close(&(struct stream){ .fd = fd });
		host->why(why, "out of memory");
		return NULL;
	}
	l->host = host;
	l->refs = 1;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->changed, NULL);
	stream_init(&l->stream, fd, host->now);
	if (!shake_hands(l, m, deadline, why)) {
		link_unref(l);
		return NULL;
	}
	return l;
}

void link_ref(struct link *l)
{
	pthread_mutex_lock(&l->lock);
	l->refs++;
	pthread_mutex_unlock(&l->lock);
}

void link_unref(struct link *l)
{
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	bool last = --l->refs == 0;
	pthread_mutex_unlock(&l->lock);
	if (!last)
		return;
	stream_close(&l->stream);
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->changed);
	explicit_bzero(l->stream.in, sizeof l->stream.in);
	free(l);
}

/* Lock held. */
static void dies(struct link *l, bool failed, const char *why)
{
	if (l->dead)
		return;
	l->dead = true;
	l->failed = failed;
	l->host->why(&l->why, "%s", why);
	pthread_cond_broadcast(&l->changed);
}

bool link_dead(struct link *l, bool *failed, struct ost_why *why)
{
	pthread_mutex_lock(&l->lock);
	if (!l->dead && !l->reading && !l->waiting && !stream_unread(&l->stream) && !stream_quiet(&l->stream))
		dies(l, false, "the server has closed the connection");
	bool dead = l->dead;
	*failed = l->failed;
	if (dead)
		*why = l->why;
	pthread_mutex_unlock(&l->lock);
	return dead;
}

uint32_t link_next_id(struct link *l)
{
	pthread_mutex_lock(&l->lock);
	uint32_t id = ++l->last_id;
	pthread_mutex_unlock(&l->lock);
	return id;
}

/* ---- requests -------------------------------------------------------------------------------------------------------- */

/* Gives a line to the request that it is for; one that nobody waits for any more is passed over. Lock held. */
static void dispatch(struct link *l, const char *text)
{
	char *line = strdup(text);
	struct auth_reply r;
	if (!line) {
		dies(l, true, "out of memory");
		return;
	}
	auth_parse(line, &r);
	struct waiting *w = r.kind >= LINE_OK ? l->waiting : NULL;
	while (w && w->id != r.id)
		w = w->next;
	if (w && !w->answered) {
		w->answered = true;
		*w->reply = (struct link_reply){ r, line };
		pthread_cond_broadcast(&l->changed);
		return;
	}
	if (r.kind == LINE_BAD)
		dies(l, true, "an answer that is none");
	explicit_bzero(line, strlen(line));
	free(line);
}

/* Reads a line for whom it may concern. Lock held, and let go of meanwhile. */
static void read_one(struct link *l, int64_t deadline)
{
	char *line;
	size_t len;
	l->reading = true;
	pthread_mutex_unlock(&l->lock);
	enum stream_state state = stream_line(&l->stream, &line, &len, deadline);
	pthread_mutex_lock(&l->lock);
	l->reading = false;
	l->heard += state == STREAM_OK;
	if (state == STREAM_OK)
		dispatch(l, line);
	else if (state == STREAM_LOST)
		dies(l, false, "Connection lost to authentication server");
	else if (state == STREAM_LONG)
		dies(l, true, "an answer that is too long");
	pthread_cond_broadcast(&l->changed); /* somebody else may have to read now */
}

static void wait_for_reader(struct link *l, int64_t deadline)
{
	struct timespec until = { .tv_sec = deadline / 1000000, .tv_nsec = deadline % 1000000 * 1000 };
	pthread_cond_clockwait(&l->changed, &l->lock, CLOCK_MONOTONIC, &until);
}

/* Lock held. */
static void forget(struct link *l, const struct waiting *w)
{
	for (struct waiting **at = &l->waiting; *at; at = &(*at)->next) {
		if (*at == w) {
			*at = w->next;
			return;
		}
	}
}

/* Lock held. */
static void send_line(struct link *l, const char *line, size_t len, int64_t deadline)
{
	if (!l->dead && stream_write(&l->stream, line, len, deadline, false) != STREAM_OK)
		dies(l, false, "Connection lost to authentication server");
}

bool link_ask(struct link *l, uint32_t id, const char *line, size_t len, int64_t deadline, struct link_reply *reply, bool *lost,
	      struct ost_why *why)
{
	struct waiting w = { .id = id, .reply = reply };
	pthread_mutex_lock(&l->lock);
	unsigned heard = l->heard;
	w.next = l->waiting;
	l->waiting = &w;
	send_line(l, line, len, deadline);
	while (!w.answered && !l->dead && l->host->now() < deadline) {
		if (l->reading)
			wait_for_reader(l, deadline);
		else
			read_one(l, deadline);
	}
	forget(l, &w);
	bool late = !w.answered && !l->dead;
	if (late && l->heard == heard) /* not a word: others need not wait for it, and had better ask anew */
		dies(l, false, "no answer in time");
	*lost = !w.answered && !late && !l->failed;
	if (late)
		l->host->why(why, "no answer in time");
	else if (!w.answered)
		*why = l->why;
	pthread_mutex_unlock(&l->lock);
	return w.answered;
}

void link_tell(struct link *l, const char *line, size_t len, int64_t deadline)
{
	pthread_mutex_lock(&l->lock);
	send_line(l, line, len, deadline);
	pthread_mutex_unlock(&l->lock);
}
