/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/received.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "mail/address.h"
#include "mail/date.h"

/* In a comment: nothing that ends it, or begins another, unless they match (RFC 5322 3.2.2). */
static void add_login(struct buf *out, const char *login)
{
	unsigned open = 0;
	buf_puts(out, "\t(Authenticated sender: ");
	for (const char *p = login; *p; p++) {
		bool bad = *p == '\\' || (*p == ')' && open == 0);
		open += *p == '(' ? 1 : *p == ')' && open ? -1u : 0;
		buf_putc(out, bad ? '?' : *p);
	}
	while (open--)
		buf_putc(out, ')');
	buf_puts(out, ")\n");
}

void received_smtp(struct buf *out, const struct received *r)
{
	char date[MAIL_DATE_SIZE];
	const char *v6 = strchr(r->address, ':') ? "IPv6:" : "";
	mail_date(date, r->when);
	buf_reserve(out, 512);
	buf_printf(out, "Received: from %s (%s [%s%s])%s%s\n", r->helo ? r->helo : r->name, r->name, v6, r->address,
		   r->tls ? "\n\t" : "", r->tls ? r->tls : "");
	if (r->login)
		add_login(out, r->login);
	buf_printf(out, "\tby %s (%s) with %s id %s", r->by, r->mail_name, r->protocol, r->queue_id);
	if (r->recipient) {
		buf_puts(out, "\n\tfor <");
		address_quote(out, r->recipient);
		buf_putc(out, '>');
	}
	buf_printf(out, "; %s\n", date);
}

void received_local(struct buf *out, const struct received *r, unsigned uid)
{
	char date[MAIL_DATE_SIZE];
	mail_date(date, r->when);
	buf_printf(out, "Received: by %s (%s, from userid %u)\n\tid %s; %s\n", r->by, r->mail_name, uid, r->queue_id, date);
}

void message_id_make(struct buf *out, int64_t when, const char *queue_id, const char *hostname)
{
	char stamp[32];
	struct tm tm;
	time_t seconds = (time_t)(when / CLOCK_SECOND);
	gmtime_r(&seconds, &tm);
	strftime(stamp, sizeof stamp, "%Y%m%d%H%M%S", &tm);
	buf_printf(out, "<%s.%s@%s>", stamp, queue_id, hostname);
}
