/* SPDX-License-Identifier: Apache-2.0
 * A session's input: what is unread survives the end of each loan, at every length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "smtpd/input.h"

/* A byte that tells its place in the stream. */
static char byte_at(size_t n)
{
	return (char)(n * 31 + n / 251);
}

/* Sends a stream in pieces, of which the session leaves `left` bytes unread each time it waits. Most reads are of the usual size;
 * one in four may be larger. */
static void check_stream(size_t piece, size_t left)
{
	enum { TOTAL = 400000 };
	int reads = 0;
	int pair[2];
	size_t sent = 0, taken = 0, n;
	struct input in = { 0 };
	char *room = malloc(INPUT_ROOM), *out = malloc(piece);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	while (sent < TOTAL) {
		for (size_t i = 0; i < piece; i++)
			out[i] = byte_at(sent + i);
		assert_int_equal(send(pair[1], out, piece, 0), piece);
		sent += piece;
		memset(room, 0x55, INPUT_ROOM);
		input_lend(&in, room);
		while (!in.drained && input_read(&in, &(struct channel){ .fd = pair[0] }, reads++ % 4 == 2 ? INPUT_ROOM : INPUT_USUAL, &n) == INPUT_SOME) {
			for (; input_unread(&in) > left; in.at++, taken++)
				assert_int_equal(*input_start(&in), byte_at(taken));
		}
		input_keep(&in);
		assert_true(input_unread(&in) <= left);
		assert_int_equal(taken + input_unread(&in), sent);
	}
	close(pair[1]);
	input_lend(&in, room);
	assert_int_equal(input_read(&in, &(struct channel){ .fd = pair[0] }, INPUT_USUAL, &n), INPUT_END);
	for (; input_unread(&in) > 0; in.at++, taken++)
		assert_int_equal(*input_start(&in), byte_at(taken));
	assert_int_equal(taken, sent);
	input_keep(&in);
	assert_null(in.kept.data); /* nothing unread, nothing held */
	input_free(&in);
	free(room);
	free(out);
	close(pair[0]);
}

static void unread_bytes_survive(void **state)
{
	(void)state;
	static const size_t pieces[] = { 1000, 4096, 65536, 100000 };
	static const size_t left[] = { 0, 1, 3000, 61440, 61441, 65536, 150000 };
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
		for (size_t k = 0; k < sizeof left / sizeof *left; k++)
			check_stream(pieces[i], left[k]);
}

static void nothing_to_read_is_not_the_end(void **state)
{
	(void)state;
	int pair[2];
	size_t n = 0;
	struct input in = { 0 };
	char *room = malloc(INPUT_ROOM);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	input_lend(&in, room);
	assert_false(in.drained);
	assert_int_equal(input_read(&in, &(struct channel){ .fd = pair[0] }, INPUT_USUAL, &n), INPUT_NONE_YET);
	assert_true(in.drained);
	input_keep(&in);
	assert_int_equal(write(pair[1], "half", 4), 4);
	input_lend(&in, room);
	assert_false(in.drained);
	assert_int_equal(input_read(&in, &(struct channel){ .fd = pair[0] }, INPUT_USUAL, &n), INPUT_SOME);
	assert_int_equal(n, 4);
	assert_true(in.drained); /* it gave less than there was room for */
	input_keep(&in);
	memset(room, 0, INPUT_ROOM);
	assert_memory_equal(input_start(&in), "half", 4);
	input_free(&in);
	free(room);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unread_bytes_survive),
		cmocka_unit_test(nothing_to_read_is_not_the_end),
	};
	return cmocka_run_group_tests_name("smtpd/input", tests, NULL, NULL);
}
