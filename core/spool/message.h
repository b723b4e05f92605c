/* SPDX-License-Identifier: Apache-2.0
 * What the queue knows of a message: envelope, recipients and their state. Plain data; every string and array
 * belongs to the arena of whoever made it. NULL strings mean "not given". Times are UTC microseconds. */
#ifndef SPOOL_MESSAGE_H
#define SPOOL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

enum rcpt_status {
	RCPT_PENDING = 0,  /* never tried */
	RCPT_DEFERRED = 1, /* tried, to be tried again at next_try */
	RCPT_SENT = 2,
	RCPT_FAILED = 3,    /* failed for good, notice owed */
	RCPT_SENT_OWED = 4, /* delivered, and the sender asked to be told (NOTIFY=SUCCESS, relayed to a
			       non-DSN host …) */
	RCPT_DONE = 5,      /* nothing left to do: notice stored, not wanted, or removed by postsuper */
};

/* RFC 3461 NOTIFY, as bits; 0: not given, which means failure (and delay at the receiver's choice). */
enum { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };
/* RFC 3461 RET. */
enum { RET_UNSET = 0, RET_FULL = 1, RET_HDRS = 2 };

/* Fields that a later version wrote and this one does not know: kept as they are. Zeros for who makes an
 * envelope. */
struct spool_extra {
	const char *data;
	size_t len;
};

struct spool_rcpt {
	const char *address;  /* local@domain as it is to be delivered, internal form (unquoted) */
	const char *original; /* what the client said, before alias expansion; NULL: the same */
	const char *orcpt;    /* RFC 3461 ORCPT, "type;address", decoded */
	uint32_t notify;      /* NOTIFY_* */
	enum rcpt_status status;
	uint32_t attempts;
	int64_t next_try;       /* with RCPT_DEFERRED */
	int64_t last_try;       /* 0: never */
	const char *dsn;        /* of the last attempt, "4.4.1" */
	const char *reason;     /* of the last attempt, sanitized, one line */
	const char *mta;        /* remote MTA of the last attempt, for notices ("dns; host"), or NULL */
	const char *diagnostic; /* what that MTA said ("smtp; 550 …"), or NULL */
	struct spool_extra extra;
};

enum {
	MSG_8BITMIME = 0x1,
	MSG_SMTPUTF8 = 0x2,
	MSG_REQUIRETLS = 0x4, /* as declared by the client */
	MSG_HOLD = 0x8,       /* in the hold queue */
	MSG_TRACE_DELIVER = 0x10,
	MSG_TRACE_ONLY = 0x20,
	MSG_VERIFY = 0x40, /* sendmail -v, -bv; address probes */
	MSG_NOTICE = 0x80, /* made by bounce: sent from <>; its own failure makes no notice to <> */
	MSG_FLUSH = 0x100, /* asked to be delivered at once, once */
};

/* A client as smtpd saw it; the XFORWARD twin is what an upstream proxy said of the real one. */
struct spool_client {
	const char *name, *address, *port, *proto, *helo, *reverse_name;
};

struct spool_attr { /* a named attribute; unknown names survive */
	const char *name, *value;
};

/* A round of notices about a message (its `rounds` at the time) may have several, of different kinds. */
enum { NOTICES_PER_ROUND = 8 };

struct spool_envelope {
	uint64_t serial; /* 0: not yet given */
	int64_t arrival;
	const char *sender;     /* internal form; "" is <> */
	uint64_t size;          /* of the content as stored, bytes */
	uint32_t flags;         /* MSG_* */
	uint32_t ret;           /* RET_* */
	const char *envid;      /* RFC 3461, decoded */
	const char *message_id; /* of the content, with <>, for the log */
	struct spool_client client, forwarded;
	const char *ident; /* log_ident of XFORWARD */
	const char *sasl_method, *sasl_user, *sasl_sender;
	const char *rewrite_context; /* "local" or "remote" */
	const char *content_filter, *redirect;
	int64_t delay_until;   /* not before; 0: at once */
	int64_t warn_at;       /* delay_warning_time; 0: none */
	const char *verp;      /* VERP delimiters */
	const char *submitter; /* login name of the local submitter */
	uint64_t notice_of;    /* this is a notice about that serial, 0: it is not … */
	uint32_t notice_round; /* … made in that round: (notice_of, notice_round) is stored once */
	uint32_t rounds;       /* rounds of notices about this message that have been stored */
	const char *named;     /* the identity of spool_draft_commit_named(), or NULL */
	struct spool_extra extra;
	struct spool_attr *attrs; /* milter macros kept for notices, and what later versions add */
	size_t nattrs;
	struct spool_rcpt *rcpts; /* the index of a recipient never changes */
	size_t nrcpts;
};

/* A deep copy into another arena. */
struct spool_envelope *envelope_copy(struct arena *, const struct spool_envelope *);

/* The queue id in logs and commands, made from the serial. Short form: at least 10 of [0-9A-F]; long form
 * (enable_long_queue_ids): Postfix's base-52 shape with a 'z'. Both lead back to the serial. */
enum { QUEUE_ID_SIZE = 24 };
char *queue_id_text(char text[QUEUE_ID_SIZE], uint64_t serial, bool long_form); /* answers text */
bool queue_id_parse(const char *text, uint64_t *serial); /* either form; false: not a queue id */

#endif
