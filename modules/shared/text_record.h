/* SPDX-License-Identifier: Apache-2.0
 * One logical line of a lookup table file: `key white-space value`. */
#ifndef SHARED_TEXT_RECORD_H
#define SHARED_TEXT_RECORD_H

#include <stdbool.h>
#include <stddef.h>

struct text_record {
	char *key, *value; /* terminated, inside the line */
	size_t klen, vlen;
};
enum text_record_flaw {
	RECORD_OK = 0,
	RECORD_COLON,      /* usable, but it looks like an alias file */
	RECORD_INCOMPLETE, /* no key or no value */
	RECORD_QUOTE,      /* a quoted key without its closing quote */
};

/* Splits the line in place. Quotes and backslashes protect white space in the key, and stay in it, as in Postfix. */
enum text_record_flaw text_record_split(char *line, size_t len, struct text_record *);
/* The same for a line that may also be one of an alias file, `key: value` or `key:value`; such a key loses its quotes. */
enum text_record_flaw text_record_split_alias(char *line, size_t len, struct text_record *);
bool text_record_flaw_fatal(enum text_record_flaw); /* is the line unusable? */
const char *text_record_flaw_text(enum text_record_flaw);
void text_record_fold(char *key, size_t len); /* ASCII letters to lower case */

#endif
