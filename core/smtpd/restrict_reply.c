/* SPDX-License-Identifier: Apache-2.0
 * What restrictions decide, as replies and log lines. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/sanitize.h"
#include "mail/dsn.h"
#include "smtpd/check.h"

enum { REPLY_MAX = 500 };

void verdict_free(struct verdict *v)
{
	buf_free(&v->reply);
	buf_free(&v->if_permit.text);
	buf_free(&v->if_reject.text);
	v->if_permit.active = v->if_reject.active = false;
}

/* "CODE DSN text", clean and of one line. */
__attribute__((format(printf, 4, 0)))
static void compose(struct buf *out, int code, const char *dsn, const char *fmt, va_list ap)
{
	char text[1000], fixed[DSN_SIZE];
	vsnprintf(text, sizeof text, fmt, ap);
	snprintf(fixed, sizeof fixed, "%s", dsn);
	dsn_set_class(fixed, (char)('0' + code / 100));
	buf_reset(out);
	buf_printf(out, "%d %s ", code, fixed);
	sanitize(out, text, strlen(text), REPLY_MAX, SANITIZE_REPLY);
}

/* soft_bounce makes 5xx 4xx. */
static void soften(const struct session *s, struct buf *reply)
{
	if (s->server->soft_bounce && reply->data[0] == '5')
		reply->data[0] = reply->data[4] = '4';
}

void check_say(struct check *c, const char *text)
{
	struct buf *reply = &c->s->verdict.reply;
	buf_reset(reply);
	buf_puts(reply, text);
	soften(c->s, reply);
	if (strncmp(reply->data, "421", 3) == 0 || strncmp(reply->data, "521", 3) == 0)
		c->s->disconnect = true;
	log_whatsup(c->s, "reject", buf_str(reply));
}

/* What is composed in text becomes the reply, or what a defer_if_reject has put off. */
static enum outcome refuse(struct check *c, const char *text)
{
	struct verdict *v = &c->s->verdict;
	bool other = v->if_reject.active && text[0] == '5';
	v->if_reject.active = false;
	check_say(c, other ? buf_str(&v->if_reject.text) : text);
	return OUTCOME_REJECT;
}

/* Composes, and refuses or warns. */
__attribute__((format(printf, 5, 0)))
static enum outcome decide(struct check *c, bool warn, int code, const char *dsn, const char *fmt, va_list ap)
{
	struct buf text = BUF_INIT;
	enum outcome out = OUTCOME_DUNNO;
	compose(&text, code, dsn, fmt, ap);
	if (warn) {
		soften(c->s, &text);
		log_whatsup(c->s, "reject_warning", buf_str(&text));
	} else {
		out = refuse(c, buf_str(&text));
	}
	buf_free(&text);
	return out;
}

enum outcome check_reject(struct check *c, int code, const char *dsn, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	enum outcome out = decide(c, c->s->verdict.warn_depth > 0, code, dsn, fmt, ap);
	va_end(ap);
	return out;
}

enum outcome check_fail(struct check *c, int code, const char *dsn, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	enum outcome out = decide(c, false, code, dsn, fmt, ap);
	va_end(ap);
	return out;
}

enum outcome check_unsure(struct check *c, const char *name)
{
	return check_fail(c, 451, "4.3.0", "<%s>: Temporary lookup failure", name);
}

enum outcome check_postpone(struct check *c, struct postponed *p, int code, const char *dsn, const char *fmt, ...)
{
	struct buf text = BUF_INIT;
	va_list ap;
	va_start(ap, fmt);
	compose(&text, code, dsn, fmt, ap);
	va_end(ap);
	if (c->s->verdict.warn_depth) {
		log_whatsup(c->s, "reject_warning", buf_str(&text));
	} else if (!p->active) {
		p->active = true;
		buf_reset(&p->text);
		buf_puts(&p->text, buf_str(&text));
	}
	buf_free(&text);
	return OUTCOME_DUNNO;
}

enum outcome check_permit(struct check *c, const char *action, const char *kind, const char *name)
{
	const struct matchlist *logged = c->r->logged_permits;
	struct lookup got = { 0 };
	if (!logged || c->s->verdict.if_permit.active || matchlist_name(logged, c->arena, action, &got) != OST_FOUND)
		return OUTCOME_PERMIT;
	log_whatsup(c->s, "permit", arena_printf(c->arena, "action=%s for %s=%s %s%s", action, kind, name, c->source ? "from " : "",
						 c->source ? c->source : ""));
	return OUTCOME_PERMIT;
}

/* ---- status codes about addresses ---- */

static const struct { /* x.1.DETAIL */
	char detail;
	char sender, recipient; /* what says the same of one and of the other */
} details[] = {
	{ '1', '7', '1' }, { '2', '8', '2' }, { '3', '7', '3' }, { '4', '7', '4' }, { '5', '0', '5' }, { '6', '7', '6' },
	{ '7', '7', '3' }, { '8', '8', '2' },
};

const char *check_dsn_for(struct check *c, const char *dsn, const char *kind)
{
	if (strncmp(dsn + 1, ".1.", 3) != 0)
		return dsn;
	bool sender = strcmp(kind, "Sender address") == 0, address = sender || strcmp(kind, "Recipient address") == 0;
	char detail = '0';
	for (size_t i = 0; address && i < sizeof details / sizeof *details; i++)
		if (dsn[4] == details[i].detail && !dsn[5])
			detail = sender ? details[i].sender : details[i].recipient;
	const char *fit = arena_printf(c->arena, address ? "%c.1.%c" : "%c.0.%c", dsn[0], detail);
	if (strcmp(fit, dsn) != 0)
		log_info("mapping DSN status %s into %s status %s", dsn, kind, fit);
	return fit;
}
