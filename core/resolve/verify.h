/* SPDX-License-Identifier: Apache-2.0
 * The cache of verified addresses (address_verify_map): smtpd reads it and marks what it has sent probes for, resolve writes what
 * became of them. Entries are "STATUS:PROBED:UPDATED:TEXT", as Postfix's verify(8) has them; times are Unix seconds. */
#ifndef RESOLVE_VERIFY_H
#define RESOLVE_VERIFY_H

#include "table/cache.h"

enum verified { VERIFIED_OK = 0, VERIFIED_DEFERRED, VERIFIED_BOUNCED, VERIFIED_UNKNOWN /* no probe has come back */ };

struct verify_entry {
	enum verified status;
	int64_t probed;   /* when a probe was sent that has not come back; 0: none */
	int64_t updated;  /* when the last one came back; 0: none has */
	const char *text; /* what it found, for the client */
};

struct verify_cache { /* constant once opened */
	struct cache *cache;   /* NULL: there is none, and every address is unknown */
	int64_t expire[2], refresh[2]; /* seconds; [1]: of good results, [0]: of bad ones */
	bool negative;         /* bad results are kept */
};

/* Before the seal. Without a cache it answers with the reason in *why. */
void verify_open(struct verify_cache *, const struct cfg_view *, struct ost_why *);
void verify_close(struct verify_cache *);

/* What is known of the address, now: VERIFIED_UNKNOWN when there is nothing, or it has expired. False: the cache failed. */
bool verify_find(const struct verify_cache *, struct arena *, const char *address, int64_t now, struct verify_entry *);
/* Is it time for a probe? */
bool verify_wants_probe(const struct verify_cache *, const struct verify_entry *, int64_t now);
/* A probe is on its way. */
void verify_note_probe(const struct verify_cache *, struct arena *, const char *address, struct verify_entry *, int64_t now);
/* A probe has come back. A bad result does not take the place of a good one that still counts. */
void verify_note_result(const struct verify_cache *, struct arena *, const char *address, enum verified, const char *text,
			int64_t now);
/* Removes what has expired. */
void verify_clean(const struct verify_cache *, struct arena *);

/* ---- pure ---- */
bool verify_parse(struct arena *, const char *value, struct verify_entry *); /* false: it is none */
const char *verify_format(struct arena *, const struct verify_entry *);

#endif
