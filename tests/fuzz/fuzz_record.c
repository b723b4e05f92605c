/* SPDX-License-Identifier: Apache-2.0
 * The spool's parsers: bodies, heads, segments and message files. The first byte says which. What a parser
 * accepts must come out the same when it is written and read again. */
#include <assert.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "base/io.h"
#include "spool/envelope.h"
#include "spool/file_wire.h"
#include "spool/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct salt salt = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } };

static void try_envelope(struct arena *a, const char *p, size_t n)
{
	struct spool_envelope *e, *again;
	struct buf one = BUF_INIT, two = BUF_INIT;
	if (envelope_get(a, p, n, &e) == BODY_GOOD) {
		envelope_put(&one, e);
		assert(envelope_get(a, one.data, one.len, &again) == BODY_GOOD);
		envelope_put(&two, envelope_copy(a, again));
		assert(one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
	}
	buf_free(&one);
	buf_free(&two);
}

static void try_update(struct arena *a, const char *p, size_t n)
{
	struct spool_update *u;
	struct spool_rcpt rcpts[2] = { { .address = "a" }, { .address = "b" } };
	struct spool_envelope e = { .rcpts = rcpts, .nrcpts = 2 };
	if (update_get(a, p, n, &u) != BODY_GOOD)
		return;
	update_apply(&e, u);
	for (size_t i = 0; i < u->nrows; i++) { /* the same again is no news */
		const struct result_row *r = &u->rows[i];
		if (r->result.rcpt < 2 && result_apply(&rcpts[r->result.rcpt], r))
			assert(!result_apply(&rcpts[r->result.rcpt], r));
	}
}

static void try_rows(struct arena *a, const char *p, size_t n)
{
	struct result_row *rows;
	struct spool_void *voids;
	size_t count;
	if (results_get(a, p, n, &rows, &count) == BODY_GOOD)
		assert(count <= n);
	if (voids_get(a, p, n, &voids, &count) == BODY_GOOD)
		assert(count <= n / 16);
}

/* The input's numbers as a head that verifies. */
static struct record_head head_from(const char *p, uint64_t at, uint64_t sequence)
{
	uint32_t word[4];
	memcpy(word, p, sizeof word);
	return (struct record_head){ .kind = word[0] % 7,
				     .serial = word[0],
				     .sequence = sequence,
				     .at = at,
				     .content_off = word[1] % 4 ? RECORD_HEAD : word[1],
				     .content_len = word[2],
				     .body_len = word[3] % 3 ? word[3] % 5000 : word[3],
				     .wire = { .is = word[1] & 1, .lf_size = word[1] & 1 ? word[2] - (word[3] & 1) : 0 },
				     .prefix_len = word[2] % 3 };
}

static void count_record(void *ctx, const struct record_head *h, const char *bytes, bool foreign)
{
	uint64_t *total = ctx;
	(void)foreign;
	assert(record_content_good(h, bytes + h->content_off));
	*total += record_length(h);
}

static void count_hole(void *ctx, uint64_t from, const char *bytes, uint64_t len)
{
	uint64_t *total = ctx;
	(void)from;
	assert(len > 0);
	*total += sum_bytes(0, bytes, len).lo == 0; /* every byte is there to be read */
}

/* A segment's bytes, in which the input chooses heads that verify, and sums that are right or wrong. */
static void try_scan(const char *p, size_t n)
{
	static char bytes[64 * 1024];
	struct segment_header h = { .number = 1, .size = sizeof bytes, .salt = salt };
	uint64_t total = 0;
	memset(bytes, 0, sizeof bytes);
	memcpy(bytes, p, n < sizeof bytes ? n : sizeof bytes);
	for (uint64_t at = 0, sequence = 1; at + 24 < n && at < sizeof bytes;
	     at += RECORD_BORDER, sequence++) {
		struct record_head head = head_from(p + at, SEGMENT_HEADER + at, sequence);
		if (p[at + 16] & 1 &&
		    head.content_off + head.content_len + head.body_len <= sizeof bytes - at &&
		    head.prefix_len <= head.content_len) {
			head.content_sum = record_content_sum(head.serial, bytes + at + head.content_off,
							      head.content_len, head.prefix_len);
			head.body_sum = record_body_sum(head.serial, bytes + at + record_body_off(&head),
							head.body_len);
		}
		record_head_put(bytes + at, &head, &salt);
	}
	struct scan s = { .header = &h,
			  .live = n & 1,
			  .from = SEGMENT_HEADER,
			  .record = count_record,
			  .hole = count_hole,
			  .ctx = &total };
	scan_bytes(&s, bytes, sizeof bytes);
	assert(s.read_to <= SEGMENT_HEADER + sizeof bytes && total <= 2 * sizeof bytes);
}

/* A message file whose header and head verify, and whose rest is the input. */
static void try_file(struct arena *a, const char *p, size_t n)
{
	char start[FILE_HEADER + RECORD_HEAD];
	struct file_view v;
	struct ost_why why;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd < 0 || n < 24)
		goto out;
	struct record_head h = head_from(p, FILE_HEADER, 1);
	h.kind = RECORD_MESSAGE;
	uint64_t body = h.content_off + h.content_len - RECORD_HEAD;
	if (body <= n && h.body_len <= n - body)
		h.body_sum = record_body_sum(h.serial, p + body, h.body_len);
	file_header_put(start, h.serial, &salt);
	record_head_put(start + FILE_HEADER, &h, &salt);
	if (io_write_all(fd, start, sizeof start) && io_write_all(fd, p, n) &&
	    file_read_fd(fd, a, &v, &why) == FILE_GOOD)
		(void)file_check_content(&v, &why);
out:
	io_close(&fd);
}

/* The bytes as they are: nothing may verify by itself. */
static void try_raw(struct arena *a, const char *p, size_t n)
{
	struct record_head h;
	struct segment_header s;
	struct file_view v;
	struct ticket t;
	struct ost_why why;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (n >= RECORD_HEAD)
		(void)record_head_get(p, &salt, &h);
	(void)ticket_get(p, n, &t);
	if (fd >= 0 && io_write_all(fd, p, n)) {
		(void)segment_read_header(fd, &s, &why);
		(void)file_read_fd(fd, a, &v, &why);
	}
	io_close(&fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	const char *p = (const char *)data + 1;
	struct arena *a = arena_new();
	switch (data[0] % 6) {
	case 0:
		try_envelope(a, p, size - 1);
		break;
	case 1:
		try_update(a, p, size - 1);
		break;
	case 2:
		try_rows(a, p, size - 1);
		break;
	case 3:
		try_scan(p, size - 1);
		break;
	case 4:
		try_file(a, p, size - 1);
		break;
	default:
		try_raw(a, p, size - 1);
	}
	arena_destroy(&a);
	return 0;
}
