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
void entries_open(struct entries *, const char *name, const char *text, size_t len, enum entry_syntax,
		  bool fold, bool utf8);
bool entries_next(struct entries *, struct entry *);
void entries_close(struct entries *);

/* For entries.c: the two halves of a line of an alias file. The name up to its colon as it is meant, *remote:
 * with an @ outside of quotes; answers what follows the colon, NULL: there is none. The value as a header
 * would have it. */
const char *entries_alias_name(const char *, struct buf *name, bool *remote);
void entries_alias_value(const char *, struct buf *value);

#endif
