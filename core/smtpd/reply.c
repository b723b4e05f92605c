/* SPDX-License-Identifier: Apache-2.0
 * Replies: cleaned, cut, and collected until the input is exhausted. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/sanitize.h"
#include "smtpd/session.h"

enum { REPLY_MAX = 1000, FIRST_ROOM = 500 /* for one round's replies, as a rule */ };

void reply_text(struct session *s, const char *text)
{
	if (!s->out.data)
		buf_reserve(&s->out, FIRST_ROOM);
	sanitize(&s->out, text, strlen(text), REPLY_MAX, s->utf8 ? SANITIZE_LOG : SANITIZE_REPLY);
	buf_add(&s->out, "\r\n", 2);
}

void reply(struct session *s, const char *fmt, ...)
{
	char text[REPLY_MAX];
	va_list ap;
	if (!strchr(fmt, '%')) {
		reply_text(s, fmt);
		return;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	reply_text(s, text);
}
