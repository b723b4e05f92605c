/* SPDX-License-Identifier: Apache-2.0 */
#include "mail/address.h"

#include <string.h>
#include <strings.h>

#include "mail/ascii.h"

enum { PATH_MAX_BYTES = 2048 };

/* What is read: text[at..len). */
struct cursor {
	const char *text;
	size_t at, len;
};

/* The byte at the cursor, or -1 at the end. */
static int peek(const struct cursor *c)
{
	return c->at < c->len ? (unsigned char)c->text[c->at] : -1;
}

/* Takes one particular byte. */
static bool take(struct cursor *c, char want)
{
	if (peek(c) != (unsigned char)want)
		return false;
	c->at++;
	return true;
}

/* "quoted string" of a local part, unquoted into out; the cursor is behind the opening quote. */
static bool read_quoted(struct cursor *c, struct buf *out)
{
	for (int ch; (ch = peek(c)) >= 0; ) {
		c->at++;
		if (ch == '"')
			return true;
		if (ch == '\\') {
			ch = peek(c);
			c->at += ch >= 0;
		}
		if (ch < 0x20 || ch >= 0x7f)
			return false;
		buf_putc(out, (char)ch);
	}
	return false;
}

/* [domain literal], kept with its brackets. */
static bool read_literal(struct cursor *c, struct buf *out)
{
	size_t start = c->at;
	for (int ch; (ch = peek(c)) > 0x20 && ch < 0x7f && ch != '\\' && ch != '<' && ch != '>';) {
		c->at++;
		if (ch == ']') {
			buf_add(out, c->text + start, c->at - start);
			return true;
		}
	}
	return false;
}

/* May the byte stand in an address outside quotes? RFC 5321 atext and dot; more than one '@', '%' and '!' are taken as they
 * come, for the resolver to judge. */
static bool plain_byte(int ch)
{
	return ch > 0x20 && ch < 0x7f && !strchr("<>()[],;:\\\"", ch);
}

/* local@domain up to a byte that cannot belong to it, internal form into out. */
static bool read_addr_spec(struct cursor *c, struct buf *out)
{
	for (;;) {
		int ch = peek(c);
		bool ok = true;
		if (ch == '"') {
			c->at++;
			ok = read_quoted(c, out);
		} else if (ch == '[' && out->len > 0 && out->data[out->len - 1] == '@') {
			ok = read_literal(c, out);
		} else if (ch == '\\') { /* a quoted pair outside quotes: RFC 822 had it */
			c->at++;
			ch = peek(c);
			ok = ch >= 0x20 && ch < 0x7f;
			if (ok) {
				buf_putc(out, (char)ch);
				c->at++;
			}
		} else if (plain_byte(ch)) {
			buf_putc(out, (char)ch);
			c->at++;
		} else {
			return true;
		}
		if (!ok)
			return false;
	}
}

/* Drops "@a,@b:" (RFC 5321 appendix C); false: it began like a route and is none. */
static bool skip_route(struct cursor *c)
{
	if (peek(c) != '@')
		return true;
	for (;;) {
		if (!take(c, '@'))
			return false;
		size_t start = c->at;
		for (int ch; (ch = peek(c)) >= 0 && (plain_byte(ch) || ch == '[' || ch == ']') && ch != '@';)
			c->at++;
		if (c->at == start)
			return false;
		if (take(c, ':'))
			return true;
		if (!take(c, ','))
			return false;
	}
}

/* RFC 5321 Mailbox, or a bare local part: what strict readers ask of the internal form's source text. */
static bool strict_text(const char *text, size_t len)
{
	size_t at = 0;
	if (len == 0 || text[0] == '@')
		return false;
	if (text[0] != '"') {
		while (at < len && text[at] != '@') {
			if (text[at] == '.' ? at == 0 || text[at - 1] == '.' : !ascii_atext((unsigned char)text[at]))
				return false;
			at++;
		}
		if (at > 0 && text[at - 1] == '.')
			return false;
	} else {
		const char *last = memrchr(text, '"', len);
		at = (size_t)(last - text) + 1;
	}
	if (at == len)
		return true;
	if (text[at] != '@')
		return false;
	at++;
	return domain_valid(text + at, len - at) || domain_literal_valid(text + at, len - at);
}

enum address_outcome address_parse_path(struct arena *a, const char *text, size_t len, bool strict, const char **address,
					size_t *used)
{
	struct cursor c = { .text = text, .len = len };
	struct buf out = BUF_INIT;
	*address = "";
	*used = 0;
	while (!strict && (peek(&c) == ' ' || peek(&c) == '\t'))
		c.at++;
	bool angle = take(&c, '<');
	bool ok = (angle || !strict) && (!angle || skip_route(&c));
	size_t start = c.at;
	ok = ok && read_addr_spec(&c, &out);
	if (ok && strict && c.at > start)
		ok = strict_text(text + start, c.at - start);
	ok = ok && (!angle || take(&c, '>')) && (angle || out.len > 0);
	if (ok && out.len <= PATH_MAX_BYTES)
		*address = arena_strndup(a, buf_str(&out), out.len);
	enum address_outcome result = !ok ? ADDRESS_SYNTAX : out.len > PATH_MAX_BYTES ? ADDRESS_TOO_LONG : ADDRESS_OK;
	*used = c.at;
	buf_free(&out);
	return result;
}

const char *address_domain(const char *address)
{
	const char *at = strrchr(address, '@');
	return at ? at + 1 : NULL;
}

size_t address_local_len(const char *address)
{
	const char *at = strrchr(address, '@');
	return at ? (size_t)(at - address) : strlen(address);
}

/* A dot-string of RFC 5321: no quotes needed. */
static bool is_dot_string(const char *s, size_t len)
{
	if (len == 0 || s[0] == '.' || s[len - 1] == '.')
		return false;
	for (size_t i = 0; i < len; i++)
		if (s[i] == '.' ? s[i - 1] == '.' : !ascii_atext((unsigned char)s[i]) && (unsigned char)s[i] < 0x80)
			return false;
	return true;
}

void address_quote(struct buf *out, const char *address)
{
	size_t local = address_local_len(address);
	if (address[0] == '\0')
		return;
	if (is_dot_string(address, local)) {
		buf_puts(out, address);
		return;
	}
	buf_putc(out, '"');
	for (size_t i = 0; i < local; i++) {
		if (address[i] == '"' || address[i] == '\\')
			buf_putc(out, '\\');
		buf_putc(out, address[i]);
	}
	buf_putc(out, '"');
	buf_puts(out, address + local);
}

char *address_fold_domain(struct arena *a, const char *address)
{
	char *copy = arena_strdup(a, address);
	for (char *p = copy + address_local_len(copy); *p; p++)
		*p = ascii_lower(*p);
	return copy;
}

/* Names that stay whole though they hold a delimiter (owner-list, list-request with delimiter '-'). */
static bool kept_whole(const char *local, const char *delimiters)
{
	size_t len = strlen(local);
	if (strcasecmp(local, "mailer-daemon") == 0 || strcasecmp(local, "double-bounce") == 0)
		return true;
	if (!strchr(delimiters, '-'))
		return false;
	return strncasecmp(local, "owner-", 6) == 0 || (len > 8 && strcasecmp(local + len - 8, "-request") == 0);
}

bool address_split(struct arena *a, const char *local, const char *delimiters, const char **base, const char **extension)
{
	*base = local;
	*extension = NULL;
	if (!*delimiters || !*local || kept_whole(local, delimiters))
		return false;
	size_t n = 1 + strcspn(local + 1, delimiters);
	if (!local[n])
		return false;
	*base = arena_strndup(a, local, n);
	*extension = local + n;
	return true;
}
