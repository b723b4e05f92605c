/* SPDX-License-Identifier: Apache-2.0
 * postmap -q and -s: what tables answer. */
#ifndef COMMAND_MAP_QUERY_H
#define COMMAND_MAP_QUERY_H

#include "base/arena.h"
#include "config/view.h"

struct map_query {
	const struct cfg_view *view;
	char **names; /* of the tables */
	size_t count;
	const char *separator; /* between key and value */
	bool fold, utf8;
	bool files;       /* -F: values are base64 */
	unsigned message; /* MAP_HEADERS …: standard input is a message */
	struct arena *arena;
};

/* "hash:/etc/x" as it is; a name without a type gets the default one. The caller frees it. */
char *map_full_name(const struct cfg_view *, const char *text);
/* Looks the key up, or with "-" those on standard input. Answers the exit status. */
int map_query_key(struct map_query *, const char *key);
/* Lists the first of the tables. */
int map_query_list(struct map_query *);

#endif
