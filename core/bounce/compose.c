/* SPDX-License-Identifier: Apache-2.0 */
#include "bounce/compose.h"

#include <stdio.h>
#include <string.h>

#include "base/sanitize.h"
#include "mail/address.h"
#include "mail/date.h"
#include "mail/received.h"

enum { LINE_WIDTH = 76, FIELD_MAX = 900, TEXT_MAX = 900 };

/* What the kinds of notices say. */
static const struct kind {
	const char *subject, *copy_subject;
	const char *intro; /* to the sender */
	const char *copy_intro;
	const char *returned; /* Content-Description of the last part */
} kinds[] = {
	[NOTICE_FAILURE] = {
		.subject = "Undelivered Mail Returned to Sender",
		.copy_subject = "Postmaster Copy: Undelivered Mail",
		.intro = "Your message could not be delivered to one or more recipients.\n"
			 "It is attached below, and will not be tried again.\n",
		.copy_intro = "A message could not be delivered; its sender has been told.\n",
		.returned = "Undelivered Message",
	},
	[NOTICE_DELAY] = {
		.subject = "Delayed Mail (still being retried)",
		.copy_subject = "Postmaster Warning: Delayed Mail",
		.intro = "####################################################################\n"
			 "# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #\n"
			 "####################################################################\n\n"
			 "Your message has not been delivered to the recipients below so far.\n"
			 "Delivery will be tried again.\n",
		.copy_intro = "A message is delayed; its sender has been told.\n",
		.returned = "Delayed Message",
	},
	[NOTICE_SUCCESS] = {
		.subject = "Successful Mail Delivery Report",
		.copy_subject = "Successful Mail Delivery Report",
		.intro = "Your message was delivered to the recipients below, or passed on to a\n"
			 "mail system that does not send delivery reports.\n",
		.copy_intro = "",
		.returned = "Message",
	},
	[NOTICE_DOUBLE] = {
		.subject = "Undelivered Mail Returned to Sender",
		.copy_subject = "Postmaster Copy: Undelivered Mail",
		.intro = "",
		.copy_intro = "A notice without a sender could not be delivered, so you are told.\n",
		.returned = "Undelivered Message",
	},
};

static const char *action_of(const struct notice_rcpt *r)
{
	switch (r->status) {
	case RCPT_SENT:
	case RCPT_SENT_OWED:
		return r->mta ? "relayed" : "delivered";
	case RCPT_DEFERRED:
		return "delayed";
	default:
		return "failed";
	}
}

/* ---- bytes --------------------------------------------------------------------------------------------------- */

static void put_clean(struct buf *b, const char *text)
{
	sanitize(b, text, strlen(text), TEXT_MAX, SANITIZE_REPLY);
}

/* An address in external form, cleaned. */
static void put_address(struct buf *b, const char *address)
{
	struct buf quoted = BUF_INIT;
	if (*address)
		address_quote(&quoted, address);
	put_clean(b, buf_str(&quoted));
	buf_free(&quoted);
}

/* Words, with line breaks where a line would get too long; the lines after the first start with indent. */
static void put_wrapped(struct buf *b, size_t column, const char *text, const char *indent)
{
	while (*text) {
		size_t space = strspn(text, " "), word = strcspn(text + space, " ");
		if (column + space + word > LINE_WIDTH && column > strlen(indent)) {
			buf_putc(b, '\n');
			buf_puts(b, indent);
			column = strlen(indent);
			text += space;
			space = 0;
		}
		buf_add(b, text, space + word);
		column += space + word;
		text += space + word;
	}
	buf_putc(b, '\n');
}

/* "Name: value", folded; nothing when there is no value. */
static void put_field(struct buf *b, const char *name, const char *type, const char *value)
{
	char clean[FIELD_MAX];
	if (!value)
		return;
	sanitize_into(clean, sizeof clean, value, strlen(value), SANITIZE_REPLY);
	buf_printf(b, "%s: %s", name, type);
	put_wrapped(b, strlen(name) + 2 + strlen(type), clean, "    ");
}

static void put_date(struct buf *b, const char *name, int64_t when)
{
	char date[MAIL_DATE_SIZE];
	buf_printf(b, "%s: %s\n", name, mail_date(date, when));
}

static void put_part(struct buf *b, const struct notice_text *t, const char *description, const char *type)
{
	buf_printf(b, "\n--%s\nContent-Description: %s\nContent-Type: %s\n", t->boundary, description, type);
}

/* ---- the parts ----------------------------------------------------------------------------------------------- */

void compose_prepare(struct notice_text *t, uint64_t random)
{
	struct buf id = BUF_INIT;
	snprintf(t->boundary, sizeof t->boundary, "%s.%llX/%.80s", t->own_id, (unsigned long long)random,
		 t->settings->myhostname);
	message_id_make(&id, t->now, t->own_id, t->settings->myhostname);
	snprintf(t->message_id, sizeof t->message_id, "%s", buf_str(&id));
	buf_free(&id);
}

static void put_headers(struct buf *b, const struct notice_text *t)
{
	char date[MAIL_DATE_SIZE];
	const struct notice_settings *s = t->settings;
	const struct kind *k = &kinds[t->request->kind];
	mail_date(date, t->now);
	buf_printf(b, "Received: by %s (%s)\n\tid %s; %s\n", s->myhostname, s->mail_name, t->own_id, date);
	buf_printf(b, "Date: %s\n", date);
	buf_printf(b, "From: Mail Delivery System <MAILER-DAEMON@%s>\n", s->myorigin);
	buf_printf(b, "Subject: %s\nTo: ", t->postmaster ? k->copy_subject : k->subject);
	put_address(b, t->to);
	buf_printf(b, "\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\n");
	buf_printf(b, "Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"%s\"\n",
		   t->boundary);
	if (t->eight_bit)
		buf_puts(b, "Content-Transfer-Encoding: 8bit\n");
	buf_printf(b, "Message-Id: %s\n\nThis is a MIME-encapsulated message.\n", t->message_id);
}

static void put_explanation(struct buf *b, const struct notice_text *t)
{
	const struct kind *k = &kinds[t->request->kind];
	struct buf line = BUF_INIT;
	char date[MAIL_DATE_SIZE];
	put_part(b, t, "Notification", "text/plain; charset=us-ascii");
	buf_printf(b, "\nThis is the mail system at host %s.\n\n", t->settings->myhostname);
	buf_puts(b, t->postmaster ? k->copy_intro : k->intro);
	if (t->request->kind == NOTICE_DELAY)
		buf_printf(b, "It will be tried until %s.\n",
			   mail_date(date, t->env->arrival + t->settings->lifetime));
	buf_puts(b, "\nFor assistance, please write to postmaster, and include this report.\n\n"
		    "                   The mail system\n\n");
	for (size_t i = 0; i < t->request->nrcpts; i++) {
		const struct notice_rcpt *r = &t->request->rcpts[i];
		buf_reset(&line);
		buf_putc(&line, '<');
		put_address(&line, r->address);
		buf_puts(&line, ">: ");
		put_clean(&line, r->reason ? r->reason : "no reason was given");
		if (i > 0)
			buf_putc(b, '\n');
		put_wrapped(b, 0, buf_str(&line), "    ");
	}
	buf_free(&line);
}

static void put_message_fields(struct buf *b, const struct notice_text *t)
{
	struct buf sender = BUF_INIT;
	put_part(b, t, "Delivery report", "message/delivery-status");
	buf_putc(b, '\n');
	put_field(b, "Original-Envelope-Id", "", t->env->envid);
	put_field(b, "Reporting-MTA", "dns; ", t->settings->myhostname);
	put_field(b, "X-Ostler-Queue-ID", "", t->queue_id);
	if (t->env->sender && *t->env->sender) {
		put_address(&sender, t->env->sender);
		put_field(b, "X-Ostler-Sender", "rfc822; ", buf_str(&sender));
	}
	put_date(b, "Arrival-Date", t->env->arrival);
	buf_free(&sender);
}

/* What the client gave as ORCPT, or at least the address before aliases. */
static void put_original(struct buf *b, const struct notice_text *t, const struct notice_rcpt *r)
{
	if (r->index >= t->env->nrcpts)
		return;
	const struct spool_rcpt *stored = &t->env->rcpts[r->index];
	const char *semicolon = stored->orcpt ? strchr(stored->orcpt, ';') : NULL;
	if (semicolon) {
		char type[64];
		snprintf(type, sizeof type, "%.*s; ", (int)(semicolon - stored->orcpt), stored->orcpt);
		put_field(b, "Original-Recipient",
			  sanitize_into(type, sizeof type, type, strlen(type), SANITIZE_REPLY),
			  semicolon + 1);
	} else if (stored->original && *stored->original) {
		put_field(b, "Original-Recipient", "rfc822;", stored->original);
	}
}

static void put_recipient_fields(struct buf *b, const struct notice_text *t, const struct notice_rcpt *r)
{
	struct buf address = BUF_INIT;
	put_address(&address, r->address);
	buf_putc(b, '\n');
	put_field(b, "Final-Recipient", "rfc822; ", buf_str(&address));
	put_original(b, t, r);
	put_field(b, "Action", "", action_of(r));
	put_field(b, "Status", "",
		  r->dsn && *r->dsn            ? r->dsn
		  : r->status == RCPT_DEFERRED ? "4.0.0"
					       : "5.0.0");
	put_field(b, "Remote-MTA", "", r->mta);
	if (r->diagnostic)
		put_field(b, "Diagnostic-Code", "", r->diagnostic);
	else if (r->reason)
		put_field(b, "Diagnostic-Code", "X-Ostler; ", r->reason);
	if (r->status == RCPT_DEFERRED)
		put_date(b, "Will-Retry-Until", t->env->arrival + t->settings->lifetime);
	buf_free(&address);
}

void compose_head(struct buf *b, const struct notice_text *t)
{
	const char *eight = t->eight_bit ? "Content-Transfer-Encoding: 8bit\n" : "";
	char description[64];
	put_headers(b, t);
	put_explanation(b, t);
	put_message_fields(b, t);
	for (size_t i = 0; i < t->request->nrcpts; i++)
		put_recipient_fields(b, t, &t->request->rcpts[i]);
	snprintf(description, sizeof description, "%s%s", kinds[t->request->kind].returned,
		 t->headers_only ? " Headers" : "");
	put_part(b, t, description, t->headers_only ? "text/rfc822-headers" : "message/rfc822");
	buf_puts(b, eight);
	buf_putc(b, '\n');
}

void compose_tail(struct buf *b, const struct notice_text *t)
{
	buf_printf(b, "\n--%s--\n", t->boundary);
}
