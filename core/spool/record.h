/* SPDX-License-Identifier: Apache-2.0
 * The head of a record, the same in journal segments, result logs and message files.
 *
 * A record is a head of 128 bytes, content (a message's, else none), and a body of TLV fields (envelope,
 * update, results, voids; spool/envelope.h). The sums of content and body stand in the head; the sum of the
 * head is keyed with the salt of the segment or file, so a head that verifies vouches for all three. All
 * numbers are little-endian.
 *
 * Content has LF line ends, or, in message files that were streamed, is in wire form (mail/wireform.h): as SMTP sends it. */
#ifndef SPOOL_RECORD_H
#define SPOOL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spool/sum.h"

enum {
	RECORD_HEAD = 128,
	RECORD_ALIGN = 8,     /* the next record of a batch starts at a multiple of this … */
	RECORD_BORDER = 4096, /* … and a batch at a multiple of this */
	RECORD_VERSION = 1,      /* content has LF line ends */
	RECORD_VERSION_WIRE = 2, /* content is in wire form, and the head says more of it */
	RECORD_BODY_MAX = 512 * 1024 * 1024, /* what a reader takes into memory */
};

enum record_kind {
	RECORD_MESSAGE = 1, /* content and envelope */
	RECORD_UPDATE = 2,  /* in a message file: what has changed since */
	RECORD_RESULTS = 3, /* in a result log: what an agent did */
	RECORD_VOID = 4,    /* in the keeper's log: copies in the journal that no longer count */
	RECORD_GONE = 5,    /* in a message file that has another name yet: the message has left the spool */
};

/* Of content in wire form. */
struct wire_facts {
	bool is;          /* false: the content has LF line ends, and the rest is 0 */
	bool odd;         /* it has CRs other than those of line ends, or its last line has no end */
	uint32_t longest; /* no line is longer, without its line end (UINT32_MAX: that long, or longer) */
	uint64_t lf_size; /* its size with LF line ends */
};

struct record_head {
	enum record_kind kind;
	uint64_t serial;      /* of the message; 0 where the body has its own */
	uint64_t sequence;    /* counts the records of one home, from 1 */
	uint64_t at;          /* where the head stands in its home */
	uint32_t content_off; /* from the head to the content, at least RECORD_HEAD */
	uint32_t prefix_len;  /* that much of the content was put in front last: its sum comes last */
	uint64_t content_len;
	uint32_t body_len; /* the body follows the content */
	struct wire_facts wire;
	struct sum content_sum, body_sum;
};

void record_head_put(char head[RECORD_HEAD], const struct record_head *, const struct salt *);

enum record_verdict {
	RECORD_GOOD,
	RECORD_NONE,    /* no record of this home */
	RECORD_BROKEN,  /* meant to be one of this home, but damaged: *h is what it says, true or not */
	RECORD_FOREIGN, /* good, but of a later format */
};
/* Checks the head alone: sum, salt, and that its lengths make sense. */
enum record_verdict record_head_get(const char head[RECORD_HEAD], const struct salt *, struct record_head *);
/* Checks the content and the body against the head. */
bool record_content_good(const struct record_head *, const char *content);
bool record_body_good(const struct record_head *, const char *body);
struct sum record_content_sum(uint64_t serial, const char *content, uint64_t len, uint32_t prefix_len);
struct sum record_body_sum(uint64_t serial, const char *body, size_t len);
/* Of the content, with LF line ends. */
static inline uint64_t record_lf_size(const struct record_head *h)
{
	return h->wire.is ? h->wire.lf_size : h->content_len;
}

/* From the head's first byte to the body's last. */
static inline uint64_t record_length(const struct record_head *h)
{
	return h->content_off + h->content_len + h->body_len;
}
static inline uint64_t record_body_off(const struct record_head *h)
{
	return h->content_off + h->content_len;
}
static inline uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

#endif
