/* SPDX-License-Identifier: Apache-2.0
 * Entries of lookup table sources: postmap's `key value` lines, postalias's `name: value` lines. */
#ifndef COMMAND_ENTRIES_H
#define COMMAND_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "config/lines.h"

enum entry_syntax { ENTRY_MAP, ENTRY_ALIAS };

struct entry {
	const char *key, *value; /* terminated; valid until the next call */
	size_t klen, vlen;
	int line;
};

/* One source that is being read. Bad lines are warned about in Postfix's words and left out. */
struct entries {
	struct lines lines;
	enum entry_syntax syntax;
	const char *name; /* of the file, for warnings */
	bool fold;        /* keys to lower case (ASCII) */
	bool utf8;        /* lines must be UTF-8 */
	struct buf key, value;
};

/* text must outlive the reading. */
void entries_open(struct entries *, const char *name, const char *text, size_t len, enum entry_syntax, bool fold, bool utf8);
bool entries_next(struct entries *, struct entry *);
void entries_close(struct entries *);

/* A map's key as its source would have it: in double quotes when there is white space or a quote in it. And back, in place. */
void entries_quote_key(struct buf *out, const char *key, size_t len);
void entries_unquote_key(char *key);

#endif
