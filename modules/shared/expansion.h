/* SPDX-License-Identifier: Apache-2.0
 * Patterns of tables that ask servers (query, query_filter, key_format, result_format …), with Postfix's
 *meaning of
 *
 *	%s    the key; in a pattern for results: the value
 *	%u %d its local part (all of it when it has no @), its domain
 *	%S %U %D  the same of the key, in patterns for results too
 *	%1 … %9   the key's domain labels, counted from the right (%1: the top level)
 *	%%    a percent sign
 *
 * A pattern is parsed once, when the table is opened. What all patterns of a table use of a key is noted in
 *one struct expansion_needs: a key that lacks any of it is not looked up at all.
 *
 *	struct expansion_needs needs = { 0 };
 *	query = expansion_parse("query", text, EXPANSION_OF_KEYS, &needs, &flaw);          open()
 *	format = expansion_parse("result_format", text, EXPANSION_OF_VALUES, &needs, &flaw);
 *
 *	if (!expansion_split(&needs, text, len, &key)) → not found                         lookup()
 *	expansion_of_key(query, &key, quote, ctx, &buf);
 *	for each value: expansion_add(format, &key, value, vlen, &result)
 *	result.text is the answer, "" (len 0): not found */
#ifndef SHARED_EXPANSION_H
#define SHARED_EXPANSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/text_buf.h"

enum { EXPANSION_LABELS = 9 };

enum expansion_use { EXPANSION_OF_KEYS, EXPANSION_OF_VALUES };

struct expansion_needs {   /* starts as { 0 } */
	bool user, domain; /* neither of them may be empty (a key without @ has a user part) */
	size_t labels;     /* at least so many */
};

struct expansion_flaw {
	char text[160]; /* names the parameter and what is wrong */
};

struct expansion; /* one pattern */

/* NULL: the pattern makes no sense (flaw says why), or there is no memory. */
struct expansion *expansion_parse(const char *parameter, const char *pattern, enum expansion_use,
				  struct expansion_needs *, struct expansion_flaw *);
void expansion_free(struct expansion *); /* accepts NULL */
/* Does what comes out depend on the key or value at all? */
bool expansion_varies(const struct expansion *);

struct expansion_span {
	const char *text; /* inside the key or value */
	size_t len;
};
struct expansion_key { /* points into the key */
	struct expansion_span whole, user, domain;
	struct expansion_span labels[EXPANSION_LABELS]; /* [0] is the last one, %1; as many as are needed */
	bool has_at;
};

/* False: the key is empty, or lacks what the patterns use. It may hold any byte, and must stay where it is.
 */
bool expansion_split(const struct expansion_needs *, const char *key, size_t klen, struct expansion_key *);

/* Appends a part of the key so that it is a part of the query and nothing else. */
typedef void expansion_quote_fn(void *ctx, struct text_buf *, const char *text, size_t len);
/* Appends the pattern with the key's parts in it. quote NULL: as they are. */
void expansion_of_key(const struct expansion *, const struct expansion_key *, expansion_quote_fn *, void *ctx,
		      struct text_buf *);

/* The values that a lookup found, each formatted, with commas between them. */
struct expansion_result { /* starts as { .limit = expansion_limit } */
	struct text_buf text;
	int64_t limit; /* most values; 0: any number */
	int64_t count;
};
enum expansion_added {
	EXPANSION_ADDED,
	EXPANSION_EMPTY,   /* an empty value: ignored; Postfix warns "empty lookup result for: KEY -- ignored"
			    */
	EXPANSION_LACKING, /* the value lacks the part that the pattern uses: ignored */
	EXPANSION_TOO_MANY, /* more than limit: the lookup has failed */
};
enum expansion_added expansion_add(const struct expansion *, const struct expansion_key *, const char *value,
				   size_t vlen, struct expansion_result *);

#endif
