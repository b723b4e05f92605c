/* SPDX-License-Identifier: Apache-2.0
 * Log lines about what became of a command, in the form that log readers know. */
#include "base/log.h"

#include <stdio.h>
#include <string.h>

#include "mail/address.h"
#include "smtpd/auth.h"
#include "smtpd/restrict.h"

/* " to=<external form>" */
static void add_address(struct buf *b, const char *name, const char *address)
{
	buf_printf(b, " %s=<", name);
	address_quote(b, address);
	buf_putc(b, '>');
}

void log_whatsup(const struct session *s, const char *what, const char *text)
{
	struct buf b = BUF_INIT;
	const struct transaction *tx = s->tx;
	if (tx && tx->sender)
		add_address(&b, "from", tx->sender);
	if (s->checked_rcpt || (tx && tx->rcpts == 1))
		add_address(&b, "to", s->checked_rcpt ? s->checked_rcpt : tx->first_rcpt);
	buf_printf(&b, " proto=%s", s->protocol == PROTO_ESMTP ? "ESMTP" : "SMTP");
	if (s->helo)
		buf_printf(&b, " helo=<%s>", s->helo);
	log_info("%s: %s: %s from %s: %s;%s", tx && tx->draft ? tx->queue_id : "NOQUEUE", what, s->where, s->peer.namaddr,
		 text, buf_str(&b));
	buf_free(&b);
}

void log_client(const struct session *s)
{
	const struct transaction *tx = s->tx;
	const char *user = auth_user(s), *sender = tx->sasl_sender;
	log_info("%s: client=%s%s%s%s%s%s%s", tx->queue_id, s->peer.namaddr, user ? ", sasl_method=" : "", user ? auth_method(s) : "",
		 user ? ", sasl_username=" : "", user ? user : "", sender ? ", sasl_sender=" : "", sender ? sender : "");
}

const char *log_escaped(char out[LOG_ESCAPED_ROOM], const char *text, size_t len)
{
	static const char special[] = "\a\b\t\n\v\f\r";
	size_t at = 0;
	for (size_t i = 0; i < len && i < LOG_ESCAPED_SHOWN; i++) {
		unsigned char c = (unsigned char)text[i];
		const char *found = c ? strchr(special, c) : NULL;
		if (c == '\\' || found)
			at += (size_t)snprintf(out + at, LOG_ESCAPED_ROOM - at, "\\%c", found ? "abtnvfr"[found - special] : '\\');
		else if (c < 0x20 || c >= 0x7f)
			at += (size_t)snprintf(out + at, LOG_ESCAPED_ROOM - at, "\\%03o", c);
		else
			out[at++] = (char)c;
	}
	out[at] = '\0';
	return out;
}
