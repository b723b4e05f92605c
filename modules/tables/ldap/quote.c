/* SPDX-License-Identifier: Apache-2.0
 * Keys in filters and names. Both notations have a form for any byte: all but those that are harmless
 * everywhere get it. */
#include <string.h>

#include "tables/ldap/directory.h"

static bool is_plain(char c, const char *more)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr(more, c));
}

static void quote(struct text_buf *out, const char *text, size_t len, const char *plain)
{
	static const char digits[] = "0123456789ABCDEF";
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		char hex[3] = { '\\', digits[c >> 4], digits[c & 15] };
		if (is_plain(text[i], plain))
			text_buf_add(out, &text[i], 1);
		else
			text_buf_add(out, hex, sizeof hex);
	}
}

void directory_quote_for_filter(void *ctx, struct text_buf *out, const char *text, size_t len)
{
	(void)ctx;
	quote(out, text, len, "@.-_+ :/,%'");
}

void directory_quote_for_dn(void *ctx, struct text_buf *out, const char *text, size_t len)
{
	(void)ctx;
	quote(out, text, len, "@.-_:/%'");
}
