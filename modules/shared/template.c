/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/template.h"

#include <string.h>

/* ---- keys and values ------------------------------------------------------------------------------------------------- */

static void split_labels(struct template_parts *p)
{
	const char *end = p->domain.at + p->domain.len;
	while (end > p->domain.at && p->labels < TEMPLATE_LABELS) {
		const char *start = end;
		while (start > p->domain.at && start[-1] != '.')
			start--;
		if (end > start)
			p->label[p->labels++] = (struct span){ start, (size_t)(end - start) };
		end = start > p->domain.at ? start - 1 : start;
	}
}

void template_split(struct template_parts *p, const char *text, size_t len)
{
	*p = (struct template_parts){ .whole = { text, len }, .user = { text, len } };
	const char *at = len > 0 ? memrchr(text, '@', len) : NULL;
	if (!at)
		return;
	p->user.len = (size_t)(at - text);
	p->domain = (struct span){ at + 1, len - p->user.len - 1 };
	split_labels(p);
}

/* ---- what a template needs --------------------------------------------------------------------------------------------- */

static bool note_need(struct template_needs *needs, enum template_kind kind, char c)
{
	bool of_value = kind == TEMPLATE_RESULT;
	switch (c) {
	case '%':
	case 's':
	case 'S':
		return true;
	case 'u':
		*(of_value ? &needs->value_user : &needs->key_user) = true;
		return true;
	case 'd':
		*(of_value ? &needs->value_domain : &needs->key_domain) = true;
		return true;
	case 'U':
		needs->key_user = true;
		return true;
	case 'D':
		needs->key_domain = true;
		return true;
	default:
		if (c < '1' || c > '9')
			return false;
		needs->key_domain = true;
		needs->labels = needs->labels > (unsigned)(c - '0') ? needs->labels : (unsigned)(c - '0');
		return true;
	}
}

bool template_scan(const struct ost_host *host, const char *text, enum template_kind kind,
		   struct template_needs *needs, bool *varies, struct ost_why *why)
{
	for (const char *at = strchr(text, '%'); at; at = strchr(at + 2, '%')) {
		if (!note_need(needs, kind, at[1]))
			return host->why(why, "Invalid %s template: %s",
					 kind == TEMPLATE_QUERY ? "query" : "result", text);
		if (varies && at[1] != '%')
			*varies = true;
	}
	return true;
}

bool template_fits_key(const struct template_needs *needs, const struct template_parts *key)
{
	return key->whole.len > 0 && (!needs->key_domain || key->domain.len > 0) &&
	       (!needs->key_user || key->user.len > 0) && key->labels >= needs->labels;
}

bool template_fits_value(const struct template_needs *needs, const struct template_parts *value)
{
	return value->whole.len > 0 && (!needs->value_domain || value->domain.len > 0) &&
	       (!needs->value_user || value->user.len > 0);
}

/* ---- expanding ----------------------------------------------------------------------------------------------------------- */

static struct span part_of(char c, const struct template_parts *key, const struct template_parts *value)
{
	const struct template_parts *lower = value ? value : key; /* what the small letters mean */
	switch (c) {
	case 's':
		return lower->whole;
	case 'u':
		return lower->user;
	case 'd':
		return lower->domain;
	case 'S':
		return key->whole;
	case 'U':
		return key->user;
	case 'D':
		return key->domain;
	default:
		return key->label[c - '1'];
	}
}

void template_expand(const char *text, size_t len, const struct template_parts *key,
		     const struct template_parts *value, template_quote_fn *quote, void *ctx,
		     struct bytes *out)
{
	for (const char *end = text + len; text < end;) {
		const char *at = memchr(text, '%', (size_t)(end - text));
		bytes_add(out, text, (size_t)((at ? at : end) - text));
		if (!at)
			return;
		text = at + 2;
		if (at[1] == '%') {
			bytes_add(out, "%", 1);
			continue;
		}
		struct span part = part_of(at[1], key, value);
		if (quote)
			quote(ctx, out, part);
		else
			bytes_add(out, part.at, part.len);
	}
}
