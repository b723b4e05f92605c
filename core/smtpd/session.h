/* SPDX-License-Identifier: Apache-2.0
 * One SMTP session: everything that is known of a client and of the message it is sending, for this folder alone.
 *
 * A session is worked on by one thread at a time; between commands it is parked in the waiter (base/waiter.h), without a
 * thread and, when nothing is half read or unsent, without buffers. It is handed on by its last action: after
 * session_park() or a commit, the thread does not touch it any more. */
#ifndef SMTPD_SESSION_H
#define SMTPD_SESSION_H

#include <sys/socket.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/waiter.h"
#include "cleanup/cleanup.h"
#include "smtpd/input.h"
#include "smtpd/server.h"
#include "smtpd/verdict.h"

#define SESSION_MAGIC 0x53e55001u

enum session_mode {
	MODE_CONNECT, /* accepted, not yet greeted */
	MODE_COMMAND,
	MODE_DATA,
	MODE_COMMIT,  /* the spool has it: storing a message */
	MODE_CLOSING, /* the last reply is on its way, then the end */
	MODE_LINGER,  /* it is sent: what the client still says is thrown away until it has closed too */
};

enum protocol { PROTO_SMTP, PROTO_ESMTP };

struct peer { /* strings belong to the session's arena */
	const char *name, *reverse_name, *address, *port, *namaddr; /* "unknown", …; namaddr: "name[address]" for the log */
	int family;
	int name_status; /* 2: forward-confirmed, 4: try again later, 5: no name */
	int reverse_status;
};

struct scanner { /* of DATA: what is remembered from one chunk to the next */
	bool in_line;       /* the last line is not over */
	bool after_crlf;    /* the line before ended in CRLF, or there was none */
	bool seen_bare_lf;
	uint64_t bytes, size; /* of the wire; of the message as it would be on the wire, unstuffed */
};

/* What access(5) actions want done with the message. */
struct actions {
	bool hold, discard;
	const char *filter, *redirect;
	const char **bcc;
	size_t nbcc;
	struct buf prepend; /* header lines, LF at the end */
};

struct transaction { /* from MAIL to the end of its message; lives in its own arena */
	struct arena *arena;
	const char *sender;     /* internal form as given */
	unsigned flags, ret;    /* MSG_*, RET_* */
	const char *envid;
	int64_t arrival;
	uint64_t declared_size;
	struct spool_draft *draft; /* from the first accepted recipient */
	char queue_id[QUEUE_ID_SIZE];
	struct rcpt_set *set;
	size_t rcpts;           /* accepted */
	const char *first_rcpt; /* of them */
	struct actions actions;
	struct scanner scan;
	struct cleanup *cleanup;
	struct cleanup_info info;
	enum cleanup_status status;
	struct spool_envelope env;
};

struct command;
enum { COMMAND_COUNT = 11 };

struct session {
	unsigned magic;
	struct server *server;
	struct wait_entry *wait;
	int fd;
	enum session_mode mode;
	enum protocol protocol;
	struct arena *arena;   /* lives as long as the session: the peer */
	struct peer peer;
	struct input in;
	struct buf out;        /* unsent replies */
	bool skipping;         /* the rest of an overlong command line */
	bool counted;          /* in the client's connection count */
	bool unlimited;        /* smtpd_client_event_limit_exceptions matched */
	const char *limit_key; /* whom the limits count: service and address or network */
	bool local_rewrite;    /* local_header_rewrite_clients matched */
	bool bare_lf_excluded;
	bool noted_bare_lf;
	bool ill_pipelining;
	bool disconnect;       /* 421 or 521: close behind the reply */
	bool quit;             /* the client has said QUIT */
	bool linger;           /* the last reply must reach a client that may be speaking */
	int64_t sleep_until;   /* unsent replies wait for it; 0: no */
	int64_t deadline;      /* of the current wait for the client */
	char *helo;            /* sanitized; NULL: none yet */
	const char *where;     /* the last command, for the log */
	const char *access_denied; /* smtpd_delay_reject = no: what the connect was told */
	int64_t errors, junk, overshoot;
	struct transaction *tx;
	struct { unsigned ok, all; } counts[COMMAND_COUNT + 1]; /* by the command table; the last: unknown */
	struct verdict verdict; /* of the checks under way */
	const char *checked_rcpt; /* the recipient that is being checked, external form for replies; or NULL */
	void **check_states;
};

/* ---- session.c: life ---- */
/* Takes over an accepted socket; the caller then calls session_work(). */
struct session *session_new(struct server *, int fd, const struct sockaddr *);
/* Does what can be done now, then parks, hands on or ends the session. */
void session_work(struct session *, enum wait_why);
void session_reset_transaction(struct session *); /* the one reset: RSET, HELO, the end of a message, the end */
void session_transaction_begin(struct session *);
/* A commit is done, in whichever thread: the reply is queued, the session goes on. Hands it on. */
void session_resume(struct session *);
void session_finish(struct session *); /* ends it behind the replies that are queued */
void session_renew_deadline(struct session *); /* the client has smtpd_timeout from now on */
void session_destroy(struct session **); /* without a word: tests, and the end of a worker */

/* ---- line.c ---- */
bool line_run(struct session *); /* the next whole command line of the input; false: there is none */

/* ---- reply.c ---- */
void reply(struct session *, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* "250 2.0.0 Ok" */
void reply_text(struct session *, const char *text); /* the same, as it is; already clean */

/* ---- command.c ---- */
/* Runs one command line (no line end). more_input: the client has sent something behind it already. */
void command_run(struct session *, const char *line, size_t len, bool more_input);
void command_greet(struct session *); /* 220, or what the client is told instead */
void command_counts(const struct session *, struct buf *); /* " ehlo=1 mail=1/2 … commands=2/3" */

/* ---- data.c ---- */
void data_begin(struct session *);
/* Eats the unread input; answers true when the message is over (what follows stays unread). */
bool data_eat(struct session *);
/* The message is over: stores it. Hands the session on when it answers true; false: a reply is queued. */
bool data_commit(struct session *);

/* ---- peer.c ---- */
struct peer_cache *peer_cache_new(void);
void peer_cache_destroy(struct peer_cache **);
void peer_lookup(struct session *, const struct sockaddr *);
void peer_lookup_name(struct session *); /* may wait */

#endif
