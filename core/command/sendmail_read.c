/* SPDX-License-Identifier: Apache-2.0 */
#include "command/sendmail.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/tlv.h"
#include "ipc/protocol.h"
#include "mail/addrlist.h"
#include "mail/header.h"

enum { READ_SIZE = 65536, RCPTS_MAX = 100000 };

/* Rewrites whole lines in place from `at` on: CRLF becomes LF. Answers the position behind a lone dot, 0: there is none. */
static size_t fix_lines(struct buf *b, size_t *at, bool dot_is_text)
{
	size_t in = *at, out = *at;
	for (const char *lf; (lf = memchr(b->data + in, '\n', b->len - in));) {
		size_t end = (size_t)(lf - b->data), n = end - in;
		if (n > 0 && b->data[end - 1] == '\r')
			n--;
		if (!dot_is_text && n == 1 && b->data[in] == '.')
			return out + 1;
		memmove(b->data + out, b->data + in, n);
		out += n;
		b->data[out++] = '\n';
		in = end + 1;
	}
	*at = out;
	memmove(b->data + out, b->data + in, b->len - in);
	buf_truncate(b, out + b->len - in);
	return 0;
}

bool sendmail_read_content(int fd, struct buf *b, uint64_t limit, bool dot_is_text)
{
	size_t whole = 0; /* up to here the lines are whole and final */
	buf_reserve(b, READ_SIZE);
	b->data[0] = '\0';
	for (;;) {
		buf_reserve(b, READ_SIZE);
		ssize_t n = read(fd, b->data + b->len, READ_SIZE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		b->len += (size_t)n;
		size_t dot = fix_lines(b, &whole, dot_is_text);
		if (dot) {
			buf_truncate(b, dot - 1);
			break;
		}
		if (limit && b->len > limit)
			return false;
	}
	if (b->len && b->data[b->len - 1] != '\n')
		buf_putc(b, '\n');
	return !limit || b->len <= limit;
}

void sendmail_add_list(struct arena *a, struct submission *s, const char *text, size_t len)
{
	struct addrlist got = addrlist_parse(a, text, len, RCPTS_MAX);
	if (got.count == 0)
		return;
	const char **list = arena_alloc(a, (s->nrcpts + got.count) * sizeof *list);
	if (s->nrcpts)
		memcpy(list, s->rcpts, s->nrcpts * sizeof *list);
	memcpy(list + s->nrcpts, got.list, got.count * sizeof *list);
	s->rcpts = list;
	s->nrcpts += got.count;
}

/* End of the logical header at p; answers end when it is the last. */
static const char *next_header(const char *p, const char *end)
{
	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		p = lf ? lf + 1 : end;
		if (p >= end || (*p != ' ' && *p != '\t'))
			break;
	}
	return p;
}

/* Calls for each header that names recipients; resent: only those with Resent-, or only those without. */
static bool each_rcpt_header(struct arena *a, struct submission *s, const char *content, size_t len, bool resent)
{
	const char *p = content, *end = content + len;
	bool found = false;
	while (p < end) {
		const char *next = next_header(p, end);
		size_t n = (size_t)(next - p), name = header_name_len(p, n), body_len;
		if (!name)
			break;
		unsigned flags = header_flags(header_find(p, name));
		if (flags & HEADER_IS_RECIPIENT && !(flags & HEADER_IS_RESENT) == !resent) {
			const char *body = header_body(p, n, &body_len);
			sendmail_add_list(a, s, body, body_len);
			found = true;
		}
		p = next;
	}
	return found;
}

void sendmail_header_rcpts(struct arena *a, struct submission *s, const char *content, size_t len)
{
	if (!each_rcpt_header(a, s, content, len, true))
		(void)each_rcpt_header(a, s, content, len, false);
}

bool sendmail_read_answer(const char *body, size_t len, struct intake_answer *out)
{
	struct tlv_reader r = tlv_read(body, len);
	struct tlv f;
	uint64_t v;
	bool have = false;
	while (tlv_next(&r, &f)) {
		if (f.type == F_STATUS && tlv_u64(&f, &v)) {
			out->status = v <= EX__MAX ? (int)v : EX_TEMPFAIL;
			have = true;
		} else if (f.type == F_REASON) {
			snprintf(out->reason, sizeof out->reason, "%.*s", (int)f.len, f.data);
		}
	}
	return have && !r.bad;
}
