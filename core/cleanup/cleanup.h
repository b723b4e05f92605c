/* SPDX-License-Identifier: Apache-2.0
 * Cleaning up a message on its way into the spool: headers, and the envelope's addresses.
 *
 * The content streams through: logical headers are looked at one by one, the body passes in blocks as it comes. All calls
 * for one message come from one thread at a time; the cleaner itself is shared by all. */
#ifndef CLEANUP_CLEANUP_H
#define CLEANUP_CLEANUP_H

#include "base/arena.h"
#include "base/why.h"
#include "config/view.h"
#include "spool/spool.h"

struct cleaner; /* what all messages of a process share: parameters and opened tables */

/* cleanup and rewrite: the views of the master.cf lines that cleanup_service_name and rewrite_service_name name. Never
 * NULL: a table that cannot be opened answers "try again later"; *why (may be NULL) says so, "" when all is well. */
struct cleaner *cleaner_open(const struct cfg_view *cleanup, const struct cfg_view *rewrite, struct ost_why *);
void cleaner_close(struct cleaner **);

/* What became of a message. The reply that says so: cleanup_reply(). */
enum cleanup_status {
	CLEANUP_OK = 0,
	CLEANUP_TOO_BIG,
	CLEANUP_HOPS,     /* hopcount_limit */
	CLEANUP_ALIASES,  /* alias expansion failed or went too far */
	CLEANUP_NO_RCPTS, /* nobody is left */
	CLEANUP_STATUS_COUNT,
};
struct cleanup_reply {
	int code;
	const char *dsn, *text;
};
const struct cleanup_reply *cleanup_reply(enum cleanup_status);

struct cleanup; /* one message */
struct cleanup_info {
	const char *queue_id, *sender, *full_name; /* full_name: of a local submitter, or NULL */
	int64_t arrival;   /* UTC microseconds */
	bool add_missing;  /* local mail, or always_add_missing_headers: Date, Message-ID and From are completed */
	uint64_t size_limit; /* of the content, bytes; 0: none */
	/* Is given the body of each From header, as it came (folded, its line end included); NULL: nobody asks. */
	void (*on_from)(void *ctx, const char *body, size_t len);
	void *ctx;
};
/* The strings of info must live as long as the cleanup, which lives in the arena. The draft stays the caller's. */
struct cleanup *cleanup_begin(const struct cleaner *, struct arena *, struct spool_draft *, const struct cleanup_info *);
/* Whole header lines of our own, ending in LF, in front of the rest: before the first cleanup_write(). */
void cleanup_own_header(struct cleanup *, const char *text, size_t len);
/* Content: wire lines without dot-stuffing, ending in LF; any block sizes. */
void cleanup_write(struct cleanup *, const char *p, size_t n);
/* Whole plain lines as they are on the wire (mail/wireform.h), which *tally has counted: while nobody looks at what passes, which
 * cleanup_takes_wire() tells. They reach the spool without being touched. */
bool cleanup_takes_wire(const struct cleanup *);
void cleanup_write_wire(struct cleanup *, const char *p, size_t n, const struct wire_tally *);
/* The end of the content. Frees what is not in the arena; answers what is wrong with the content. *message_id (in the
 * arena): with its <>, or NULL. */
enum cleanup_status cleanup_finish(struct cleanup *, const char **message_id);
/* Drops a message midway. */
void cleanup_abandon(struct cleanup *);

/* ---- the envelope -------------------------------------------------------------------------------------------- */

/* user -> user@myorigin, user@host -> user@host.mydomain, old forms a!b and a%b, a dot at the end of a domain; "" stays. */
const char *cleanup_rewrite_address(const struct cleaner *, struct arena *, const char *address);

/* The recipients of a message while they are collected: rewritten, expanded through virtual_alias_maps, without
 * duplicates. */
struct rcpt_set;
struct rcpt_set *rcpt_set_new(const struct cleaner *, struct arena *);
/* address: internal form as the client gave it. orcpt: decoded or NULL. A failed table makes the set fail at its end. */
void rcpt_set_add(struct rcpt_set *, const char *address, const char *orcpt, unsigned notify);
/* Fills env->rcpts; the strings stay in the arena. */
enum cleanup_status rcpt_set_finish(struct rcpt_set *, struct spool_envelope *env, const char *queue_id);

#endif
