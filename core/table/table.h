/* SPDX-License-Identifier: Apache-2.0
 * Lookup tables as the core uses them: handles, lists of tables, and the search orders, which are the same for all types.
 *
 * A table that cannot be opened becomes a stand-in that answers OST_TEMPFAIL at each use and logs why: never "not found".
 * All lookups may come from any thread. */
#ifndef TABLE_TABLE_H
#define TABLE_TABLE_H

#include "base/arena.h"
#include "config/view.h"
#include "ostler/table.h"

struct table;
struct maps; /* a list of tables, asked in order: "hash:/etc/x, regexp:/etc/y" (struct ost_tables to modules) */

struct lookup { /* an answer */
	const char *value; /* in the arena; NULL unless OST_FOUND */
	size_t len;
	const char *table;  /* "hash:/etc/x": which answered or failed */
	struct ost_why why; /* with OST_TEMPFAIL and OST_BADTABLE */
};

/* Before the first module is loaded: lets modules use tables through their host (ostler/host.h). */
void table_init(void);
/* Before the first table is opened, in a process that is in a jail: tables with "proxy:" in front are proxymap's to ask, over
 * links that connect() makes (it may wait; NULL with the reason). Elsewhere the prefix has no meaning. */
struct ipc_link;
typedef struct ipc_link *table_connect_fn(void *ctx, struct ost_why *);
void table_proxy_init(table_connect_fn *, void *ctx);
/* When threads may be started: from now on lookups of such tables may come from any thread. */
bool table_proxy_run(struct ost_why *);
/* Opened once per process and text: a second mention shares the handle. Never NULL (see above); *why says what is wrong
 * with it; its text is "" when all is well. why NULL: it is logged. */
struct table *table_open(const struct cfg_view *, const char *type_name, struct ost_why *);
/* The key as it is: folding case is the caller's (maps_find() does it). */
enum ost_found table_lookup(struct table *, struct arena *, const char *key, size_t klen, struct lookup *);
/* The same for who has a deadline of its own (clock_mono()). */
enum ost_found table_lookup_until(struct table *, struct arena *, const char *key, size_t klen, int64_t deadline, struct lookup *);
const char *table_name(const struct table *);
unsigned table_flags(const struct table *); /* OST_TABLE_* */
/* Another one than before when the table's content was replaced: it, or one that it asks, was opened anew. */
uint64_t table_version(const struct table *);
/* ASCII letters in lower case; answers key itself when it has no others. */
const char *table_fold(struct arena *, const char *key);
void table_reopen_all(void);  /* the master says that files changed: what is not as it was is opened anew, while others look up */
/* The files that the open tables are made of: for the master to watch, and what a jail must hold. */
void table_files_each(void (*each)(void *ctx, const char *path), void *ctx);
/* Sockets of other programs that this table, or one that it asks without proxymap, connects to. */
void table_sockets_each(struct table *, void (*each)(void *ctx, const char *path), void *ctx);
void table_close_all(void);   /* end of process: tables, lists, matchlists */

/* An empty list is NULL and finds nothing. Lives until table_close_all(). *why: the first table that cannot be used,
 * "" when all can; NULL: all of them are logged. */
struct maps *maps_open(const struct cfg_view *, const char *spec, struct ost_why *);
enum ost_found maps_find(const struct maps *, struct arena *, const char *key, struct lookup *); /* key is folded to lower case */

bool maps_immediate(const struct maps *); /* do all answer from memory or a local file? */

/* user+ext@domain, user@domain, user+ext, user (when the domain is local: own), @domain; patterns are asked with the whole
 * address alone. The extension that was stripped ("+ext") goes to *ext (in the arena, or NULL). Which forms are tried: */
enum { ADDR_FULL = 1, ADDR_NO_EXT = 2, ADDR_LOCALPART = 4, ADDR_DOMAIN = 8, ADDR_ALL = 15 };
enum ost_found maps_find_address(const struct maps *, struct arena *, const char *address, const char *delimiters,
				 bool own_domain, unsigned forms, struct lookup *, const char **ext);

/* Lists that match names or networks: "example.com, .example.org, !x, /file, hash:/etc/z" (mydestination, relay_domains,
 * virtual_mailbox_domains …) and "127.0.0.0/8 [::1]/128 !10.0.0.1 cidr:/x" (mynetworks). `param` decides whether
 * parent_domain_matches_subdomains holds for it. */
struct matchlist;
struct matchlist *matchlist_names(const struct cfg_view *, const char *param, const char *spec, struct ost_why *);
struct matchlist *matchlist_networks(const struct cfg_view *, const char *param, const char *spec, struct ost_why *);
/* OST_FOUND: matches; OST_NOTFOUND; OST_TEMPFAIL: a table failed. Networks: `name` may be NULL, address is numeric. */
enum ost_found matchlist_name(const struct matchlist *, struct arena *, const char *name, struct lookup *);
enum ost_found matchlist_client(const struct matchlist *, struct arena *, const char *name, const char *address, struct lookup *);

/* Search orders of access(5). */
#include "ostler/check.h"
enum ost_found access_find(const struct maps *, const struct cfg_view *, struct arena *, enum ost_access_order, const char *object,
			   struct lookup *);

#endif
