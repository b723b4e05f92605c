/* SPDX-License-Identifier: Apache-2.0
 * What all SMTP sessions of one worker share. Constant once made, but for the atomic counters. */
#ifndef SMTPD_SERVER_H
#define SMTPD_SERVER_H

#include <stdatomic.h>

#include "base/pool.h"
#include "base/waiter.h"
#include "cleanup/cleanup.h"
#include "config/config.h"
#include "config/view.h"
#include "resolve/resolver.h"
#include "spool/spool.h"
#include "table/table.h"

#define SERVER_MAGIC 0x53e4f001u

struct restrictions;
struct self;
struct peer_cache;

/* What a client may do only so often. */
enum limit_kind { LIMIT_CONNECTIONS, LIMIT_MESSAGES, LIMIT_RECIPIENTS, LIMIT_KINDS };

enum bare_newline { BARE_ALLOW, BARE_NORMALIZE, BARE_NOTE, BARE_REJECT };

/* EHLO keywords, as bits: what smtpd_discard_ehlo_keywords may take away. */
enum {
	EHLO_PIPELINING = 0x1, EHLO_SIZE = 0x2, EHLO_VRFY = 0x4, EHLO_ETRN = 0x8, EHLO_ENHANCEDSTATUSCODES = 0x10,
	EHLO_8BITMIME = 0x20, EHLO_DSN = 0x40,
};

struct limits { /* those that depend on stress: [0] in peace, [1] under it */
	int64_t timeout, junk_limit, hard_error_limit;
	bool per_request; /* the timeout holds for a whole request */
};

struct client_limits { /* of one client or network; 0: none */
	int64_t per_unit[LIMIT_KINDS], unit; /* events; seconds */
	int ipv4_bits, ipv6_bits;
};

struct server {
	unsigned magic;
	const struct cfg_view *view;
	struct arena *arena;          /* the texts below */
	const char *banner, *myhostname, *mail_name, *reject_footer;
	struct limits limits[2];
	int64_t min_data_rate;        /* bytes a second that earn more time within a request */
	int64_t soft_error_limit, error_sleep, recipient_limit, overshoot_limit;
	uint64_t message_limit;       /* bytes, 0: none */
	size_t line_limit;
	unsigned ehlo_hidden;         /* EHLO_* */
	enum bare_newline bare_newline;
	int bare_newline_code;
	bool delay_reject, helo_required, vrfy_disabled, strict_rfc821, peername_lookup, soft_bounce;
	bool forbid_pipelining, long_queue_ids, port_logging, forbid_odd_commands, keep_stray_cr;
	const char *const *forbidden_commands, *const *noop_commands; /* upper case, end with NULL */
	const char *const *rewrite_clients; /* local_header_rewrite_clients, as words */
	struct matchlist *mynetworks, *bare_newline_exclusions, *limit_exceptions;
	struct self *self;                  /* this system's own addresses */
	struct resolver *resolver;
	struct cleaner *cleaner;
	bool add_missing_always;
	struct restrictions *restrictions;
	struct peer_cache *peers;
	struct client_limits client_limits;
	int64_t client_connections;         /* smtpd_client_connection_count_limit, 0: none */
	/* Set by the worker. */
	struct waiter *waiter;
	struct pool *pool;                  /* may be NULL (tests) */
	struct spool *spool;
	struct spool_writer *writer;
	int64_t session_limit;
	/* May another session of this client begin? And its end. NULL: no counting. */
	bool (*client_begin)(void *ctx, const char *address, int64_t limit, int64_t *now);
	void (*client_end)(void *ctx, const char *address);
	void *client_ctx;
	/* ETRN: asks the queue manager to try a destination's mail now. NULL: no such service. */
	bool (*flush_site)(void *ctx, const char *domain);
	void *flush_ctx;
	atomic_int sessions;                /* open */
	atomic_bool retiring;               /* a new generation has taken over: sessions between messages get 421 */
};

/* Reads the parameters and opens the tables. false: *why; findings (may be NULL) get every fatal mistake in the
 * restriction lists. `config` gives the views of cleanup and rewrite lines. */
struct server *server_open(const struct cfg_view *, const struct config *, struct findings *, struct ost_why *);
void server_close(struct server **);
/* Are so many threads or sessions in use that the stress values hold? */
bool server_stressed(const struct server *);
static inline const struct limits *server_limits(const struct server *srv)
{
	return &srv->limits[server_stressed(srv)];
}

#endif
