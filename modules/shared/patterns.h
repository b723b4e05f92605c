/* SPDX-License-Identifier: Apache-2.0
 * Tables of patterns, asked in the order of the file, with IF, ENDIF, negation and $1 … in results: all but the matching itself,
 * which is an engine's. */
#ifndef SHARED_PATTERNS_H
#define SHARED_PATTERNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ostler/host.h"

enum { PATTERNS_MAX_GROUPS = 100, PATTERNS_TEXT = 256 };

struct pattern_group { /* where a group matched, in bytes of the key; start -1: it took no part */
	ptrdiff_t start, end;
};

struct pattern_flag {
	char letter;
	uint32_t option; /* is turned over */
};

/* What differs between types of tables. */
struct pattern_engine {
	const char *type;     /* "regexp", for messages */
	uint32_t table_flags; /* OST_TABLE_* of its tables */
	/* Patterns are words (cidr): neither delimiters nor flags, and a result is literal. */
	bool words;
	const struct pattern_flag *flags; /* ends with letter '\0' */
	uint32_t options;                 /* without any flag */
	const char *obsolete;             /* flags that are taken and told */
	const char *no_pattern, *no_if_pattern; /* how it words that there is none, in a rule and after IF */
	const char *dropping;                   /* what happens to a rule without an end: "skipping", "ignoring" */
	bool shows_extra;                       /* it shows what stands behind an IF and its pattern */
	/* Compiles a pattern. groups: of how many the result speaks, the whole one included (0: of none); *has: how many there
	 * are. NULL: text says what is wrong. */
	void *(*compile)(const char *pattern, uint32_t options, size_t groups, size_t *has, char text[PATTERNS_TEXT]);
	/* 1: matches, 0: does not, -1: cannot tell (text says why). groups has room for n. Any number of threads. */
	int (*match)(const void *compiled, const char *key, size_t klen, struct pattern_group *groups, size_t n, char text[PATTERNS_TEXT]);
	void (*free)(void *compiled);
	/* The key as the engine wants it, once for all rules; false: nothing matches. NULL: it is taken as it is. */
	bool (*prepare)(const char *key, size_t klen, void *prepared, size_t size);
};

enum { PATTERNS_PREPARED = 32 }; /* bytes for a prepared key, which then is the `key` of match() */

struct patterns; /* the rules of one table */

/* Reads the rules of type:/path or type:{{rule}, {rule}}. A line that makes no sense is skipped, and the log says why. NULL: *why
 * has the reason. */
struct patterns *patterns_open(const struct ost_host *, struct ost_instance *, const struct pattern_engine *, struct ost_why *);
void patterns_close(struct patterns *); /* accepts NULL */
enum ost_found patterns_lookup(const struct ost_host *, const struct patterns *, const struct ost_query *, struct ost_answer *);

#endif
