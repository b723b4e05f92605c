/* SPDX-License-Identifier: Apache-2.0
 * Message headers, recipients in them, enhanced status codes, xtext and command words. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "command/sendmail.h"
#include "mail/dsn.h"
#include "mail/header.h"
#include "smtpd/esmtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *out = malloc(size + 1), dsn[DSN_SIZE];
	memcpy(text, data, size);
	text[size] = '\0';
	size_t name = header_name_len(text, size), len, id_len;
	if (name) {
		assert(name < size);
		(void)header_flags(header_find(text, name));
		const char *body = header_body(text, size, &len), *id;
		assert(body >= text && body + len == text + size);
		if (header_message_id(body, len, &id, &id_len))
			assert(id_len >= 2 && id[0] == '<' && id[id_len - 1] == '>');
	}
	assert(dsn_valid(text) < DSN_SIZE);
	(void)dsn_split(dsn, "5.0.0", text);
	if (xtext_decode(text, size, out))
		assert(strlen(out) <= size);
	struct words w;
	words_split(&w, text, size);
	for (size_t i = 0; i < w.count; i++)
		assert(w.word[i].at >= text && w.word[i].len > 0 && w.word[i].at + w.word[i].len <= text + size);
	struct arena *a = arena_new();
	struct submission s = { 0 };
	sendmail_header_rcpts(a, &s, text, size);
	arena_destroy(&a);
	free(text);
	free(out);
	return 0;
}
