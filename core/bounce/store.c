/* SPDX-License-Identifier: Apache-2.0 */
#include "bounce/store.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum { CHUNK = 64 * 1024 };

/* ---- settings ------------------------------------------------------------------------------------------------ */

static bool list_has(const char *const *list, const char *word)
{
	for (; *list; list++)
		if (strcasecmp(*list, word) == 0)
			return true;
	return false;
}

static const char *complete(struct arena *a, const struct cfg_view *view, enum param_id id)
{
	const char *address = cfg_str(view, id);
	return strchr(address, '@') ? address : arena_printf(a, "%s@%s", address, cfg_str(view, P_myorigin));
}

void notice_settings_read(struct notice_settings *s, struct arena *a, const struct cfg_view *view)
{
	const char *const *classes = cfg_split(a, cfg_str(view, P_notify_classes));
	*s = (struct notice_settings){
		.myhostname = cfg_str(view, P_myhostname),
		.myorigin = cfg_str(view, P_myorigin),
		.mail_name = cfg_str(view, P_mail_name),
		.double_bounce = complete(a, view, P_double_bounce_sender),
		.bounce_copies = complete(a, view, P_bounce_notice_recipient),
		.delay_copies = complete(a, view, P_delay_notice_recipient),
		.double_bounces = complete(a, view, P_2bounce_notice_recipient),
		.size_limit = cfg_size(view, P_bounce_size_limit),
		.lifetime = cfg_time(view, P_maximal_queue_lifetime),
		.copy_bounces = list_has(classes, "bounce"),
		.copy_delays = list_has(classes, "delay"),
		.long_queue_ids = cfg_bool(view, P_enable_long_queue_ids),
	};
}

/* ---- content ------------------------------------------------------------------------------------------------- */

/* Where the header section ends, as far as it lies within the first max bytes; the rest of it is cut at a
 * line's end. */
static uint64_t headers_end(const char *data, size_t len)
{
	size_t line = 0;
	while (line < len) {
		const char *lf = memchr(data + line, '\n', len - line);
		if (!lf)
			return line;
		size_t next = (size_t)(lf - data) + 1;
		if (next == line + 1)
			return line;
		line = next;
	}
	return line;
}

static bool has_eight_bit(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] & 0x80)
			return true;
	return false;
}

/* What of the message is returned. */
struct returned {
	uint64_t size;
	bool headers_only, eight_bit;
};

/* Does the whole message go back? Failures' do, when they are not too large and RET does not say otherwise.
 */
static bool wants_all(const struct notice_settings *s, const struct notice_request *q,
		      const struct spool_stored *m, bool copy)
{
	if (q->kind != NOTICE_FAILURE && q->kind != NOTICE_DOUBLE)
		return false;
	return !copy && m->env->ret != RET_HDRS && m->size <= (uint64_t)s->size_limit;
}

static bool look_at_content(struct spool_stored *m, bool all, struct returned *out)
{
	char *chunk = mem_alloc(CHUNK);
	ssize_t n = spool_stored_read(m, 0, chunk, CHUNK);
	*out = (struct returned){ .headers_only = !all };
	if (n >= 0 && !all) {
		out->size = headers_end(chunk, (size_t)n);
		out->eight_bit = has_eight_bit(chunk, out->size);
	}
	if (n >= 0 && all) {
		out->size = m->size;
		for (uint64_t at = 0; n > 0 && !out->eight_bit; n = spool_stored_read(m, at, chunk, CHUNK)) {
			out->eight_bit = has_eight_bit(chunk, (size_t)n);
			at += (uint64_t)n;
		}
	}
	free(chunk);
	return n >= 0;
}

static bool copy_content(struct spool_draft *d, struct spool_stored *m, uint64_t size)
{
	char *chunk = mem_alloc(CHUNK);
	uint64_t at = 0;
	while (at < size) {
		size_t want = size - at < CHUNK ? (size_t)(size - at) : CHUNK;
		ssize_t n = spool_stored_read(m, at, chunk, want);
		if (n <= 0)
			break;
		spool_draft_write(d, chunk, (size_t)n);
		at += (uint64_t)n;
	}
	free(chunk);
	return at == size;
}

/* ---- storing ------------------------------------------------------------------------------------------------- */

/* One notice to one address, and whom that stands for. */
struct letter {
	const char *to;
	const char **rcpts;
	size_t nrcpts;
	bool postmaster; /* from the address that must not bounce */
	bool copy;       /* beside the one to the sender */
};

static bool commit(struct spool_draft **draft, const struct notice_text *t, const struct letter *l)
{
	struct arena *a = arena_new();
	struct spool_rcpt *rcpts = arena_alloc(a, l->nrcpts * sizeof *rcpts);
	const struct notice_request *q = t->request;
	for (size_t i = 0; i < l->nrcpts; i++) {
		rcpts[i].address = l->rcpts[i];
		if (strcasecmp(l->rcpts[i], l->to) != 0)
			rcpts[i].original = l->to;
	}
	const struct spool_envelope env = {
		.arrival = t->now,
		.sender = l->postmaster ? t->settings->double_bounce : "",
		.size = spool_draft_size(*draft),
		.flags = MSG_NOTICE | (t->eight_bit ? MSG_8BITMIME : 0),
		.message_id = t->message_id,
		.rewrite_context = "local",
		.notice_of = q->serial,
		.notice_round = notice_round(q->round, q->kind, l->copy),
		.rcpts = rcpts,
		.nrcpts = l->nrcpts,
	};
	bool ok = spool_draft_commit_wait(draft, &env) == SPOOL_STORED;
	arena_destroy(&a);
	return ok;
}

static const char *kind_word(enum notice_kind kind, bool postmaster)
{
	static const char *const words[] = {
		[NOTICE_FAILURE] = "sender non-delivery notification",
		[NOTICE_DELAY] = "sender delay notification",
		[NOTICE_SUCCESS] = "sender delivery status notification",
		[NOTICE_DOUBLE] = "postmaster non-delivery notification",
	};
	if (postmaster)
		return kind == NOTICE_DELAY ? "postmaster delay notification" : words[NOTICE_DOUBLE];
	return words[kind];
}

static bool store_letter(struct spool_writer *w, const struct notice_settings *s,
			 const struct notice_request *q, struct spool_stored *m, const struct letter *l)
{
	char own_id[QUEUE_ID_SIZE], queue_id[QUEUE_ID_SIZE];
	struct returned back;
	struct buf text = BUF_INIT;
	uint64_t random = 0;
	if (!look_at_content(m, wants_all(s, q, m, l->copy), &back))
		return false;
	if (getrandom(&random, sizeof random, 0) < 0)
		random = (uint64_t)clock_mono();
	struct spool_draft *draft = spool_draft_new(w);
	struct notice_text t = {
		.settings = s,
		.request = q,
		.env = m->env,
		.queue_id = queue_id_text(queue_id, q->serial, s->long_queue_ids),
		.own_id = queue_id_text(own_id, spool_draft_serial(draft), s->long_queue_ids),
		.to = l->to,
		.now = clock_utc(),
		.postmaster = l->postmaster,
		.headers_only = back.headers_only,
		.eight_bit = back.eight_bit,
	};
	compose_prepare(&t, random);
	compose_head(&text, &t);
	spool_draft_write(draft, text.data, text.len);
	bool ok = copy_content(draft, m, back.size);
	buf_reset(&text);
	compose_tail(&text, &t);
	spool_draft_write(draft, text.data, text.len);
	buf_free(&text);
	if (ok)
		ok = commit(&draft, &t, l);
	spool_draft_discard(&draft);
	if (ok)
		log_info("%s: message-id=%s", own_id, t.message_id);
	if (ok)
		log_info("%s: %s: %s", queue_id, kind_word(q->kind, l->postmaster), own_id);
	return ok;
}

/* To whom a notice of this kind goes; answers how many. */
static size_t addressees(const struct notice_settings *s, const struct notice_request *q, const char *sender,
			 struct letter list[2])
{
	size_t n = 0;
	if (q->kind == NOTICE_DOUBLE) {
		list[n++] = (struct letter){ .to = s->double_bounces, .postmaster = true };
		return n;
	}
	if (!sender || !*sender)
		return 0;
	if (q->kind == NOTICE_FAILURE && s->copy_bounces)
		list[n++] = (struct letter){ .to = s->bounce_copies, .postmaster = true, .copy = true };
	if (q->kind == NOTICE_DELAY && s->copy_delays)
		list[n++] = (struct letter){ .to = s->delay_copies, .postmaster = true, .copy = true };
	list[n++] = (struct letter){ .to = sender };
	return n;
}

bool notice_store(struct spool *spool, struct spool_writer *w, const struct notice_settings *s,
		  const struct notice_request *q, notice_expand_fn *expand, void *ctx)
{
	struct spool_stored m = { .fd = -1 };
	struct ost_why why = { .text = "" };
	struct letter list[2];
	char id[QUEUE_ID_SIZE];
	enum spool_fetched got = spool_fetch(spool, q->ticket, q->ticket_len, &m, &why);
	if (got != FETCH_OK) {
		if (got != FETCH_GONE)
			log_error("%s: cannot read the message for a notice: %s",
				  queue_id_text(id, q->serial, s->long_queue_ids), why.text);
		return false;
	}
	size_t n = addressees(s, q, m.env->sender, list);
	bool ok = true;
	for (size_t i = 0; i < n && ok; i++)
		ok = expand(ctx, m.arena, list[i].to, &list[i].rcpts, &list[i].nrcpts) &&
		     list[i].nrcpts > 0 && store_letter(w, s, q, &m, &list[i]);
	spool_stored_free(&m);
	return ok;
}
