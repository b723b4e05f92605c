/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/record.h"

#include <endian.h>
#include <string.h>

#define RECORD_MAGIC 0x5253544fu /* "OTSR" */

/* The head as it lies on disk. */
struct wire {
	uint32_t magic;
	uint16_t version, kind;
	uint64_t serial, sequence, at;
	uint32_t salt_id, content_off, prefix_len, body_len;
	uint64_t content_len;
	uint64_t content_sum[2], body_sum[2];
	uint64_t lf_size; /* this and what follows are 0 in version 1 */
	uint32_t longest, form;
	uint64_t spare;
	uint64_t head_sum[2];
};
enum { FORM_ODD = 1 };
_Static_assert(sizeof(struct wire) == RECORD_HEAD, "the head has no padding");
enum { KEYED = offsetof(struct wire, head_sum) };

static void put_sum(uint64_t to[2], struct sum s)
{
	to[0] = htole64(s.lo);
	to[1] = htole64(s.hi);
}

static struct sum get_sum(const uint64_t from[2])
{
	return (struct sum){ .lo = le64toh(from[0]), .hi = le64toh(from[1]) };
}

void record_head_put(char head[RECORD_HEAD], const struct record_head *h, const struct salt *salt)
{
	struct wire w = {
		.magic = htole32(RECORD_MAGIC),
		.version = htole16(h->wire.is ? RECORD_VERSION_WIRE : RECORD_VERSION),
		.kind = htole16((uint16_t)h->kind),
		.serial = htole64(h->serial),
		.sequence = htole64(h->sequence),
		.at = htole64(h->at),
		.salt_id = htole32(salt_id(salt)),
		.content_off = htole32(h->content_off),
		.prefix_len = htole32(h->prefix_len),
		.body_len = htole32(h->body_len),
		.content_len = htole64(h->content_len),
		.lf_size = htole64(h->wire.lf_size),
		.longest = htole32(h->wire.longest),
		.form = htole32(h->wire.odd ? FORM_ODD : 0),
	};
	put_sum(w.content_sum, h->content_sum);
	put_sum(w.body_sum, h->body_sum);
	put_sum(w.head_sum, sum_keyed(salt, &w, KEYED));
	memcpy(head, &w, sizeof w);
}

/* Are the lengths such that a reader may add them up? */
static bool lengths_fit(const struct record_head *h)
{
	return h->content_off >= RECORD_HEAD && h->content_off <= 1u << 20 &&
	       h->prefix_len <= h->content_len && h->content_len <= (uint64_t)1 << 60 &&
	       h->body_len <= RECORD_BODY_MAX && record_lf_size(h) <= h->content_len;
}

/* What tells at once that there is no record: has it the magic number, has it this salt's id? False: neither.
 */
static bool look_for_marks(const char head[RECORD_HEAD], const struct salt *salt, bool marks[2])
{
	uint32_t magic, id;
	memcpy(&magic, head + offsetof(struct wire, magic), sizeof magic);
	memcpy(&id, head + offsetof(struct wire, salt_id), sizeof id);
	marks[0] = le32toh(magic) == RECORD_MAGIC;
	marks[1] = le32toh(id) == salt_id(salt);
	return marks[0] || marks[1];
}

/* What a head of version 2 says of the form; what this program does not know of it makes it one of a later version. */
static bool get_form(const struct wire *w, struct wire_facts *f)
{
	uint32_t form = le32toh(w->form);
	*f = (struct wire_facts){ .is = true,
				  .odd = form & FORM_ODD,
				  .longest = le32toh(w->longest),
				  .lf_size = le64toh(w->lf_size) };
	return (form & ~(uint32_t)FORM_ODD) == 0;
}

enum record_verdict record_head_get(const char head[RECORD_HEAD], const struct salt *salt,
				    struct record_head *h)
{
	struct wire w;
	bool marks[2];
	if (!look_for_marks(head, salt, marks))
		return RECORD_NONE;
	memcpy(&w, head, sizeof w);
	w.magic = htole32(RECORD_MAGIC);
	w.salt_id = htole32(salt_id(salt));
	bool good = sum_equal(get_sum(w.head_sum), sum_keyed(salt, &w, KEYED));
	if (!good && !(marks[0] && marks[1]))
		return RECORD_NONE;
	*h = (struct record_head){
		.kind = le16toh(w.kind),
		.serial = le64toh(w.serial),
		.sequence = le64toh(w.sequence),
		.at = le64toh(w.at),
		.content_off = le32toh(w.content_off),
		.prefix_len = le32toh(w.prefix_len),
		.content_len = le64toh(w.content_len),
		.body_len = le32toh(w.body_len),
		.content_sum = get_sum(w.content_sum),
		.body_sum = get_sum(w.body_sum),
	};
	uint16_t version = le16toh(w.version);
	bool known = version == RECORD_VERSION || (version == RECORD_VERSION_WIRE && get_form(&w, &h->wire));
	if (!good || !marks[0] || !marks[1] || !lengths_fit(h))
		return RECORD_BROKEN;
	return known ? RECORD_GOOD : RECORD_FOREIGN;
}

struct sum record_content_sum(uint64_t serial, const char *content, uint64_t len, uint32_t prefix_len)
{
	return sum_two(serial, content + prefix_len, len - prefix_len, content, prefix_len);
}

struct sum record_body_sum(uint64_t serial, const char *body, size_t len)
{
	return sum_bytes(~serial, body, len);
}

bool record_content_good(const struct record_head *h, const char *content)
{
	return sum_equal(h->content_sum,
			 record_content_sum(h->serial, content, h->content_len, h->prefix_len));
}

bool record_body_good(const struct record_head *h, const char *body)
{
	return sum_equal(h->body_sum, record_body_sum(h->serial, body, h->body_len));
}
