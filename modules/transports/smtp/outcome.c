/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transports/smtp/smtp.h"

static void report(struct job *j, uint32_t rcpt, enum ost_delivered status, const struct last *l)
{
	const struct ost_report r = {
		.size = sizeof r,
		.status = status,
		.dsn = l->dsn,
		.text = l->text,
		.relay = *l->relay ? l->relay : NULL,
		.mta = *l->mta ? l->mta : NULL,
		.diagnostic = *l->diagnostic ? l->diagnostic : NULL,
		.flags = l->flags,
		.uses = l->uses,
	};
	smtp_host->report(j->d, rcpt, &r);
	j->rcpts[rcpt].state = RCPT_OVER;
	j->left--;
}

static void describe(struct last *l, const struct session *s, const struct outcome_text *o)
{
	*l = (struct last){ .flags = o->flags };
	snprintf(l->dsn, sizeof l->dsn, "%s", o->dsn);
	snprintf(l->text, sizeof l->text, "%s", o->text);
	if (s) {
		snprintf(l->relay, sizeof l->relay, "%s", s->relay);
		snprintf(l->mta, sizeof l->mta, "%s", s->host);
		l->uses = s->uses;
	}
	if (o->reply)
		snprintf(l->diagnostic, sizeof l->diagnostic, "%s", o->reply->text);
}

/* Remembers a failure that another server may make good. */
static void remember(struct job *j, uint32_t rcpt, const struct last *l)
{
	if (!j->lasts) {
		j->lasts = calloc(j->d->nrcpts, sizeof *j->lasts);
		if (!j->lasts)
			abort();
	}
	j->lasts[rcpt] = *l;
	j->rcpts[rcpt].failed = true;
}

void outcome_set(struct job *j, const struct session *s, uint32_t rcpt, const struct outcome_text *o)
{
	struct last l;
	if (j->rcpts[rcpt].state != RCPT_LEFT)
		return;
	describe(&l, s, o);
	if (o->status == OST_DEFERRED)
		remember(j, rcpt, &l);
	else
		report(j, rcpt, o->status, &l);
}

void outcome_all(struct job *j, const struct session *s, const struct outcome_text *o)
{
	for (uint32_t i = 0; i < j->d->nrcpts; i++)
		outcome_set(j, s, i, o);
}

/* What a reply means: 5xx never, all else later. *dsn is the reply's, in the class of the outcome. */
static enum ost_delivered judge(const struct reply *r, char dsn[12])
{
	enum ost_delivered status = r->code / 100 == 5 ? OST_BOUNCED : OST_DEFERRED;
	snprintf(dsn, 12, "%s", r->dsn);
	if (status == OST_DEFERRED)
		dsn[0] = '4';
	return status;
}

void outcome_said(struct job *j, const struct session *s, uint32_t rcpt, const struct reply *r, const char *command)
{
	char dsn[12], text[sizeof((struct last *)0)->text];
	snprintf(text, sizeof text, "host %.255s said: %s (in reply to %s)", s->name, r->text, command);
	outcome_set(j, s, rcpt, &(struct outcome_text){ .status = judge(r, dsn), .dsn = dsn, .text = text, .reply = r });
}

void outcome_said_all(struct job *j, const struct session *s, const struct reply *r, const char *command)
{
	for (uint32_t i = 0; i < j->d->nrcpts; i++)
		outcome_said(j, s, i, r, command);
}

void outcome_broken(struct job *j, struct session *s, enum reply_state state, const char *doing)
{
	static const struct {
		const char *dsn, *before, *after;
	} words[] = {
		[REPLY_LOST] = { "4.4.2", "lost connection with", "" },
		[REPLY_TIMEOUT] = { "4.4.2", "conversation with", " timed out" },
		[REPLY_MALFORMED] = { "4.5.0", "protocol error: cannot understand", "" },
	};
	char text[800];
	s->good = false;
	snprintf(text, sizeof text, "%s %.500s%s while %s", words[state].before, s->name, words[state].after, doing);
	outcome_all(j, s, &(struct outcome_text){ .status = OST_DEFERRED, .dsn = words[state].dsn, .text = text });
}

void outcome_report_left(struct job *j)
{
	for (uint32_t i = 0; i < j->d->nrcpts; i++)
		if (j->rcpts[i].state == RCPT_LEFT && j->rcpts[i].failed)
			report(j, i, OST_DEFERRED, &j->lasts[i]);
}
