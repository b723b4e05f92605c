/* SPDX-License-Identifier: Apache-2.0
 * Keys and values in memory: built once, then read by many threads. */
#ifndef SHARED_TEXTMAP_H
#define SHARED_TEXTMAP_H

#include <stdbool.h>
#include <stddef.h>

#include "ostler/host.h"

struct textmap;

struct textmap *textmap_new(void); /* NULL: out of memory */
void textmap_free(struct textmap *);
enum textmap_put { TEXTMAP_NEW, TEXTMAP_DUPLICATE, TEXTMAP_NO_MEMORY };
/* Copies. When the key is there: the old value stays, or with replace the new one takes its place. */
enum textmap_put textmap_put(struct textmap *, const char *key, size_t klen, const char *value, size_t vlen, bool replace);
/* The value, terminated; NULL: not there. */
const char *textmap_get(const struct textmap *, const char *key, size_t klen, size_t *vlen);
/* The i-th entry in the order of their coming; false: no more. */
bool textmap_at(const struct textmap *, size_t i, const char **key, size_t *klen, const char **value, size_t *vlen);

/* The table that a text file is: `key white-space value`, keys in lower case, a key with white space in double quotes.
 * Complaints about lines go to the log, in Postfix's words. With aliases, lines of the form `key: value` are taken
 * as well. NULL with the reason. */
struct textmap *textmap_load(const struct ost_host *, struct ost_instance *, const char *path, bool aliases,
			     struct ost_why *);

/* lookup() and walk() for tables that are one textmap. */
enum ost_found textmap_lookup(const struct ost_host *, const struct textmap *, const struct ost_query *, struct ost_answer *);
struct ost_cursor; /* of a textmap: calloc()ed, free()d by the caller's cursor_free */
enum ost_found textmap_walk(const struct ost_host *, const struct textmap *, struct ost_cursor **, struct ost_answer *key,
			    struct ost_answer *value);

#endif
