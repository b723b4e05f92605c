/* SPDX-License-Identifier: Apache-2.0
 * Patterns, keys and values: two zero-terminated patterns (for keys, for values), a key with its length in
 * front, the rest is a value. What a quoting function makes of a key stays quoted, whatever the key is. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shared/expansion.h"

/* Each byte becomes two, so that nothing of the key is a byte of the pattern's. */
static void hexadecimal(void *ctx, struct text_buf *out, const char *text, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	(void)ctx;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		text_buf_add(out, &digits[c >> 4], 1);
		text_buf_add(out, &digits[c & 15], 1);
	}
}

/* Only what is in the pattern, and hexadecimal digits. */
static void check_query(const struct text_buf *query, const char *pattern)
{
	for (size_t i = 0; i < query->len; i++)
		if (!strchr(pattern, query->text[i]) && !strchr("0123456789abcdef", query->text[i]))
			abort();
	if (query->text && query->text[query->len] != '\0')
		abort();
}

static void use(const struct expansion *query, const struct expansion *format, const char *pattern,
		const struct expansion_key *key, const char *value, size_t vlen)
{
	struct text_buf text = { 0 };
	struct expansion_result result = { .limit = 2 };
	expansion_of_key(query, key, hexadecimal, NULL, &text);
	check_query(&text, pattern);
	enum expansion_added added[3];
	for (int i = 0; i < 3; i++)
		added[i] = expansion_add(format, key, value, vlen, &result);
	if ((added[0] == EXPANSION_ADDED) != (added[2] == EXPANSION_TOO_MANY) || result.count > 2)
		abort();
	text_buf_free(&text);
	text_buf_free(&result.text);
}

static char *copy_of(const uint8_t *data, size_t len)
{
	char *copy = malloc(len + 1); /* what is read beyond it is noticed */
	if (!copy)
		abort();
	memcpy(copy, data, len);
	copy[len] = '\0';
	return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 3 || size > 4000 || data[0] > size - 1)
		return 0;
	char *key_text = malloc(data[0] ? data[0] : 1),
	     *rest = copy_of(data + 1 + data[0], size - 1 - data[0]);
	if (!key_text)
		abort();
	memcpy(key_text, data + 1, data[0]);
	size_t left = size - 1 - data[0], n1 = strlen(rest), n2 = n1 < left ? strlen(rest + n1 + 1) : 0;
	const char *second = n1 < left ? rest + n1 + 1 : "";
	const char *value = n1 + 1 + n2 < left ? second + n2 + 1 : "";
	size_t vlen = n1 + 1 + n2 < left ? left - n1 - n2 - 2 : 0;
	struct expansion_needs needs = { 0 };
	struct expansion_flaw flaw = { "" };
	struct expansion_key key;
	struct expansion *query = expansion_parse("query", rest, EXPANSION_OF_KEYS, &needs, &flaw);
	struct expansion *format = expansion_parse("format", second, EXPANSION_OF_VALUES, &needs, &flaw);
	if ((!query || !format) && !flaw.text[0])
		abort();
	if (query && format && expansion_split(&needs, key_text, data[0], &key))
		use(query, format, rest, &key, value, vlen);
	expansion_free(query);
	expansion_free(format);
	free(key_text);
	free(rest);
	return 0;
}
