/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/text_record.h"

#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

/* Takes the quotes and backslashes out of the key at the start of the line; answers what follows it, NULL: no closing
 * quote. */
static char *unquote_key(char *line, char *end, struct text_record *r)
{
	char *out = line, *in = line;
	bool quoted = false;
	for (; in < end && (quoted || !is_space(*in)); in++) {
		if (*in == '"') {
			quoted = !quoted;
			continue;
		}
		if (quoted && *in == '\\' && in + 1 < end)
			in++;
		*out++ = *in;
	}
	if (quoted)
		return NULL;
	r->key = line;
	r->klen = (size_t)(out - line);
	return in;
}

enum text_record_flaw text_record_split(char *line, size_t len, struct text_record *r)
{
	char *end = line + len, *at;
	while (line < end && is_space(*line))
		line++;
	if (line < end && *line == '"') {
		at = unquote_key(line, end, r);
		if (!at)
			return RECORD_QUOTE;
	} else {
		at = line;
		while (at < end && !is_space(*at))
			at++;
		r->key = line;
		r->klen = (size_t)(at - line);
	}
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
