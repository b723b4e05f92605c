/* SPDX-License-Identifier: Apache-2.0 */
#include "command/entries.h"

#include <string.h>

#include "base/log.h"
#include "base/sanitize.h"
#include "mail/ascii.h"

void entries_open(struct entries *e, const char *name, const char *text, size_t len, enum entry_syntax syntax,
		  bool fold, bool utf8)
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

/* The end of the key at s: quotes and backslashes protect white space, and are a part of the key. NULL: no
 * closing quote. */
static const char *key_end(const char *s)
{
	bool quoted = false;
	for (; *s && (quoted || !ascii_space(*s)); s++) {
		if (*s == '\\' && s[1])
			s++;
		else
			quoted ^= *s == '"';
	}
	return quoted ? NULL : s;
}

static bool parse_map(struct entries *e, const struct logical_line *l)
{
	const char *key = skip_space(l->text), *end = key_end(key);
	if (!end) {
		log_warning("%s, line %d: unbalanced '\"' in '%s' -- ignoring this line", e->name, l->line,
			    l->text);
		return false;
	}
	buf_add(&e->key, key, (size_t)(end - key));
	buf_puts(&e->value, skip_space(end));
	trim(&e->value);
	if (e->key.len == 0 || e->value.len == 0)
		return bad(e, l->line, "expected format: key whitespace value");
	if (e->key.data[e->key.len - 1] == ':')
		bad(e, l->line, "record is in \"key: value\" format; is this an alias file?");
	return true;
}

/* ---- name: value, value ------------------------------------------------------------------------------------------ */

static bool parse_alias(struct entries *e, const struct logical_line *l)
{
	bool remote = false;
	const char *s = entries_alias_name(l->text, &e->key, &remote);
	if (s)
		entries_alias_value(s, &e->value);
	if (!s || e->key.len == 0 || e->value.len == 0)
		return bad(e, l->line, "need name:value pair");
	if (remote)
		return bad(e, l->line, "name must be local");
	return true;
}

/* ------------------------------------------------------------------------------------------------------------------ */

static bool parse_line(struct entries *e, const struct logical_line *l)
{
	if (l->orphan) {
		log_warning("%s: logical line must not start with whitespace: \"%.30s%s\"", e->name, l->text,
			    strlen(l->text) > 30 ? "..." : "");
		return false;
	}
	if (e->utf8 && !utf8_valid(l->text, strlen(l->text))) {
		log_warning("%s, line %d: non-UTF-8 input \"%s\" -- ignoring this line", e->name, l->line,
			    l->text);
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
		*entry = (struct entry){ .key = buf_str(&e->key),
					 .klen = e->key.len,
					 .value = buf_str(&e->value),
					 .vlen = e->value.len,
					 .line = l.line };
		return true;
	}
	return false;
}
