/* SPDX-License-Identifier: Apache-2.0 */
#include "resolve/answer.h"

#include "base/tlv.h"

enum { BODY_SOFT_MAX = 64 * 1024, ADDRESS_MAX = 4096 };

struct ask {
	uint64_t id;
	const char *address, *sender;
	uint64_t kind; /* enum resolve_ask */
};

static bool read_ask(struct arena *a, const struct tlv *group, struct ask *ask)
{
	struct tlv_reader r = tlv_read(group->data, group->len);
	struct tlv f;
	bool has_id = false;
	*ask = (struct ask){ .sender = "" };
	while (tlv_next(&r, &f)) {
		size_t len = f.len < ADDRESS_MAX ? f.len : ADDRESS_MAX;
		if (f.type == F_ID)
			has_id = tlv_u64(&f, &ask->id);
		else if (f.type == F_KIND)
			tlv_u64(&f, &ask->kind);
		else if (f.type == F_ADDRESS)
			ask->address = arena_strndup(a, f.data, len);
		else if (f.type == F_SENDER)
			ask->sender = arena_strndup(a, f.data, len);
	}
	return !r.bad && has_id && ask->address;
}

static void put_answer(struct buf *b, uint64_t id, const struct resolved *answer)
{
	size_t mark = tlv_open(b, F_ANSWER, 0);
	tlv_put_u64(b, F_ID, id);
	tlv_put_u64(b, F_VERDICT, answer->verdict);
	tlv_put_str(b, F_TRANSPORT, answer->transport);
	tlv_put_str(b, F_NEXTHOP, answer->nexthop);
	tlv_put_str(b, F_ADDRESS, answer->recipient);
	tlv_put_str(b, F_DSN, answer->dsn);
	tlv_put_str(b, F_REASON, answer->reason);
	tlv_close(b, mark);
}

/* Whom the address stands for, instead of where it goes. */
static void put_expansion(struct buf *b, const struct resolver *resolver, struct arena *a,
			  const struct ask *ask)
{
	const char **list = NULL;
	size_t count = 0;
	size_t mark = tlv_open(b, F_ANSWER, 0);
	tlv_put_u64(b, F_ID, ask->id);
	tlv_put_u64(b, F_VERDICT, resolver_expand(resolver, a, ask->address, &list, &count));
	for (size_t i = 0; i < count; i++)
		tlv_put_str(b, F_ADDRESS, list[i]);
	tlv_close(b, mark);
}

bool resolve_answer(const struct resolver *resolver, struct arena *a, const void *body, size_t len,
		    struct ipc_link *link)
{
	struct tlv_reader r = tlv_read(body, len);
	struct tlv f;
	struct buf out = BUF_INIT;
	bool good = true;
	while (good && tlv_next(&r, &f)) {
		struct ask ask;
		struct resolved answer;
		if (f.type != F_ASK)
			continue;
		arena_reset(a);
		good = read_ask(a, &f, &ask);
		if (!good)
			break;
		if (ask.kind == ASK_EXPAND) {
			put_expansion(&out, resolver, a, &ask);
		} else {
			(ask.kind == ASK_PROBE ? resolver_resolve_probe : resolver_resolve)(resolver, a, ask.sender,
											    ask.address, &answer);
			put_answer(&out, ask.id, &answer);
		}
		if (out.len > BODY_SOFT_MAX) {
			ipc_send(link, M_RESOLVED, out.data, out.len);
			buf_reset(&out);
		}
	}
	if (out.len > 0)
		ipc_send(link, M_RESOLVED, out.data, out.len);
	buf_free(&out);
	return good && !r.bad;
}

size_t resolve_share(const void *body, size_t len, size_t asks)
{
	struct tlv_reader r = tlv_read(body, len);
	struct tlv f;
	while (asks > 0 && tlv_next(&r, &f))
		asks -= f.type == F_ASK;
	return (size_t)(r.at - (const char *)body);
}
