/* SPDX-License-Identifier: Apache-2.0
 * What a local recipient comes to: aliases(5), expanded until only users and addresses elsewhere are left. */
#ifndef LOCAL_ALIAS_H
#define LOCAL_ALIAS_H

#include "ostler/host.h"

enum { ALIAS_DEPTH_MAX = 100, ALIAS_RESULTS_MAX = 10000 };

struct names { /* a growing list of distinct strings, its own copies */
	char **list;
	size_t count, cap;
};
/* False: it was there already. */
bool names_add(struct names *, const char *name);
void names_free(struct names *);

enum alias_outcome {
	ALIAS_OK = 0,
	ALIAS_TEMPFAIL,    /* a table cannot answer */
	ALIAS_UNSUPPORTED, /* a command, a file, an include */
	ALIAS_LOOP,        /* aliases that lead to each other and to nobody */
	ALIAS_TOO_MUCH,
};

struct alias_expansion {
	/* Given. */
	const struct ost_host *host;
	const struct ost_tables *maps;
	const char *delimiters;              /* recipient_delimiter */
	const char *domains;                 /* names of local domains, separated by blanks and commas */
	/* Result. */
	struct names users, addresses;       /* mailboxes here; recipients elsewhere */
	bool aliased;                        /* an alias was found for the first name */
	char owner[256];                     /* owner-NAME that exists for it, or "" */
	char why[300];                       /* unless ALIAS_OK */
	/* While at work. */
	struct names seen;                   /* alias names that were expanded */
};

/* name: a local part. */
enum alias_outcome local_alias_expand(struct alias_expansion *, const char *name);
void local_alias_free(struct alias_expansion *);

/* ---- pure -------------------------------------------------------------------------------------------------------------- */
/* The next element of an alias' right-hand side into out: "|command", "/file", ":include:file", an address without its
 * quotes, comments and display name. False: there is none. Advances *value. */
bool alias_next(const char **value, char *out, size_t size);
/* "user+ext": the length of "user"; the whole length when there is no extension. */
size_t alias_base_length(const char *name, const char *delimiters);

#endif
