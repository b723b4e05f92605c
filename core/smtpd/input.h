/* SPDX-License-Identifier: Apache-2.0
 * What a client has sent and nobody has dealt with yet.
 *
 * While a thread works on a session it lends it a large room to read into (its own); only what is still unread when
 * the session has to wait gets memory of its own, and of its own size. So an idle session holds no buffer. */
#ifndef SMTPD_INPUT_H
#define SMTPD_INPUT_H

#include <stdbool.h>

#include "base/buf.h"
#include "net/channel.h"

enum {
	INPUT_ROOM = 256 * 1024, /* what a working thread lends */
	INPUT_USUAL = 64 * 1024, /* as much of it is used, unless more is asked for: that stays in the processor's cache */
};

struct input { /* {0}: empty */
	char *data;      /* in the room, or in kept */
	size_t at, len;  /* data[at..len) is unread; it may be changed in place */
	bool drained;    /* the last read took all that was there */
	char *room;      /* INPUT_ROOM bytes, or NULL: nobody lends */
	struct buf kept;
};

enum input_got { INPUT_SOME, INPUT_NONE_YET, INPUT_END };

/* The calling thread's room, until it ends: not on its stack, where TLS and modules need theirs. */
char *input_room(void);
/* The loan begins; room must stay until it ends. */
void input_lend(struct input *, char *room);
/* The loan ends: what is unread moves to memory of its own. */
void input_keep(struct input *);
/* Reads what there is, once, without waiting; within a loan. room: INPUT_USUAL, or up to INPUT_ROOM, the most that may be unread
 * then. *n: how many bytes. INPUT_END: the client has closed, or is gone. May move the unread bytes. */
enum input_got input_read(struct input *, struct channel *, size_t room, size_t *n);
void input_free(struct input *);

static inline size_t input_unread(const struct input *in)
{
	return in->len - in->at;
}
static inline char *input_start(const struct input *in)
{
	return in->data + in->at;
}

#endif
