/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/text_record.h"

#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

/* The end of the key at the start of the line: quotes and backslashes protect white space, and are a part of the key. NULL: no closing
 * quote. */
static char *key_end(char *line, const char *end)
{
	bool quoted = false;
	for (; line < end && (quoted || !is_space(*line)); line++) {
		if (*line == '\\' && line + 1 < end)
			line++;
		else
			quoted ^= *line == '"';
	}
	return quoted ? NULL : line;
}

/* Takes the quotes and backslashes out of a key, in place: aliases are stored as they are meant. */
static void unquote(struct text_record *r)
{
	char *out = r->key;
	for (const char *in = r->key; in < r->key + r->klen; in++) {
		if (*in == '"')
			continue;
		if (*in == '\\' && in + 1 < r->key + r->klen)
			in++;
		*out++ = *in;
	}
	*out = '\0';
	r->klen = (size_t)(out - r->key);
}

enum text_record_flaw text_record_split(char *line, size_t len, struct text_record *r)
{
	char *end = line + len, *at;
	while (line < end && is_space(*line))
		line++;
	at = key_end(line, end);
	if (!at)
		return RECORD_QUOTE;
	r->key = line;
	r->klen = (size_t)(at - line);
	while (at < end && is_space(*at))
		*at++ = '\0';
	r->key[r->klen] = '\0';
	r->value = at;
	r->vlen = (size_t)(end - at);
	if (r->klen == 0 || r->vlen == 0)
		return RECORD_INCOMPLETE;
	return r->key[r->klen - 1] == ':' ? RECORD_COLON : RECORD_OK;
}

enum text_record_flaw text_record_split_alias(char *line, size_t len, struct text_record *r)
{
	enum text_record_flaw flaw = text_record_split(line, len, r);
	char *colon = flaw == RECORD_INCOMPLETE && r->klen ? memchr(r->key, ':', r->klen) : NULL;
	if (flaw == RECORD_COLON) {
		r->key[--r->klen] = '\0';
	} else if (colon && colon[1]) { /* no white space at all */
		*colon = '\0';
		r->value = colon + 1;
		r->vlen = strlen(r->value);
		r->klen = (size_t)(colon - r->key);
	} else if (flaw == RECORD_OK && r->value[0] == ':') { /* "key" : value */
		for (r->value++, r->vlen--; is_space(*r->value); r->value++)
			r->vlen--;
	} else {
		return flaw;
	}
	unquote(r);
	return r->klen && r->vlen ? RECORD_OK : RECORD_INCOMPLETE;
}

bool text_record_flaw_fatal(enum text_record_flaw flaw)
{
	return flaw == RECORD_INCOMPLETE || flaw == RECORD_QUOTE;
}

const char *text_record_flaw_text(enum text_record_flaw flaw)
{
	static const char *const texts[] = {
		[RECORD_OK] = "",
		[RECORD_COLON] = "record is in \"key: value\" format; is this an alias file?",
		[RECORD_INCOMPLETE] = "expected format: key whitespace value",
		[RECORD_QUOTE] = "unbalanced '\"'",
	};
	return texts[flaw];
}

void text_record_fold(char *key, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (key[i] >= 'A' && key[i] <= 'Z')
			key[i] = (char)(key[i] + 32);
}
