/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tlv.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

struct head {
	uint16_t type, flags;
	uint32_t len;
};
_Static_assert(sizeof(struct head) == TLV_HEAD, "the head has no padding");

static struct head make_head(unsigned type, unsigned flags, size_t n)
{
	assert(type <= UINT16_MAX && flags <= UINT16_MAX && n <= UINT32_MAX);
	return (struct head){ htole16((uint16_t)type), htole16((uint16_t)flags), htole32((uint32_t)n) };
}

void tlv_put(struct buf *b, unsigned type, unsigned flags, const void *p, size_t n)
{
	struct head h = make_head(type, flags, n);
	buf_reserve(b, sizeof h + n);
	buf_add(b, &h, sizeof h);
	buf_add(b, p, n);
}

void tlv_put_str(struct buf *b, unsigned type, const char *s)
{
	if (s)
		tlv_put(b, type, 0, s, strlen(s));
}

void tlv_put_u64(struct buf *b, unsigned type, uint64_t v)
{
	v = htole64(v);
	tlv_put(b, type, 0, &v, sizeof v);
}

size_t tlv_open(struct buf *b, unsigned type, unsigned flags)
{
	size_t mark = b->len;
	tlv_put(b, type, flags, NULL, 0);
	return mark;
}

void tlv_close(struct buf *b, size_t mark)
{
	size_t n = b->len - mark - TLV_HEAD;
	assert(n <= UINT32_MAX);
	uint32_t len = htole32((uint32_t)n);
	memcpy(b->data + mark + offsetof(struct head, len), &len, sizeof len);
}

struct tlv_reader tlv_read(const void *p, size_t n)
{
	return (struct tlv_reader){ .at = p, .end = n ? (const char *)p + n : p };
}

bool tlv_next(struct tlv_reader *r, struct tlv *f)
{
	struct head h;
	size_t left = (size_t)(r->end - r->at);
	if (r->bad || left == 0)
		return false;
	if (left >= sizeof h)
		memcpy(&h, r->at, sizeof h);
	if (left < sizeof h || le32toh(h.len) > left - sizeof h) {
		r->bad = true;
		return false;
	}
	*f = (struct tlv){ .type = le16toh(h.type), .flags = le16toh(h.flags),
			   .data = r->at + sizeof h, .len = le32toh(h.len) };
	r->at += sizeof h + f->len;
	return true;
}

bool tlv_u64(const struct tlv *f, uint64_t *v)
{
	if (f->len != sizeof *v)
		return false;
	memcpy(v, f->data, sizeof *v);
	*v = le64toh(*v);
	return true;
}
