/* SPDX-License-Identifier: Apache-2.0
 * Typed, length-prefixed fields: the one encoding of queue records and of messages between processes.
 *
 * A field is: u16 type, u16 flags, u32 length, then length bytes; all little-endian, no padding. Types are the using
 * protocol's; TLV_CRITICAL in the flags says "who does not know this type must not go on without it". */
#ifndef BASE_TLV_H
#define BASE_TLV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define TLV_CRITICAL 0x1u
enum { TLV_HEAD = 8 };

void tlv_put(struct buf *b, unsigned type, unsigned flags, const void *p, size_t n);
void tlv_put_str(struct buf *b, unsigned type, const char *s); /* NULL: nothing is written */
void tlv_put_u64(struct buf *b, unsigned type, uint64_t v);
/* A field that holds fields: open, put, close with what open answered. */
size_t tlv_open(struct buf *b, unsigned type, unsigned flags);
void tlv_close(struct buf *b, size_t mark);

struct tlv {
	unsigned type, flags;
	const char *data; /* points into the bytes that are read; not terminated */
	size_t len;
};
struct tlv_reader {
	const char *at, *end;
	bool bad; /* a field that does not fit: sticky */
};
struct tlv_reader tlv_read(const void *p, size_t n);
/* The next field; false at the end or when what follows is no field (then r->bad). */
bool tlv_next(struct tlv_reader *r, struct tlv *f);
/* The number in a field of 8 bytes; false when it has another length. */
bool tlv_u64(const struct tlv *f, uint64_t *v);

#endif
