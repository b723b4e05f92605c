/* SPDX-License-Identifier: Apache-2.0
 * Reading a segment back: what is behind a bad record of the same batch, and what is inside one. */
#include "helper.h"

#include <string.h>

#include "spool/scan.h"

enum { AREA = 16 * 1024, CONTENT = 700 };

struct area { /* a segment's bytes behind its header, and what a scan told of them */
	struct segment_header header;
	char bytes[AREA];
	uint64_t at, sequence;
	uint64_t seen[32];
	size_t nseen;
	uint64_t hole_from, hole_len;
	size_t nholes;
};

static struct area *area_new(struct arena *a)
{
	struct area *x = arena_alloc(a, sizeof *x);
	x->header = (struct segment_header){ .number = 1, .size = SEGMENT_HEADER + AREA };
	memset(x->header.salt.bytes, 7, sizeof x->header.salt.bytes);
	return x;
}

/* One record behind the last: `content` is CONTENT bytes. Answers its offset in bytes. */
static uint64_t put(struct area *x, uint64_t serial, const char *content)
{
	uint64_t at = round_up(x->at, RECORD_ALIGN);
	struct record_head h = { .kind = RECORD_MESSAGE,
				 .serial = serial,
				 .sequence = ++x->sequence,
				 .at = SEGMENT_HEADER + at,
				 .content_off = RECORD_HEAD,
				 .content_len = CONTENT,
				 .content_sum = record_content_sum(serial, content, CONTENT, 0),
				 .body_sum = record_body_sum(serial, "", 0) };
	record_head_put(x->bytes + at, &h, &x->header.salt);
	memcpy(x->bytes + at + RECORD_HEAD, content, CONTENT);
	x->at = at + RECORD_HEAD + CONTENT;
	return at;
}

static void on_record(void *ctx, const struct record_head *h, const char *bytes, bool foreign)
{
	struct area *x = ctx;
	(void)bytes;
	assert_false(foreign);
	x->seen[x->nseen++] = h->serial;
}

static void on_hole(void *ctx, uint64_t from, const char *bytes, uint64_t len)
{
	struct area *x = ctx;
	(void)bytes;
	x->hole_from = from - SEGMENT_HEADER;
	x->hole_len = len;
	x->nholes++;
}

static void scan(struct area *x)
{
	struct scan s = {
		.header = &x->header, .from = SEGMENT_HEADER, .record = on_record, .hole = on_hole, .ctx = x
	};
	scan_bytes(&s, x->bytes, x->header.end ? x->header.end - SEGMENT_HEADER : AREA);
}

/* Serials 1 to 9 in one batch, over two borders; the byte at `spoil` in number 3 is flipped. */
static void batch_with_a_bad_third(uint64_t spoil)
{
	struct arena *a = arena_new();
	struct area *x = area_new(a);
	char content[CONTENT];
	uint64_t third = 0;
	for (uint64_t serial = 1; serial <= 9; serial++) {
		fill_content(content, CONTENT, (unsigned)serial);
		uint64_t at = put(x, serial, content);
		third = serial == 3 ? at : third;
	}
	x->bytes[third + spoil] ^= 1;
	scan(x);
	assert_int_equal(x->nseen, 8);
	assert_int_equal(x->seen[1], 2);
	assert_int_equal(x->seen[2], 4);
	assert_int_equal(x->seen[7], 9);
	assert_int_equal(x->nholes, 1);
	assert_int_equal(x->hole_from, third);
	assert_int_equal(x->hole_len, round_up(RECORD_HEAD + CONTENT, RECORD_ALIGN));
	arena_destroy(&a);
}

static void a_bad_record_costs_its_batch_nothing_else(void **state)
{
	(void)state;
	batch_with_a_bad_third(0);                 /* the magic number */
	batch_with_a_bad_third(9);                 /* the serial */
	batch_with_a_bad_third(RECORD_HEAD - 1);   /* the sum */
	batch_with_a_bad_third(RECORD_HEAD);       /* the content */
	batch_with_a_bad_third(RECORD_HEAD + 650); /* its end */
}

/* Five records; the last is spoiled at an offset of its own, and how far the segment goes is known or not. */
static void batch_with_a_bad_last(uint64_t spoil, bool closed)
{
	struct arena *a = arena_new();
	struct area *x = area_new(a);
	char content[CONTENT];
	uint64_t last = 0;
	for (uint64_t serial = 1; serial <= 5; serial++) {
		fill_content(content, CONTENT, (unsigned)serial);
		last = put(x, serial, content);
	}
	uint64_t end = round_up(x->at, RECORD_ALIGN);
	memset(x->bytes + round_up(end, RECORD_BORDER), 'x',
	       AREA - round_up(end, RECORD_BORDER)); /* of an earlier life */
	x->header.end = closed ? SEGMENT_HEADER + round_up(end, RECORD_BORDER) : 0;
	x->bytes[last + spoil] ^= 1;
	scan(x);
	assert_int_equal(x->nseen, 4);
	assert_int_equal(x->nholes, 1);
	assert_int_equal(x->hole_from, last);
	assert_true(x->hole_len >= end - last && x->hole_len < end - last + RECORD_BORDER);
	arena_destroy(&a);
}

static void a_bad_last_record_is_kept(void **state)
{
	(void)state;
	for (uint64_t spoil = 0; spoil < 16; spoil++)
		for (int closed = 0; closed < 2; closed++)
			batch_with_a_bad_last(spoil * 8, closed);
	batch_with_a_bad_last(RECORD_HEAD + 9, false);
}

static void records_inside_a_bad_one_are_none(void **state)
{
	(void)state;
	struct arena *a = arena_new();
	struct area *x = area_new(a);
	char content[CONTENT];
	fill_content(content, CONTENT, 1);
	uint64_t first = put(x, 1, content);
	/* True heads of this segment, with good contents, wherever they might be looked for: from another
	 * place. */
	for (size_t at = 0; at + RECORD_HEAD < CONTENT; at += RECORD_HEAD)
		memcpy(content + at, x->bytes + first, RECORD_HEAD);
	uint64_t bad = put(x, 2, content);
	fill_content(content, CONTENT, 3);
	put(x, 3, content);
	x->bytes[bad + 20] ^= 1;
	scan(x);
	assert_int_equal(x->nseen, 2);
	assert_int_equal(x->seen[0], 1);
	assert_int_equal(x->seen[1], 3);
	assert_int_equal(x->nholes, 1);
	arena_destroy(&a);
}

static void a_batch_ends_at_a_border(void **state)
{
	(void)state;
	struct arena *a = arena_new();
	struct area *x = area_new(a);
	char content[CONTENT];
	fill_content(content, CONTENT, 1);
	put(x, 1, content);
	memset(x->bytes + x->at, 'x', AREA - x->at); /* of an earlier life */
	x->at = RECORD_BORDER;
	put(x, 2, content);
	scan(x);
	assert_int_equal(x->nseen, 2);
	arena_destroy(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bad_record_costs_its_batch_nothing_else),
		cmocka_unit_test(a_bad_last_record_is_kept),
		cmocka_unit_test(records_inside_a_bad_one_are_none),
		cmocka_unit_test(a_batch_ends_at_a_border),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
