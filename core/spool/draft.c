/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/draft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"

/* Files are written in whole blocks of this size, at multiples of it: the page cache then keeps them in large pieces. */
enum { FIRST_ROOM = 6 * 1024, BLOCK = 64 * 1024, CONVERT = 16 * 1024 };

struct spool_draft *spool_draft_new(struct spool_writer *w)
{
	CHECK_MAGIC(w, WRITER_MAGIC);
	struct spool_draft *d = MEM_NEW(struct spool_draft);
	struct ost_why why;
	d->magic = DRAFT_MAGIC;
	d->writer = w;
	d->file.fd = -1;
	atomic_fetch_add(&w->drafts, 1);
	if (!serial_draw(w->spool, &d->serial, &why)) {
		d->error = errno == ENOSPC || errno == EDQUOT ? errno : EIO;
		log_error("spool: no serial for a new message: %s", why.text);
	}
	buf_reserve(&d->text, DRAFT_ROOM + FIRST_ROOM);
	d->text.len = DRAFT_ROOM;
	return d;
}

uint64_t spool_draft_serial(const struct spool_draft *d)
{
	CHECK_MAGIC(d, DRAFT_MAGIC);
	return d->serial;
}

uint64_t spool_draft_size(const struct spool_draft *d)
{
	CHECK_MAGIC(d, DRAFT_MAGIC);
	return d->size;
}

/* Brings the budget up to date; true: the process is over it. */
static bool over_budget(struct spool_draft *d)
{
	struct spool *s = d->writer->spool;
	uint64_t more = d->text.cap - d->counted; /* wraps when it is less, and so does the sum */
	if (more == 0)
		return false;
	d->counted = d->text.cap;
	return atomic_fetch_add(&s->draft_bytes, more) + more > s->options.memory_budget;
}

/* Writes `held` bytes of what was held back, and n of p. */
static bool write_out(struct spool_draft *d, const char *text, size_t held, const char *p, size_t n)
{
	if (held + n == 0)
		return true;
	if (!file_write(&d->file, text, held, p, n))
		return false;
	sum_stream_add(d->sum, text, held);
	sum_stream_add(d->sum, p, n);
	return true;
}

/* Writes the whole blocks that there are now, and holds back the rest. */
static bool stream(struct spool_draft *d, const char *p, size_t n)
{
	struct buf *held = &d->text;
	if (held->len + n >= BLOCK) {
		size_t now = n - (held->len + n) % BLOCK; /* what is held back is less than a block */
		if (!write_out(d, held->data, held->len, p, now))
			return false;
		buf_truncate(held, 0);
		p += now;
		n -= now;
	}
	buf_add(held, p, n);
	return true;
}

/* The same with content that has LF line ends. */
static bool stream_lf(struct spool_draft *d, const char *p, size_t n)
{
	char wire[2 * CONVERT];
	for (size_t part; n > 0; p += part, n -= part) {
		part = n < CONVERT ? n : CONVERT;
		if (!stream(d, wire, wire_encode(&d->tally, p, part, wire)))
			return false;
	}
	return true;
}

bool draft_flush(struct spool_draft *d)
{
	if (!write_out(d, d->text.data, d->text.len, NULL, 0))
		return false;
	buf_truncate(&d->text, 0);
	return true;
}

void draft_to_file(struct spool_draft *d)
{
	if (!file_create(d->writer->spool, d->serial, -1, NULL, &d->file)) {
		d->error = errno;
		return;
	}
	d->streaming = true;
	d->sum = sum_stream_new(d->serial);
	struct buf memory = d->text;
	d->text = (struct buf)BUF_INIT;
	buf_reserve(&d->text, BLOCK);
	if (!stream_lf(d, memory.data + DRAFT_ROOM, memory.len - DRAFT_ROOM))
		d->error = errno;
	buf_free(&memory);
	over_budget(d);
}

void spool_draft_write(struct spool_draft *d, const void *p, size_t n)
{
	CHECK_MAGIC(d, DRAFT_MAGIC);
	d->size += n;
	if (d->error || n == 0)
		return;
	if (d->streaming) {
		if (!stream_lf(d, p, n))
			d->error = errno;
		return;
	}
	buf_add(&d->text, p, n);
	if (d->text.len - DRAFT_ROOM > d->writer->spool->options.file_threshold || over_budget(d))
		draft_to_file(d);
}

bool spool_draft_takes_wire(const struct spool_draft *d)
{
	CHECK_MAGIC(d, DRAFT_MAGIC);
	return d->streaming && d->tally.column == 0;
}

void spool_draft_write_wire(struct spool_draft *d, const void *p, size_t n, const struct wire_tally *t)
{
	CHECK_MAGIC(d, DRAFT_MAGIC);
	assert(spool_draft_takes_wire(d) && t->column == 0 && !t->stray_cr);
	d->size += t->lf_size;
	d->tally.lf_size += t->lf_size;
	if (t->longest > d->tally.longest)
		d->tally.longest = t->longest;
	if (!d->error && n > 0 && !stream(d, p, n))
		d->error = errno;
}

void spool_draft_prepend(struct spool_draft *d, const void *p, size_t n)
{
	CHECK_MAGIC(d, DRAFT_MAGIC);
	assert(d->prefix.len == 0 && n <= UINT32_MAX);
	buf_add(&d->prefix, p, n);
	d->size += n;
}

/* The envelope as the record has it. */
static struct spool_envelope as_stored(const struct spool_draft *d, const struct spool_envelope *env)
{
	struct spool_envelope e = *env;
	e.serial = d->serial;
	e.size = d->size;
	e.sender = e.sender ? e.sender : "";
	return e;
}

void draft_lay_out(struct spool_draft *d, const struct spool_envelope *env)
{
	struct buf *t = &d->text;
	struct spool_envelope e = as_stored(d, env);
	size_t room = DRAFT_ROOM, prefix = d->prefix.len;
	if (RECORD_HEAD + prefix > room) {
		size_t shift = RECORD_HEAD + prefix - room;
		buf_reserve(t, shift);
		memmove(t->data + room + shift, t->data + room, t->len - room);
		t->len += shift;
		room += shift;
	}
	size_t start = room - prefix - RECORD_HEAD;
	if (prefix > 0)
		memcpy(t->data + start + RECORD_HEAD, d->prefix.data, prefix);
	d->body_at = t->len;
	envelope_put(t, &e);
	d->body_len = t->len - d->body_at;
	const char *content = t->data + start + RECORD_HEAD;
	d->item.record = t->data + start;
	d->item.len = t->len - start;
	d->item.head = (struct record_head){
		.kind = RECORD_MESSAGE,
		.serial = d->serial,
		.content_off = RECORD_HEAD,
		.prefix_len = (uint32_t)prefix,
		.content_len = d->size,
		.body_len = (uint32_t)d->body_len,
		.content_sum = record_content_sum(d->serial, content, d->size, (uint32_t)prefix),
		.body_sum = record_body_sum(d->serial, t->data + d->body_at, d->body_len),
	};
}

/* What goes in front, in wire form as well. The caller frees it. */
static char *wire_prefix(struct spool_draft *d, size_t *len)
{
	struct wire_tally t = { 0 };
	char *wire = mem_alloc(2 * d->prefix.len + 1);
	*len = wire_encode(&t, d->prefix.data, d->prefix.len, wire);
	d->tally.stray_cr = d->tally.stray_cr || t.stray_cr;
	d->tally.lf_size += t.lf_size;
	if (t.longest > d->tally.longest)
		d->tally.longest = t.longest;
	return wire;
}

bool draft_seal(struct spool_draft *d, const struct spool_envelope *env, struct buf *body)
{
	struct spool_envelope e = as_stored(d, env);
	envelope_put(body, &e);
	if (!draft_flush(d))
		return false;
	size_t len = 0;
	char *prefix = wire_prefix(d, &len);
	const struct wire_facts wire = {
		.is = true,
		.odd = d->tally.stray_cr || d->tally.column > 0,
		.longest = d->tally.longest < UINT32_MAX ? (uint32_t)d->tally.longest : UINT32_MAX,
		.lf_size = d->tally.lf_size,
	};
	sum_stream_add(d->sum, prefix, len);
	bool ok = file_seal(&d->file, prefix, (uint32_t)len, sum_stream_end(&d->sum), &wire, body->data, (uint32_t)body->len);
	int error = errno;
	free(prefix);
	errno = error;
	return ok;
}

void draft_free(struct spool_draft *d)
{
	struct spool_writer *w = d->writer;
	atomic_fetch_sub(&w->spool->draft_bytes, d->counted);
	if (d->sum)
		(void)sum_stream_end(&d->sum);
	file_close(&d->file);
	buf_free(&d->text);
	buf_free(&d->prefix);
	d->magic = 0;
	free(d);
	atomic_fetch_sub(&w->drafts, 1);
}

void spool_draft_discard(struct spool_draft **dp)
{
	struct spool_draft *d = *dp;
	*dp = NULL;
	if (!d)
		return;
	CHECK_MAGIC(d, DRAFT_MAGIC);
	file_abandon(&d->file);
	draft_free(d);
}
