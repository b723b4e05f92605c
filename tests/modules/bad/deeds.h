/* SPDX-License-Identifier: Apache-2.0
 * What a module can do that it must not: each by a word. */
#ifndef BAD_DEEDS_H
#define BAD_DEEDS_H

#include <stdbool.h>
#include <stddef.h>

struct tried { /* what a deed that comes back has tried, and how often it was let */
	int times, succeeded;
	char first[64]; /* the first thing that succeeded, "" when none did */
};

/* Does the deed of that name; false: there is none. Many do not come back. */
bool deed_do(const char *word, struct tried *);

/* The deed that is ordered for an entry point of a kind ("check", "run-rcpt"): a line "KIND ENTRY DEED" of the file that the
 * environment's OST_BAD_ORDERS names. False: none. */
bool deed_ordered(const char *kind, const char *entry, char word[32]);

#endif
