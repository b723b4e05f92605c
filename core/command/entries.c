/* SPDX-License-Identifier: Apache-2.0 */
#include "command/entries.h"

#include <string.h>

#include "base/log.h"
#include "base/sanitize.h"
#include "mail/ascii.h"

void entries_open(struct entries *e, const char *name, const char *text, size_t len, enum entry_syntax syntax, bool fold,
		  bool utf8)
{
	*e = (struct entries){ .syntax = syntax, .name = name, .fold = fold, .utf8 = utf8 };
	lines_open(&e->lines, text, len);
}

void entries_close(struct entries *e)
{
	lines_close(&e->lines);
	buf_free(&e->key);
	buf_free(&e->value);
}

/* Warns and answers false: the line is left out. */
static bool bad(const struct entries *e, int line, const char *what)
{
	log_warning("%s, line %d: %s", e->name, line, what);
	return false;
}

static const char *skip_space(const char *s)
{
	while (ascii_space(*s))
		s++;
	return s;
}

/* Drops white space at the end. */
static void trim(struct buf *b)
{
	while (b->len > 0 && ascii_space(b->data[b->len - 1]))
		buf_truncate(b, b->len - 1);
}

/* ---- key white-space value --------------------------------------------------------------------------------------- */

/* The key at s into e->key, quotes and their backslashes taken away; answers what follows it. NULL: no closing quote. */
static const char *take_map_key(struct entries *e, const char *s)
{
	bool may_quote = *s == '"', quoted = false;
	for (; *s && (quoted || !ascii_space(*s)); s++) {
		if (may_quote && *s == '"') {
			quoted = !quoted;
			continue;
		}
		if (quoted && *s == '\\' && s[1])
			s++;
		buf_putc(&e->key, *s);
	}
	return quoted ? NULL : s;
}

static bool parse_map(struct entries *e, const struct logical_line *l)
{
	const char *s = take_map_key(e, skip_space(l->text));
	if (!s) {
		log_warning("%s, line %d: unbalanced '\"' in '%s' -- ignoring this line", e->name, l->line, l->text);
		return false;
	}
	buf_puts(&e->value, skip_space(s));
	trim(&e->value);
	if (e->key.len == 0 || e->value.len == 0)
		return bad(e, l->line, "expected format: key whitespace value");
	if (e->key.data[e->key.len - 1] == ':')
		bad(e, l->line, "record is in \"key: value\" format; is this an alias file?");
	return true;
}

/* ---- name: value, value ------------------------------------------------------------------------------------------ */

/* The name up to its colon; words are joined by one blank. *remote: there is an @ outside of quotes. NULL: there is no
 * colon. */
static const char *take_alias_name(struct entries *e, const char *s, bool *remote)
{
	bool quoted = false;
	for (; *s && (quoted || *s != ':'); s++) {
		if (*s == '"') {
			quoted = !quoted;
			continue;
		}
		if (quoted && *s == '\\' && s[1])
			s++;
		else if (!quoted && ascii_space(*s)) {
			s = skip_space(s) - 1;
			buf_putc(&e->key, ' ');
			continue;
		}
		*remote |= !quoted && *s == '@';
		buf_putc(&e->key, *s);
	}
	trim(&e->key);
	return *s == ':' ? s + 1 : NULL;
}

/* The value with its white space put in order: none at the ends, "a, b" around commas, one blank elsewhere. Texts in quotes
 * stay as they are; a quote that is not closed is closed at the end. */
static void take_alias_value(struct entries *e, const char *s)
{
	struct buf *out = &e->value;
	bool quoted = false;
	for (s = skip_space(s); *s; s++) {
		if (quoted || !(ascii_space(*s) || *s == ',')) {
			quoted ^= *s == '"';
			buf_putc(out, *s);
			if (quoted && *s == '\\' && s[1])
				buf_putc(out, *++s);
			continue;
		}
		if (*s == ',') {
			trim(out);
			buf_putc(out, ',');
		}
		s = skip_space(s + 1) - 1;
		buf_putc(out, ' ');
	}
	if (quoted)
		buf_putc(out, '"');
	trim(out);
	if (out->len > 0 && out->data[out->len - 1] == ',')
		buf_truncate(out, out->len - 1);
}

static bool parse_alias(struct entries *e, const struct logical_line *l)
{
	bool remote = false;
	const char *s = take_alias_name(e, skip_space(l->text), &remote);
	if (s)
		take_alias_value(e, s);
	if (!s || e->key.len == 0 || e->value.len == 0)
		return bad(e, l->line, "need name:value pair");
	if (remote)
		return bad(e, l->line, "name must be local");
	return true;
}

/* ------------------------------------------------------------------------------------------------------------------ */

void entries_quote_key(struct buf *out, const char *key, size_t len)
{
	bool plain = true;
	for (size_t i = 0; i < len; i++)
		plain = plain && !ascii_space(key[i]) && key[i] != '"';
	if (plain) {
		buf_add(out, key, len);
		return;
	}
	buf_putc(out, '"');
	for (size_t i = 0; i < len; i++) {
		if (key[i] == '"' || key[i] == '\\')
			buf_putc(out, '\\');
		buf_putc(out, key[i]);
	}
	buf_putc(out, '"');
}

void entries_unquote_key(char *key)
{
	size_t len = strlen(key);
	char *out = key;
	if (len < 2 || key[0] != '"' || key[len - 1] != '"')
		return;
	for (const char *in = key + 1; in < key + len - 1; in++) {
		if (*in == '\\' && in + 1 < key + len - 1)
			in++;
		*out++ = *in;
	}
	*out = '\0';
}

static bool parse_line(struct entries *e, const struct logical_line *l)
{
	if (l->orphan) {
		log_warning("%s: logical line must not start with whitespace: \"%.30s%s\"", e->name, l->text,
			    strlen(l->text) > 30 ? "..." : "");
		return false;
	}
	if (e->utf8 && !utf8_valid(l->text, strlen(l->text))) {
		log_warning("%s, line %d: non-UTF-8 input \"%s\" -- ignoring this line", e->name, l->line, l->text);
		return false;
	}
	return e->syntax == ENTRY_MAP ? parse_map(e, l) : parse_alias(e, l);
}

bool entries_next(struct entries *e, struct entry *entry)
{
	struct logical_line l;
	while (lines_next(&e->lines, &l)) {
		buf_reset(&e->key);
		buf_reset(&e->value);
		if (!parse_line(e, &l))
			continue;
		for (size_t i = 0; e->fold && i < e->key.len; i++)
			e->key.data[i] = ascii_lower(e->key.data[i]);
		*entry = (struct entry){ .key = buf_str(&e->key), .klen = e->key.len, .value = buf_str(&e->value),
					 .vlen = e->value.len, .line = l.line };
		return true;
	}
	return false;
}
