/* SPDX-License-Identifier: Apache-2.0 */
#include "cleanup/cleanup.h"

#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/magic.h"
#include "cleanup/cleaner.h"
#include "mail/address.h"
#include "mail/date.h"
#include "mail/received.h"
#include "mail/wireform.h"

#define CLEANUP_MAGIC 0xc1ea0002u

enum part { PART_START, PART_HEADERS, PART_BODY };

struct cleanup {
	unsigned magic;
	const struct cleaner *cleaner;
	struct arena *arena;
	struct spool_draft *draft;
	const struct cleanup_info *info;
	enum part part;
	struct buf pending;  /* the beginning of a logical header whose end has not come */
	bool in_line;        /* the last body block did not end a line */
	size_t hops;
	bool seen[HEADER_COUNT];
	const char *message_id, *resent_message_id;
	enum cleanup_status status;
	uint64_t limit;      /* content bytes that may still come */
};

struct cleanup *cleanup_begin(const struct cleaner *cleaner, struct arena *a, struct spool_draft *draft,
			      const struct cleanup_info *info)
{
	CHECK_MAGIC(cleaner, CLEANER_MAGIC);
	struct cleanup *c = ARENA_NEW(a, struct cleanup);
	c->magic = CLEANUP_MAGIC;
	c->cleaner = cleaner;
	c->arena = a;
	c->draft = draft;
	c->info = info;
	c->limit = info->size_limit ? info->size_limit : UINT64_MAX;
	return c;
}

/* To the spool, unless the message is refused already. */
static void put(struct cleanup *c, const char *p, size_t n)
{
	if (c->status == CLEANUP_OK && n)
		spool_draft_write(c->draft, p, n);
}

void cleanup_own_header(struct cleanup *c, const char *text, size_t len)
{
	CHECK_MAGIC(c, CLEANUP_MAGIC);
	size_t n = header_name_len(text, len);
	if (n && header_find(text, n) == HEADER_RECEIVED)
		c->hops++;
	put(c, text, len);
}

/* Is it one of message_drop_headers? */
static bool dropped(const struct cleaner *cl, enum header_id id, const char *name, size_t len)
{
	if (id != HEADER_OTHER)
		return cl->drop[id];
	for (size_t i = 0; cl->drop_other[i]; i++)
		if (strlen(cl->drop_other[i]) == len && strncasecmp(cl->drop_other[i], name, len) == 0)
			return true;
	return false;
}

/* The id of a Message-Id header, in the arena. */
static const char *read_message_id(struct cleanup *c, const char *header, size_t len)
{
	size_t body_len, id_len;
	const char *body = header_body(header, len, &body_len), *id;
	if (!header_message_id(body, body_len, &id, &id_len))
		return NULL;
	return arena_strndup(c->arena, id, id_len);
}

/* Says whom the message claims to be from. */
static void tell_from(const struct cleanup *c, const char *header, size_t len)
{
	size_t body_len;
	const char *body = header_body(header, len, &body_len);
	c->info->on_from(c->info->ctx, body, body_len);
}

/* Looks at one whole logical header, LF included; answers whether it stays. */
static bool look_at_header(struct cleanup *c, const char *header, size_t len, size_t name_len)
{
	enum header_id id = header_find(header, name_len);
	if (id == HEADER_RECEIVED && ++c->hops >= c->cleaner->hopcount_limit && c->status == CLEANUP_OK) {
		log_warning("%s: message rejected: hopcount exceeded", c->info->queue_id);
		c->status = CLEANUP_HOPS;
	}
	if (dropped(c->cleaner, id, header, name_len))
		return false;
	if (id == HEADER_MESSAGE_ID && !c->message_id)
		c->message_id = read_message_id(c, header, len);
	if (id == HEADER_RESENT_MESSAGE_ID && !c->resent_message_id)
		c->resent_message_id = read_message_id(c, header, len);
	if (id == HEADER_FROM && c->info->on_from)
		tell_from(c, header, len);
	c->seen[id] = true;
	return true;
}

/* From: of a message that has none: the sender, and the submitter's full name where it is known. */
static void add_from(struct cleanup *c, struct buf *b, const char *name)
{
	const char *full = c->info->full_name;
	buf_printf(b, "%s: ", name);
	if (full && *full) {
		buf_putc(b, '"');
		for (const char *p = full; *p; p++) {
			if (*p == '"' || *p == '\\')
				buf_putc(b, '\\');
			buf_putc(b, *p >= 0x20 && *p < 0x7f ? *p : '?');
		}
		buf_puts(b, "\" <");
	}
	if (*c->info->sender)
		address_quote(b, c->info->sender);
	else
		buf_printf(b, "MAILER-DAEMON@%s", c->cleaner->myorigin);
	buf_puts(b, full && *full ? ">\n" : "\n");
}

/* The headers that local mail gets when it lacks them. */
static void add_missing(struct cleanup *c, struct buf *b)
{
	bool resent = c->seen[HEADER_RESENT_FROM] || c->seen[HEADER_RESENT_TO] || c->seen[HEADER_RESENT_DATE] ||
		      c->seen[HEADER_RESENT_SENDER] || c->seen[HEADER_RESENT_CC] || c->seen[HEADER_RESENT_MESSAGE_ID];
	enum header_id id = resent ? HEADER_RESENT_MESSAGE_ID : HEADER_MESSAGE_ID;
	char date[MAIL_DATE_SIZE];
	if (!c->seen[id]) {
		struct buf made = BUF_INIT;
		message_id_make(&made, c->info->arrival, c->info->queue_id, c->cleaner->myhostname);
		buf_printf(b, "%s: %s\n", header_name(id), buf_str(&made));
		*(resent ? &c->resent_message_id : &c->message_id) = arena_strdup(c->arena, buf_str(&made));
		buf_free(&made);
	}
	id = resent ? HEADER_RESENT_DATE : HEADER_DATE;
	if (!c->seen[id])
		buf_printf(b, "%s: %s\n", header_name(id), mail_date(date, c->info->arrival));
	id = resent ? HEADER_RESENT_FROM : HEADER_FROM;
	if (!c->seen[id] && !c->seen[resent ? HEADER_RESENT_SENDER : HEADER_SENDER])
		add_from(c, b, header_name(id));
}

/* The header block has ended: completes it. */
static void end_headers(struct cleanup *c)
{
	struct buf b = BUF_INIT;
	if (c->info->add_missing)
		add_missing(c, &b);
	bool rcpt = false;
	for (int id = 1; id < HEADER_COUNT; id++)
		rcpt = rcpt || (c->seen[id] && header_flags((enum header_id)id) & HEADER_IS_RECIPIENT);
	if (!rcpt && *c->cleaner->undisclosed_recipients)
		buf_printf(&b, "%s\n", c->cleaner->undisclosed_recipients);
	put(c, buf_str(&b), b.len);
	buf_free(&b);
	c->part = PART_BODY;
}

/* Body bytes pass as they are. */
static void put_body(struct cleanup *c, const char *p, size_t n)
{
	if (n)
		c->in_line = p[n - 1] != '\n';
	put(c, p, n);
}

/* End of the logical header that starts at p: behind the last line that continues it; NULL: not known yet. */
static const char *header_end(const char *p, const char *end)
{
	for (;;) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		if (!lf || lf + 1 == end)
			return NULL; /* the next line may continue it */
		p = lf + 1;
		if (*p != ' ' && *p != '\t')
			return p;
	}
}

/* A first line "From x" (a mailbox separator) becomes a header, as it must not begin the message. */
static bool mailbox_line(const struct cleanup *c, const char *p, size_t n)
{
	if (c->part != PART_START)
		return false;
	while (n > 0 && *p == '>') {
		p++;
		n--;
	}
	return n >= 5 && memcmp(p, "From ", 5) == 0;
}

/* Does what begins like this belong to the header block? */
static bool begins_header(const struct cleanup *c, const char *p, size_t n)
{
	return header_name_len(p, n) > 0 || mailbox_line(c, p, n);
}

/* One whole logical header. */
static void take_header(struct cleanup *c, const char *p, size_t n)
{
	if (mailbox_line(c, p, n)) {
		put(c, "X-Mailbox-Line: ", 16);
		put(c, p, n);
		return;
	}
	c->part = PART_HEADERS;
	if (look_at_header(c, p, n, header_name_len(p, n)))
		put(c, p, n);
}

/* The header block is over and the body begins with these bytes: an empty line stands between them. */
static void begin_body(struct cleanup *c, const char *p, size_t n)
{
	end_headers(c);
	if (n > 0 && *p != '\n')
		put_body(c, "\n", 1);
	put_body(c, p, n);
}

/* Adds to the header that is being collected; what goes beyond header_size_limit is dropped. */
static void collect(struct cleanup *c, const char *p, size_t n)
{
	size_t limit = c->cleaner->header_size_limit;
	size_t room = c->pending.len < limit ? limit - c->pending.len : 0;
	buf_add(&c->pending, p, n < room ? n : room);
	if (n > room && p[n - 1] == '\n' && c->pending.len && c->pending.data[c->pending.len - 1] != '\n')
		buf_putc(&c->pending, '\n');
}

/* What was collected is a whole header, or turned out to be the body's first line. */
static void release_pending(struct cleanup *c)
{
	struct buf *b = &c->pending;
	if (b->len && begins_header(c, b->data, b->len))
		take_header(c, b->data, b->len);
	else if (b->len)
		begin_body(c, b->data, b->len);
	buf_free(b);
}

/* Goes on with a header whose beginning was in an earlier block; answers the bytes used. */
static size_t continue_pending(struct cleanup *c, const char *p, size_t n)
{
	struct buf *b = &c->pending;
	bool whole_lines = b->data[b->len - 1] == '\n';
	if (whole_lines && *p != ' ' && *p != '\t') {
		release_pending(c);
		return 0;
	}
	const char *lf = memchr(p, '\n', n);
	size_t used = lf ? (size_t)(lf - p) + 1 : n;
	if (b->len + used > c->cleaner->header_size_limit && !begins_header(c, b->data, b->len)) {
		release_pending(c); /* a line of that length without a colon */
		return 0;
	}
	collect(c, p, used);
	if (lf && !begins_header(c, b->data, b->len))
		release_pending(c);
	return used;
}

/* Header bytes of a block; answers how many were used: all, unless the body begins in it. */
static size_t write_headers(struct cleanup *c, const char *p, size_t n)
{
	const char *start = p, *end = p + n;
	while (p < end && c->part != PART_BODY) {
		size_t left = (size_t)(end - p);
		if (c->pending.len) {
			p += continue_pending(c, p, left);
			continue;
		}
		const char *stop = header_end(p, end);
		if (begins_header(c, p, left)) {
			if (stop)
				take_header(c, p, (size_t)(stop - p));
			else
				collect(c, p, left);
			p = stop ? stop : end;
		} else if (left > c->cleaner->header_size_limit || memchr(p, '\n', left)) {
			begin_body(c, p, left);
			p = end;
		} else {
			collect(c, p, left);
			p = end;
		}
	}
	return (size_t)(p - start);
}

/* So many bytes come; are they too many? */
static void count(struct cleanup *c, uint64_t n)
{
	if (n > c->limit && c->status == CLEANUP_OK) {
		log_warning("%s: message size limit exceeded", c->info->queue_id);
		c->status = CLEANUP_TOO_BIG;
	}
	c->limit -= n < c->limit ? n : c->limit;
}

bool cleanup_takes_wire(const struct cleanup *c)
{
	CHECK_MAGIC(c, CLEANUP_MAGIC);
	return c->part == PART_BODY && !c->in_line && spool_draft_takes_wire(c->draft);
}

void cleanup_write_wire(struct cleanup *c, const char *p, size_t n, const struct wire_tally *tally)
{
	CHECK_MAGIC(c, CLEANUP_MAGIC);
	count(c, tally->lf_size);
	if (c->status == CLEANUP_OK)
		spool_draft_write_wire(c->draft, p, n, tally);
}

void cleanup_write(struct cleanup *c, const char *p, size_t n)
{
	CHECK_MAGIC(c, CLEANUP_MAGIC);
	count(c, n);
	if (c->part != PART_BODY) {
		size_t used = write_headers(c, p, n);
		p += used;
		n -= used;
	}
	put_body(c, p, n);
}

enum cleanup_status cleanup_finish(struct cleanup *c, const char **message_id)
{
	CHECK_MAGIC(c, CLEANUP_MAGIC);
	if (c->pending.len && c->pending.data[c->pending.len - 1] != '\n')
		buf_putc(&c->pending, '\n');
	release_pending(c);
	if (c->part != PART_BODY)
		end_headers(c);
	if (c->in_line)
		put(c, "\n", 1);
	*message_id = c->message_id ? c->message_id : c->resent_message_id;
	c->magic = 0;
	return c->status;
}

void cleanup_abandon(struct cleanup *c)
{
	CHECK_MAGIC(c, CLEANUP_MAGIC);
	buf_free(&c->pending);
	c->magic = 0;
}
