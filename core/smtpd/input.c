/* SPDX-License-Identifier: Apache-2.0 */
#include "smtpd/input.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static pthread_key_t room_key;
static pthread_once_t room_once = PTHREAD_ONCE_INIT;

static void make_room_key(void)
{
	int error = pthread_key_create(&room_key, free);
	assert(error == 0);
}

char *input_room(void)
{
	(void)pthread_once(&room_once, make_room_key);
	char *room = pthread_getspecific(room_key);
	if (!room) {
		room = mem_alloc(INPUT_ROOM);
		int error = pthread_setspecific(room_key, room);
		assert(error == 0);
	}
	return room;
}

enum { READ_MIN = 4096 }; /* a read asks for as much at least */

void input_lend(struct input *in, char *room)
{
	in->room = room;
	in->drained = false;
}

void input_keep(struct input *in)
{
	size_t left = input_unread(in);
	bool own = in->data && in->data == in->kept.data;
	if (left == 0) {
		buf_free(&in->kept);
		in->data = NULL;
	} else if (!own) {
		buf_reset(&in->kept);
		buf_add(&in->kept, input_start(in), left);
		in->data = in->kept.data;
	} else {
		buf_consume(&in->kept, in->at);
	}
	in->at = 0;
	in->len = left;
	in->room = NULL;
}

/* Moves the unread bytes to the front of the room, or to memory of their own when they leave too little of it; answers how
 * much may be read behind them. */
static size_t make_room(struct input *in, size_t size)
{
	size_t left = input_unread(in);
	if (left + READ_MIN <= size) {
		if (left)
			memmove(in->room, input_start(in), left);
		in->data = in->room;
	} else {
		char *room = in->room;
		input_keep(in);
		in->room = room;
		buf_reserve(&in->kept, READ_MIN);
		in->data = in->kept.data;
	}
	in->at = 0;
	in->len = left;
	return in->data == in->room ? size - left : READ_MIN;
}

enum input_got input_read(struct input *in, struct channel *c, size_t room, size_t *n)
{
	assert(in->room && room <= INPUT_ROOM);
	size_t want = make_room(in, room);
	ssize_t got = channel_read(c, in->data + in->len, want);
	in->drained = got >= 0 ? (size_t)got < want : errno == EAGAIN;
	if (got <= 0)
		return got < 0 && errno == EAGAIN ? INPUT_NONE_YET : INPUT_END;
	if (in->data != in->room)
		in->kept.len += (size_t)got;
	in->len += (size_t)got;
	*n = (size_t)got;
	return INPUT_SOME;
}

void input_free(struct input *in)
{
	buf_free(&in->kept);
	*in = (struct input){ 0 };
}
