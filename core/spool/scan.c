/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/mem.h"

/* Where the scan stands. */
struct walk {
	struct scan *scan;
	const char *bytes;
	uint64_t end; /* of the bytes, as an offset in the segment */
	uint64_t at;
	uint64_t bad_from; /* the first byte that verified as nothing; 0: none since the last good record */
	uint64_t bad_to;   /* what of it is surely of this life; 0: nothing */
};

static const char *bytes_at(const struct walk *w, uint64_t at)
{
	return w->bytes + (at - w->scan->from);
}

/* Is there a good record where we stand? */
static enum record_verdict look(struct walk *w, struct record_head *h)
{
	const struct scan *s = w->scan;
	enum record_verdict v = record_head_get(bytes_at(w, w->at), &s->header->salt, h);
	if (v == RECORD_NONE)
		return v;
	uint64_t left = w->end - w->at;
	bool fits = h->content_len <= left && record_length(h) <= left;
	if (v != RECORD_BROKEN && fits && h->at == w->at && h->sequence > s->last_sequence &&
	    record_content_good(h, bytes_at(w, w->at + h->content_off)) &&
	    record_body_good(h, bytes_at(w, w->at + record_body_off(h))))
		return v;
	/* Its length is most likely right: what is to be kept of it. */
	uint64_t to = round_up(w->at + (fits ? record_length(h) : 1), fits ? RECORD_ALIGN : RECORD_BORDER);
	w->bad_to = to > w->bad_to ? to : w->bad_to;
	return RECORD_BROKEN;
}

/* Hands over what was passed, if it was something. */
static void tell_hole(struct walk *w, uint64_t to)
{
	if (w->bad_from && to > w->bad_from)
		w->scan->hole(w->scan->ctx, w->bad_from, bytes_at(w, w->bad_from), to - w->bad_from);
	w->bad_from = w->bad_to = 0;
}

/* Are there zeros alone up to the next border, as behind the last record of a batch? */
static bool is_padding(const struct walk *w)
{
	uint64_t to = round_up(w->at, RECORD_BORDER);
	for (uint64_t at = w->at; at < to && at < w->end; at++)
		if (*bytes_at(w, at) != 0)
			return false;
	return true;
}

/* No record where we stand. Behind a good one that is the end of its batch: on to the next border. If there
 * is none either, or no padding, something is damaged or torn, or the segment was used no further. A good
 * record may then stand anywhere: a batch has records between borders. */
static void step_over(struct walk *w, enum record_verdict v)
{
	bool border = w->at % RECORD_BORDER == 0;
	if (!w->bad_from && (v == RECORD_BROKEN || (border ? !w->scan->live : !is_padding(w))))
		w->bad_from = w->at;
	w->at = round_up(w->at + 1, w->bad_from ? RECORD_ALIGN : RECORD_BORDER);
}

void scan_bytes(struct scan *s, const char *bytes, uint64_t len)
{
	struct walk w = { .scan = s, .bytes = bytes, .end = s->from + len, .at = s->from };
	s->read_to = s->from;
	s->last_sequence = s->sequence;
	while (w.end > w.at && w.end - w.at >= RECORD_HEAD) {
		struct record_head h;
		enum record_verdict v = look(&w, &h);
		if (v == RECORD_NONE || v == RECORD_BROKEN) {
			step_over(&w, v);
			continue;
		}
		tell_hole(&w, w.at);
		s->record(s->ctx, &h, bytes_at(&w, w.at), v == RECORD_FOREIGN);
		s->last_sequence = h.sequence;
		w.at = s->read_to = round_up(w.at + record_length(&h), RECORD_ALIGN);
	}
	/* A segment that was closed says where it ends: all before is of this life. */
	if (!s->live)
		tell_hole(&w, w.bad_to < w.end && !s->header->end ? w.bad_to : w.end);
}

bool scan_more(int fd, const struct segment_header *header, uint64_t read_to)
{
	char head[RECORD_HEAD];
	struct record_head h;
	uint64_t places[] = { read_to, round_up(read_to, RECORD_BORDER) };
	for (int i = 0; i < 2; i++)
		if (io_pread_full(fd, head, sizeof head, (off_t)places[i]) &&
		    record_head_get(head, &header->salt, &h) != RECORD_NONE)
			return true;
	return false;
}

enum {
	UNREADABLE_MAX = 64
}; /* pieces; a disk that is worse than this is given up: each may take it seconds */

/* Reads what can be read, border by border; the rest is zeros, which verify as nothing. Moves *len to where a
 * file that was cut ends. False: something is there and could not be read, for which errno says why. */
static bool read_pieces(int fd, char *bytes, uint64_t from, uint64_t *len)
{
	struct stat st;
	int error = 0, unreadable = 0;
	if (fstat(fd, &st) != 0) {
		*len = 0;
		return false;
	}
	uint64_t size = (uint64_t)st.st_size > from ? (uint64_t)st.st_size - from : 0;
	*len = size < *len ? size : *len;
	for (uint64_t at = 0, n; at < *len; at += n) {
		uint64_t to_border = RECORD_BORDER - (from + at) % RECORD_BORDER;
		n = *len - at < to_border ? *len - at : to_border;
		if (unreadable < UNREADABLE_MAX &&
		    io_pread_full(fd, bytes + at, (size_t)n, (off_t)(from + at)))
			continue;
		memset(bytes + at, 0, (size_t)n);
		error = unreadable++ < UNREADABLE_MAX ? errno : error;
	}
	errno = error;
	return unreadable == 0;
}

bool scan_segment(int fd, struct scan *s, struct ost_why *why)
{
	uint64_t end = s->header->end ? s->header->end : s->header->size;
	if (s->to && s->to < end)
		end = s->to;
	if (end <= s->from) {
		s->read_to = s->from;
		s->last_sequence = s->sequence;
		return true;
	}
	uint64_t len = end - s->from;
	char *bytes = mem_alloc((size_t)len);
	bool ok = io_pread_full(fd, bytes, (size_t)len, (off_t)s->from) ||
		  read_pieces(fd, bytes, s->from, &len);
	if (!ok)
		why_errno(why, "reading segment %u", s->header->number);
	scan_bytes(s, bytes, len);
	free(bytes);
	return ok;
}
