/* SPDX-License-Identifier: Apache-2.0
 * The inside of a cleaner, for this folder alone. */
#ifndef CLEANUP_CLEANER_H
#define CLEANUP_CLEANER_H

#include <stdbool.h>
#include <stddef.h>

#include "cleanup/cleanup.h"
#include "mail/header.h"
#include "table/table.h"

#define CLEANER_MAGIC 0xc1ea0001u

/* Constant once made; the tables answer from any thread. */
struct cleaner {
	unsigned magic;
	struct arena *arena;
	const char *myhostname, *myorigin, *mydomain, *recipient_delimiter;
	const char *undisclosed_recipients;
	bool append_at_myorigin, append_dot_mydomain, percent_hack, swap_bangpath;
	bool enable_original_recipient, propagate_virtual, always_add_missing;
	size_t header_size_limit, hopcount_limit;
	size_t expansion_limit, recursion_limit, address_length_limit;
	bool drop[HEADER_COUNT];      /* message_drop_headers that have a number */
	const char *const *drop_other; /* and the others, by name; ends with NULL */
	struct maps *virtual_alias_maps;
};

/* Expands one address through virtual_alias_maps, recursively and within the limits. Answers the addresses (internal
 * form, in the arena); false: *failed_text says what is wrong. */
struct expansion {
	const char **list;
	size_t count;
};
bool virtual_alias_expand(const struct cleaner *, struct arena *, const char *address, struct expansion *, struct ost_why *);

#endif
