/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/envelope.h"

#include <endian.h>
#include <string.h>

enum { FIELD_VOID = 1 };

/* ---- what is not known, kept ----------------------------------------------------------------- */

/* Adds a field as it stood to what is kept. */
static void keep_extra(struct buf *kept, const struct tlv *f)
{
	tlv_put(kept, f->type, f->flags, f->data, f->len);
}

/* Moves what was kept into the arena. */
static void finish_extra(struct arena *a, struct buf *kept, struct spool_extra *extra)
{
	if (kept->len > 0)
		*extra =
			(struct spool_extra){ .data = arena_dup(a, kept->data, kept->len), .len = kept->len };
	buf_free(kept);
}

/* ---- envelopes ------------------------------------------------------------------------------- */

void envelope_put(struct buf *b, const struct spool_envelope *e)
{
	fields_put(b, &message_fields, e);
	for (size_t i = 0; i < e->nattrs; i++) {
		size_t mark = tlv_open(b, FIELD_ATTR, 0);
		fields_put(b, &attr_fields, &e->attrs[i]);
		tlv_close(b, mark);
	}
	for (size_t i = 0; i < e->nrcpts; i++) {
		size_t mark = tlv_open(b, FIELD_RCPT, FIELD_MUST);
		fields_put(b, &rcpt_fields, &e->rcpts[i]);
		buf_add(b, e->rcpts[i].extra.data, e->rcpts[i].extra.len);
		tlv_close(b, mark);
	}
	buf_add(b, e->extra.data, e->extra.len);
}

/* Reads the fields of one struct. What is unknown goes to `kept`, or is passed over when that is NULL. */
static enum body_verdict get_struct(struct arena *a, const struct field_table *t, const struct tlv *whole,
				    void *base, struct buf *kept)
{
	struct tlv_reader r = tlv_read(whole->data, whole->len);
	struct tlv f;
	while (tlv_next(&r, &f)) {
		enum field_got got = field_get(a, t, &f, base);
		if (got == FIELD_BAD)
			return BODY_BAD;
		if (got == FIELD_UNKNOWN && f.flags & TLV_CRITICAL)
			return BODY_CRITICAL;
		if (got == FIELD_UNKNOWN && kept)
			keep_extra(kept, &f);
	}
	return r.bad ? BODY_BAD : BODY_GOOD;
}

/* One recipient. Without an address it is none. */
static enum body_verdict get_rcpt(struct arena *a, const struct tlv *f, struct spool_rcpt *rcpt)
{
	struct buf kept = BUF_INIT;
	enum body_verdict v = get_struct(a, &rcpt_fields, f, rcpt, &kept);
	finish_extra(a, &kept, &rcpt->extra);
	return v == BODY_GOOD && !rcpt->address ? BODY_BAD : v;
}

/* One named attribute. */
static enum body_verdict get_attr(struct arena *a, const struct tlv *f, struct spool_attr *attr)
{
	enum body_verdict v = get_struct(a, &attr_fields, f, attr, NULL);
	return v == BODY_GOOD && (!attr->name || !attr->value) ? BODY_BAD : v;
}

/* How many fields of this type stand at the top level; SIZE_MAX when the bytes are no fields. */
static size_t count_fields(const char *p, size_t n, unsigned type)
{
	struct tlv_reader r = tlv_read(p, n);
	struct tlv f;
	size_t count = 0;
	while (tlv_next(&r, &f))
		count += f.type == type;
	return r.bad ? SIZE_MAX : count;
}

/* One field of an envelope. */
static enum body_verdict get_field(struct arena *a, const struct tlv *f, struct spool_envelope *e,
				   struct buf *kept)
{
	if (f->type == FIELD_RCPT)
		return get_rcpt(a, f, &e->rcpts[e->nrcpts++]);
	if (f->type == FIELD_ATTR)
		return get_attr(a, f, &e->attrs[e->nattrs++]);
	enum field_got got = field_get(a, &message_fields, f, e);
	if (got == FIELD_UNKNOWN && f->flags & TLV_CRITICAL)
		return BODY_CRITICAL;
	if (got == FIELD_UNKNOWN)
		keep_extra(kept, f);
	return got == FIELD_BAD ? BODY_BAD : BODY_GOOD;
}

enum body_verdict envelope_get(struct arena *a, const char *p, size_t n, struct spool_envelope **out)
{
	size_t nrcpts = count_fields(p, n, FIELD_RCPT), nattrs = count_fields(p, n, FIELD_ATTR);
	if (nrcpts == SIZE_MAX || nattrs == SIZE_MAX)
		return BODY_BAD;
	struct spool_envelope *e = ARENA_NEW(a, struct spool_envelope);
	e->rcpts = arena_alloc(a, nrcpts * sizeof *e->rcpts);
	e->attrs = arena_alloc(a, nattrs * sizeof *e->attrs);
	struct tlv_reader r = tlv_read(p, n);
	struct tlv f;
	struct buf kept = BUF_INIT;
	enum body_verdict v = BODY_GOOD;
	while (v == BODY_GOOD && tlv_next(&r, &f))
		v = get_field(a, &f, e, &kept);
	finish_extra(a, &kept, &e->extra);
	if (v == BODY_GOOD && (!e->serial || !e->sender))
		v = BODY_BAD;
	*out = e;
	return v;
}

/* ---- results and updates --------------------------------------------------------------------- */

/* One row as a field that holds fields. */
static void put_row(struct buf *b, const struct result_row *row)
{
	size_t mark = tlv_open(b, FIELD_RESULT, FIELD_MUST);
	fields_put(b, &result_fields, row);
	tlv_close(b, mark);
}

void results_put(struct buf *b, const struct spool_result *results, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_row(b, &(struct result_row){ .result = results[i] });
}

/* All rows of a body, and the fields around them into base (an update's), or nowhere. */
static enum body_verdict get_rows(struct arena *a, const char *p, size_t n, void *base,
				  struct result_row **rows, size_t *count)
{
	size_t max = count_fields(p, n, FIELD_RESULT);
	*count = 0;
	if (max == SIZE_MAX)
		return BODY_BAD;
	*rows = arena_alloc(a, max * sizeof **rows);
	struct tlv_reader r = tlv_read(p, n);
	struct tlv f;
	enum body_verdict v = BODY_GOOD;
	while (v == BODY_GOOD && tlv_next(&r, &f)) {
		enum field_got got = base ? field_get(a, &update_fields, &f, base) : FIELD_UNKNOWN;
		if (f.type == FIELD_RESULT)
			v = get_struct(a, &result_fields, &f, &(*rows)[(*count)++], NULL);
		else if (got == FIELD_BAD)
			v = BODY_BAD;
		else if (got == FIELD_UNKNOWN && f.flags & TLV_CRITICAL)
			v = BODY_CRITICAL;
	}
	return v;
}

enum body_verdict results_get(struct arena *a, const char *p, size_t n, struct result_row **rows,
			      size_t *count)
{
	return get_rows(a, p, n, NULL, rows, count);
}

void update_put(struct buf *b, const struct spool_update *u)
{
	fields_put(b, &update_fields, u);
	for (size_t i = 0; i < u->nrows; i++)
		put_row(b, &u->rows[i]);
}

enum body_verdict update_get(struct arena *a, const char *p, size_t n, struct spool_update **out)
{
	struct spool_update *u = ARENA_NEW(a, struct spool_update);
	*out = u;
	return get_rows(a, p, n, u, &u->rows, &u->nrows);
}

/* ---- voids ----------------------------------------------------------------------------------- */

void voids_put(struct buf *b, const struct spool_void *voids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t bytes[2] = { htole64((uint64_t)voids[i].number << 32 | voids[i].salt_id),
				      htole64(voids[i].serial) };
		tlv_put(b, FIELD_VOID, FIELD_MUST, bytes, sizeof bytes);
	}
}

enum body_verdict voids_get(struct arena *a, const char *p, size_t n, struct spool_void **out, size_t *count)
{
	size_t max = count_fields(p, n, FIELD_VOID);
	*count = 0;
	if (max == SIZE_MAX)
		return BODY_BAD;
	*out = arena_alloc(a, max * sizeof **out);
	struct tlv_reader r = tlv_read(p, n);
	struct tlv f;
	while (tlv_next(&r, &f)) {
		uint64_t bytes[2];
		if (f.type != FIELD_VOID && f.flags & TLV_CRITICAL)
			return BODY_CRITICAL;
		if (f.type != FIELD_VOID)
			continue;
		if (f.len != sizeof bytes)
			return BODY_BAD;
		memcpy(bytes, f.data, sizeof bytes);
		uint64_t place = le64toh(bytes[0]);
		(*out)[(*count)++] = (struct spool_void){ .number = (uint32_t)(place >> 32),
							  .salt_id = (uint32_t)place,
							  .serial = le64toh(bytes[1]) };
	}
	return BODY_GOOD;
}

/* ---- taking changes over --------------------------------------------------------------------- */

/* Which states may follow which: a state only goes up this ladder, or is replaced by a newer one of the open
 * rungs. */
static unsigned rung(enum rcpt_status s)
{
	static const unsigned char rungs[] = {
		[RCPT_PENDING] = 0, [RCPT_DEFERRED] = 0,  [RCPT_SENT] = 1,
		[RCPT_FAILED] = 1,  [RCPT_SENT_OWED] = 1, [RCPT_DONE] = 2,
	};
	return rungs[s];
}

bool result_apply(struct spool_rcpt *rcpt, const struct result_row *row)
{
	const struct spool_result *r = &row->result;
	unsigned now = rung(rcpt->status), then = rung(r->status);
	if (then < now || (then == now && (now > 0 || r->when < rcpt->last_try)))
		return false;
	bool again = r->when == rcpt->last_try;
	int64_t next_try = r->status == RCPT_DEFERRED ? row->next_try : 0;
	if (again && r->status == rcpt->status && next_try == rcpt->next_try)
		return false;
	if (!again && r->status != RCPT_DONE && r->status != RCPT_PENDING)
		rcpt->attempts++;
	if (r->when > rcpt->last_try)
		rcpt->last_try = r->when;
	rcpt->status = r->status;
	rcpt->next_try = next_try;
	rcpt->dsn = r->dsn ? r->dsn : rcpt->dsn;
	rcpt->reason = r->reason ? r->reason : rcpt->reason;
	rcpt->mta = r->mta ? r->mta : rcpt->mta;
	rcpt->diagnostic = r->diagnostic ? r->diagnostic : rcpt->diagnostic;
	return true;
}

void update_apply(struct spool_envelope *e, const struct spool_update *u)
{
	e->flags = (e->flags | u->set_flags) & ~u->clear_flags;
	if (u->rounds > e->rounds)
		e->rounds = u->rounds;
	if (u->warn_at != 0)
		e->warn_at = u->warn_at < 0 ? 0 : u->warn_at;
	for (size_t i = 0; i < u->nrows; i++)
		if (u->rows[i].result.rcpt < e->nrcpts)
			result_apply(&e->rcpts[u->rows[i].result.rcpt], &u->rows[i]);
}
