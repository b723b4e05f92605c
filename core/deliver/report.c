/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "base/sanitize.h"
#include "deliver/delivery.h"
#include "ipc/protocol.h"

enum { TEXT_MAX = 800, DSN_SIZE = 12, BODY_MAX = IPC_BODY_MAX - 8192 };

static const struct {
	char class; /* of the DSN code */
	const char *fallback, *word, *probe_word;
} statuses[] = {
	[OST_SENT] = { '2', "2.0.0", "sent", "deliverable" },
	[OST_DEFERRED] = { '4', "4.0.0", "deferred", "undeliverable" },
	[OST_BOUNCED] = { '5', "5.0.0", "bounced", "undeliverable" },
};

/* One line of the arena, cleaned; NULL stays NULL. prefix goes in front. */
static const char *clean(struct arena *a, const char *prefix, const char *text)
{
	if (!text)
		return NULL;
	struct buf b = BUF_INIT;
	buf_puts(&b, prefix);
	sanitize(&b, text, strlen(text), TEXT_MAX, SANITIZE_LOG);
	const char *copy = arena_strndup(a, buf_str(&b), b.len);
	buf_free(&b);
	return copy;
}

/* "x.y.z" with digits only, x being the class; else the class's general code. */
static const char *clean_dsn(struct arena *a, enum ost_delivered status, const char *dsn)
{
	const char *p = dsn ? dsn : "";
	size_t parts = 0;
	if (*p == statuses[status].class && p[1] == '.') {
		parts = 1;
		for (p++; *p == '.' && parts < 3; parts++) {
			size_t digits = strspn(p + 1, "0123456789");
			if (digits < 1 || digits > 3)
				break;
			p += 1 + digits;
		}
	}
	return parts == 3 && *p == '\0' ? arena_strdup(a, dsn) : statuses[status].fallback;
}

/* With soft_bounce nothing fails for good: 5.x.y becomes 4.x.y. */
static void soften(struct delivery *d, struct outcome *o)
{
	if (!d->agent->soft_bounce || o->status != OST_BOUNCED)
		return;
	o->status = OST_DEFERRED;
	o->dsn = arena_printf(d->arena, "4%s", o->dsn + 1);
}

void report_recipient(struct delivery *d, uint32_t rcpt, const struct ost_report *r)
{
	if (rcpt >= d->pub.nrcpts || r->status < OST_SENT || r->status > OST_BOUNCED) {
		log_error("%s: the transport %s reports a recipient or status that does not exist", d->pub.queue_id,
			  d->agent->transport);
		return;
	}
	struct outcome *o = &d->outcomes[rcpt];
	if (o->reported) {
		log_error("%s: the transport %s reports <%s> twice", d->pub.queue_id, d->agent->transport,
			  d->pub.rcpts[rcpt].address);
		return;
	}
	*o = (struct outcome){
		.reported = true,
		.status = r->status,
		.dsn = clean_dsn(d->arena, r->status, r->dsn),
		.text = clean(d->arena, "", r->text ? r->text : ""),
		.relay = clean(d->arena, "", r->relay),
		.mta = clean(d->arena, "dns; ", r->mta),
		.diagnostic = clean(d->arena, "smtp; ", r->diagnostic),
		.flags = r->flags,
		.uses = r->size >= offsetof(struct ost_report, uses) + sizeof r->uses ? r->uses : 0,
	};
	soften(d, o);
}

void report_rest(struct delivery *d, enum ost_delivered status, const char *dsn, const char *text)
{
	const struct ost_report r = { .size = sizeof r, .status = status, .dsn = dsn, .text = text };
	for (uint32_t i = 0; i < d->pub.nrcpts; i++)
		if (!d->outcomes[i].reported)
			report_recipient(d, i, &r);
}

/* ---- the log ----------------------------------------------------------------------------------------------------- */

/* "delay=1.2, delays=0.1/0/0.3/0.8": before the active queue, in it, connecting, transmitting. */
static void put_delays(struct buf *b, const struct delivery *d)
{
	int digits = d->agent->log_digits;
	int64_t connected = d->connected ? d->connected : d->taken;
	int64_t active = d->active_since ? d->active_since : d->taken_utc;
	buf_puts(b, "delay=");
	log_seconds(b, d->taken_utc - d->pub.arrival + (d->finished - d->taken), digits);
	buf_puts(b, ", delays=");
	log_seconds(b, active - d->pub.arrival, digits);
	buf_putc(b, '/');
	log_seconds(b, d->taken_utc - active, digits);
	buf_putc(b, '/');
	log_seconds(b, connected - d->taken, digits);
	buf_putc(b, '/');
	log_seconds(b, d->finished - connected, digits);
}

void report_log(const struct delivery *d)
{
	struct buf delays = BUF_INIT, line = BUF_INIT;
	put_delays(&delays, d);
	for (uint32_t i = 0; i < d->pub.nrcpts; i++) {
		const struct ost_delivery_rcpt *r = &d->pub.rcpts[i];
		const struct outcome *o = &d->outcomes[i];
		buf_reset(&line);
		buf_printf(&line, "%s: to=<%s>", d->pub.queue_id, r->address);
		if (d->agent->log_original && r->original[0] && strcasecmp(r->original, r->address) != 0)
			buf_printf(&line, ", orig_to=<%s>", r->original);
		buf_printf(&line, ", relay=%s", o->relay ? o->relay : "none");
		if (o->uses > 1)
			buf_printf(&line, ", conn_use=%u", o->uses);
		log_info("%s, %s, dsn=%s, status=%s (%s)", buf_str(&line), buf_str(&delays), o->dsn,
			 d->pub.flags & OST_MSG_PROBE ? statuses[o->status].probe_word : statuses[o->status].word, o->text);
	}
	buf_free(&delays);
	buf_free(&line);
}

/* ---- results ----------------------------------------------------------------------------------------------------- */

static enum rcpt_status spool_status(const struct delivery *d, uint32_t i)
{
	const struct outcome *o = &d->outcomes[i];
	if (o->status == OST_DEFERRED)
		return RCPT_DEFERRED;
	if (o->status == OST_BOUNCED)
		return RCPT_FAILED;
	bool told = d->pub.rcpts[i].notify & NOTIFY_SUCCESS && !(o->flags & OST_REPORT_DSN_PASSED_ON);
	return told ? RCPT_SENT_OWED : RCPT_SENT;
}

/* One F_RESULT group. */
static void put_result(struct buf *b, const struct delivery *d, uint32_t i)
{
	const struct outcome *o = &d->outcomes[i];
	size_t mark = tlv_open(b, F_RESULT, 0);
	tlv_put_u64(b, F_RCPT, d->index[i]);
	tlv_put_u64(b, F_STATUS, spool_status(d, i));
	tlv_put_str(b, F_DSN, o->dsn);
	tlv_put_str(b, F_REASON, o->text);
	tlv_put_str(b, F_MTA, o->mta);
	tlv_put_str(b, F_DIAGNOSTIC, o->diagnostic);
	if (o->flags)
		tlv_put_u64(b, F_FLAGS, o->flags);
	tlv_close(b, mark);
}

static void put_head(struct buf *b, const struct delivery *d, const void *receipt, size_t len)
{
	tlv_put_u64(b, F_ID, d->id);
	tlv_put_u64(b, F_SERIAL, d->serial);
	if (len > 0)
		tlv_put(b, F_RECEIPT, 0, receipt, len);
}

/* M_DELIVERED, in several messages when the texts are long: all but the last have F_COUNT, how many recipients follow. */
static void post(struct delivery *d, const void *receipt, size_t len)
{
	struct buf b = BUF_INIT;
	put_head(&b, d, receipt, len);
	for (uint32_t i = 0; i < d->pub.nrcpts; i++) {
		if (b.len > BODY_MAX) {
			tlv_put_u64(&b, F_COUNT, d->pub.nrcpts - i);
			outbox_add(d->agent->outbox, &b);
			put_head(&b, d, receipt, len);
		}
		put_result(&b, d, i);
	}
	outbox_add(d->agent->outbox, &b);
}

void report_recorded(struct delivery *d, const void *receipt, size_t len)
{
	CHECK_MAGIC(d, AGENT_MAGIC);
	flights_remove(d->agent->flights, d);
	post(d, receipt, len);
	delivery_destroy(&d);
}

size_t report_results(const struct delivery *d, struct spool_result *results)
{
	size_t n = 0;
	int64_t now = clock_utc();
	for (uint32_t i = 0; i < d->pub.nrcpts; i++) {
		const struct outcome *o = &d->outcomes[i];
		enum rcpt_status status = spool_status(d, i);
		if (status == RCPT_DEFERRED)
			continue; /* lost, it means that the recipient is tried again: nothing to keep */
		results[n++] = (struct spool_result){ .serial = d->serial, .rcpt = d->index[i], .status = status, .when = now,
						      .dsn = o->dsn, .reason = o->text, .mta = o->mta,
						      .diagnostic = o->diagnostic };
	}
	return n;
}

void report_gone(struct delivery *d)
{
	struct buf b = BUF_INIT;
	put_head(&b, d, NULL, 0);
	tlv_put_u64(&b, F_GONE, 1);
	flights_remove(d->agent->flights, d);
	outbox_add(d->agent->outbox, &b);
	delivery_destroy(&d);
}
