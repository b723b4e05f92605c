/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "transports/smtp/smtp.h"

/* May stand in a local part without quotes (RFC 5321 4.1.2: atext, and RFC 6531's bytes). */
static bool atext(unsigned char c)
{
	return c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* A dot-string: atoms with single dots between. */
static bool plain_local(const char *p, size_t n)
{
	if (n == 0 || p[0] == '.' || p[n - 1] == '.')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!(p[i] == '.' ? p[i - 1] != '.' : atext((unsigned char)p[i])))
			return false;
	return true;
}

void put_address(struct text *t, const char *address, bool quote)
{
	const char *at = strrchr(address, '@');
	size_t local = at ? (size_t)(at - address) : strlen(address);
	if (*address == '\0' || !quote || plain_local(address, local)) {
		/* What could end the command or its argument never goes out as it is. */
		for (const char *p = address; *p; p++)
			text_add(t, (unsigned char)*p < ' ' || *p == 0x7f ? "?" : p, 1);
		return;
	}
	text_add(t, "\"", 1);
	for (size_t i = 0; i < local; i++) {
		if (address[i] == '"' || address[i] == '\\')
			text_add(t, "\\", 1);
		text_add(t, (unsigned char)address[i] < ' ' || address[i] == 0x7f ? "?" : &address[i], 1);
	}
	text_add(t, "\"", 1);
	if (at)
		put_address(t, at, false);
}

void put_xtext(struct text *t, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c > ' ' && c < 0x7f && c != '+' && c != '=')
			text_add(t, s, 1);
		else
			text_printf(t, "+%02X", c);
	}
}

void put_mail(struct text *t, const struct job *j, const struct session *s, uint64_t wire_size)
{
	const struct ost_delivery *d = j->d;
	text_puts(t, "MAIL FROM:<");
	put_address(t, d->sender, j->smtp->config->quote_envelope);
	text_puts(t, ">");
	if (s->can & CAN_SIZE)
		text_printf(t, " SIZE=%llu", (unsigned long long)wire_size);
	if (s->can & CAN_8BITMIME && d->flags & OST_MSG_8BITMIME)
		text_puts(t, " BODY=8BITMIME");
	if (s->can & CAN_SMTPUTF8 && d->flags & OST_MSG_SMTPUTF8)
		text_puts(t, " SMTPUTF8");
	if (s->can & CAN_DSN) {
		if (d->ret)
			text_puts(t, d->ret == 1 ? " RET=FULL" : " RET=HDRS");
		if (d->envid && *d->envid) {
			text_puts(t, " ENVID=");
			put_xtext(t, d->envid);
		}
	}
	text_puts(t, "\r\n");
}

/* " NOTIFY=SUCCESS,DELAY" */
static void put_notify(struct text *t, uint32_t notify)
{
	static const struct {
		uint32_t bit;
		const char *word;
	} words[] = { { 1, "NEVER" }, { 2, "SUCCESS" }, { 4, "FAILURE" }, { 8, "DELAY" } };
	const char *before = " NOTIFY=";
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (!(notify & words[i].bit))
			continue;
		text_puts(t, before);
		text_puts(t, words[i].word);
		before = ",";
	}
}

/* " ORCPT=rfc822;xtext": only the address behind the type is encoded. */
static void put_orcpt(struct text *t, const char *orcpt)
{
	const char *address = strchr(orcpt, ';');
	if (!address)
		return;
	text_puts(t, " ORCPT=");
	text_add(t, orcpt, (size_t)(address + 1 - orcpt));
	put_xtext(t, address + 1);
}

void put_rcpt(struct text *t, const struct job *j, const struct session *s, uint32_t rcpt)
{
	const struct ost_delivery_rcpt *r = &j->d->rcpts[rcpt];
	text_puts(t, "RCPT TO:<");
	put_address(t, r->address, j->smtp->config->quote_envelope);
	text_puts(t, ">");
	if (s->can & CAN_DSN) {
		put_notify(t, r->notify);
		if (r->orcpt && *r->orcpt)
			put_orcpt(t, r->orcpt);
	}
	text_puts(t, "\r\n");
}
