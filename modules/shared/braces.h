/* SPDX-License-Identifier: Apache-2.0
 * Tables that are written in the configuration itself: type:{ item, { item with spaces } }. */
#ifndef SHARED_BRACES_H
#define SHARED_BRACES_H

#include <stdbool.h>
#include <stddef.h>

/* The length of the `{ … }` that the text begins with; 0: it does not, or the brace is not closed. */
size_t braces_length(const char *text);
/* A copy of what is between the outer braces, without white space at its ends; NULL: text is no `{ … }` (or
 * no memory). */
char *braces_content(const char *text);
/* The next item of such a content, terminated in place: white space and commas separate, braces keep an item
 * whole (and stay). *at moves on. NULL: no more. */
char *braces_item(char **at);
/* If the item is `{ … }`: takes the outer braces and the white space inside them away, in place; false: a
 * closing brace is missing or something follows it. */
bool braces_strip(char **item);

/* If the item is one `{ … }`: the same, and true. All others stay as they are. */
bool braces_group(char **item);

#endif
