/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/expansion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct piece { /* text, then what the letter stands for */
	const char *text;
	size_t len;
	char letter; /* '\0': nothing follows */
};

struct expansion {
	bool of_values;
	bool value_user, value_domain; /* what it uses of a value: these may not be empty */
	bool varies;
	size_t count;
	struct piece pieces[];
};

/* ---- patterns ------------------------------------------------------------------------------------------------------ */

/* Which part of key or value a letter is, and what a key must have for it. Lower case letters mean the value
 * where there is one. */
static const struct letter {
	char letter;
	bool user, domain;
	bool of_value;
} letters[] = {
	{ 's', false, false, true },  { 'u', true, false, true },  { 'd', false, true, true },
	{ 'S', false, false, false }, { 'U', true, false, false }, { 'D', false, true, false },
};

static const struct letter *find_letter(char c)
{
	for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
		if (letters[i].letter == c)
			return &letters[i];
	return NULL;
}

/* Notes what a letter needs; false: it has no meaning. */
static bool note_letter(struct expansion *e, char c, struct expansion_needs *needs)
{
	const struct letter *l = find_letter(c);
	if (c >= '1' && c <= '9') {
		size_t label = (size_t)(c - '0');
		needs->domain = true;
		needs->labels = needs->labels > label ? needs->labels : label;
	} else if (!l) {
		return false;
	} else if (l->of_value && e->of_values) {
		e->value_user = e->value_user || l->user;
		e->value_domain = e->value_domain || l->domain;
	} else {
		needs->user = needs->user || l->user;
		needs->domain = needs->domain || l->domain;
	}
	e->varies = true;
	return true;
}

static bool parse_pieces(struct expansion *e, const char *at, struct expansion_needs *needs)
{
	while (*at) {
		size_t len = strcspn(at, "%");
		struct piece *p = &e->pieces[e->count++];
		*p = (struct piece){ .text = at, .len = len };
		at += len;
		if (*at == '\0')
			return true;
		if (at[1] == '%')
			p->len++; /* the first of the two is text */
		else if (note_letter(e, at[1], needs))
			p->letter = at[1];
		else
			return false;
		at += 2;
	}
	return true;
}

static size_t count_char(const char *text, char c)
{
	size_t n = 0;
	for (; (text = strchr(text, c)) != NULL; text++)
		n++;
	return n;
}

struct expansion *expansion_parse(const char *parameter, const char *pattern, enum expansion_use use,
				  struct expansion_needs *needs, struct expansion_flaw *flaw)
{
	size_t pieces = count_char(pattern, '%') + 1,
	       size = sizeof(struct expansion) + pieces * sizeof(struct piece);
	struct expansion *e = calloc(1, size + strlen(pattern) + 1);
	if (!e) {
		snprintf(flaw->text, sizeof flaw->text, "parameter %s: out of memory", parameter);
		return NULL;
	}
	char *copy = memcpy((char *)e + size, pattern, strlen(pattern) + 1);
	e->of_values = use == EXPANSION_OF_VALUES;
	if (parse_pieces(e, copy, needs))
		return e;
	snprintf(flaw->text, sizeof flaw->text, "parameter %s: Invalid %s template: %.80s", parameter,
		 e->of_values ? "result" : "query", pattern);
	free(e);
	return NULL;
}

void expansion_free(struct expansion *e)
{
	free(e);
}

bool expansion_varies(const struct expansion *e)
{
	return e->varies;
}

/* ---- keys ---------------------------------------------------------------------------------------------------------- */

struct address { /* local part and domain, divided at the last @ */
	struct expansion_span whole, user, domain;
	bool has_at;
};

static struct address divide(const char *text, size_t len)
{
	const char *at = len > 0 ? memrchr(text, '@', len) : NULL;
	struct address a = {
		.whole = { text, len }, .user = { text, len }, .domain = { text, 0 }, .has_at = at != NULL
	};
	if (at) {
		a.user.len = (size_t)(at - text);
		a.domain = (struct expansion_span){ at + 1, len - a.user.len - 1 };
	}
	return a;
}

static bool lacks(const struct address *a, bool user, bool domain)
{
	return (domain && a->domain.len == 0) || (user && a->has_at && a->user.len == 0);
}

/* The last n labels of a domain, empty ones left out; false: it has fewer. */
static bool find_labels(struct expansion_span domain, struct expansion_span *labels, size_t n)
{
	size_t found = 0, end = domain.len;
	while (found < n && end > 0) {
		const char *dot = memrchr(domain.text, '.', end);
		size_t start = dot ? (size_t)(dot - domain.text) + 1 : 0;
		if (end > start)
			labels[found++] = (struct expansion_span){ domain.text + start, end - start };
		end = dot ? start - 1 : 0;
	}
	return found == n;
}

bool expansion_split(const struct expansion_needs *needs, const char *text, size_t len,
		     struct expansion_key *key)
{
	struct address a = divide(text, len);
	*key = (struct expansion_key){
		.whole = a.whole, .user = a.user, .domain = a.domain, .has_at = a.has_at
	};
	return len > 0 && !lacks(&a, needs->user, needs->domain) &&
	       find_labels(a.domain, key->labels, needs->labels);
}

/* ---- results ------------------------------------------------------------------------------------------------------- */

static struct expansion_span part(char letter, const struct expansion_key *key, const struct address *value)
{
	switch (letter) {
	case 's':
		return value->whole;
	case 'u':
		return value->user;
	case 'd':
		return value->domain;
	case 'S':
		return key->whole;
	case 'U':
		return key->user;
	case 'D':
		return key->domain;
	default:
		return key->labels[letter - '1'];
	}
}

static void append(const struct expansion *e, const struct expansion_key *key, const struct address *value,
		   expansion_quote_fn *quote, void *ctx, struct text_buf *out)
{
	for (size_t i = 0; i < e->count; i++) {
		const struct piece *p = &e->pieces[i];
		text_buf_add(out, p->text, p->len);
		if (p->letter == '\0')
			continue;
		struct expansion_span span = part(p->letter, key, value);
		if (quote)
			quote(ctx, out, span.text, span.len);
		else
			text_buf_add(out, span.text, span.len);
	}
}

void expansion_of_key(const struct expansion *e, const struct expansion_key *key, expansion_quote_fn *quote,
		      void *ctx, struct text_buf *out)
{
	const struct address same = {
		.whole = key->whole, .user = key->user, .domain = key->domain, .has_at = key->has_at
	};
	append(e, key, &same, quote, ctx, out);
}

enum expansion_added expansion_add(const struct expansion *e, const struct expansion_key *key,
				   const char *value, size_t vlen, struct expansion_result *result)
{
	struct address a = divide(value, vlen);
	if (vlen == 0)
		return EXPANSION_EMPTY;
	if (lacks(&a, e->value_user, e->value_domain))
		return EXPANSION_LACKING;
	if (result->limit > 0 && result->count >= result->limit)
		return EXPANSION_TOO_MANY;
	if (result->text.len > 0)
		text_buf_puts(&result->text, ",");
	append(e, key, &a, NULL, NULL, &result->text);
	result->count++;
	return EXPANSION_ADDED;
}
