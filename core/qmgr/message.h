/* SPDX-License-Identifier: Apache-2.0
 * A message of the active queue: its envelope as far as scheduling needs it, and a window of its recipients.
 *
 * The window is the recipients that are to be tried now, as many as the limits on memory allow; the rest
 * follows when the window is done. Each recipient goes through R_RESOLVING -> R_QUEUED (in a job) -> R_FLIGHT
 * (in a delivery) -> R_FINAL; when none is left before R_FINAL the message is settled (settle.h). */
#ifndef QMGR_MESSAGE_H
#define QMGR_MESSAGE_H

#include <sys/queue.h>

#include "qmgr/entry.h"
#include "spool/spool.h"

struct job;
struct destination;

enum rcpt_state {
	R_RESOLVING,
	R_QUEUED,
	R_FLIGHT,
	R_FINAL,
	R_WITHDRAWN, /* final too: taken back before anything was tried; its stored state holds */
};

struct rcpt {
	struct rcpt *next;    /* in its job or delivery */
	const char *address;  /* as the queue has it; after resolving, as the agent gets it */
	const char *original; /* NULL: the same */
	const char *dsn, *reason, *mta, *diagnostic; /* of the last attempt; in the message's arena */
	uint64_t ask;     /* with R_RESOLVING: the number of the question, 0: not asked yet */
	uint32_t index;   /* in the envelope */
	uint8_t state;    /* enum rcpt_state */
	uint8_t status;   /* enum rcpt_status */
	uint8_t notify;   /* NOTIFY_* */
	uint8_t setbacks; /* agents that died, tickets that led nowhere */
	bool tried;       /* at least once, now or earlier: it may expire */
	bool ours;        /* this result is qmgr's: no agent has made it durable */
	bool waited;      /* came into the window as RCPT_DEFERRED: that, at least, is durable */
};

/* Whose turn it is: mail that comes for the first time, and mail that has waited, share what there is of
 * agents and memory, so that neither of them keeps the other waiting. */
enum mail_class { MAIL_FRESH, MAIL_RETRIED, MAIL_CLASSES };

enum message_stage {
	STAGE_DELIVERING,
	STAGE_SAVING, /* recipients that qmgr made fail are being made durable, before the notice */
	STAGE_NOTICES,
	STAGE_UPDATING, /* states for the next round are being made durable */
	STAGE_GONE,     /* the entry is leaving; waits for its last delivery or notice to come back */
};

TAILQ_HEAD(message_list, message);
TAILQ_HEAD(job_list, job);

struct message {
	unsigned magic;
	uint32_t flags; /* MSG_* */
	struct entry *entry;
	uint64_t serial, size;
	int64_t arrival, warn_at;
	int64_t active_since; /* UTC */
	int64_t later;        /* the earliest next_try of recipients outside the window; 0: none */
	uint32_t rounds;      /* of notices, stored so far */
	uint32_t total;       /* recipients in the envelope */
	const char *sender;
	const char *content_filter, *redirect; /* or NULL */
	struct rcpt *rcpts;                    /* the window, by index */
	uint32_t nrcpts;
	uint32_t open;       /* not final yet */
	uint32_t unresolved; /* R_RESOLVING */
	uint32_t flying;     /* deliveries that have not come back */
	bool more;           /* the envelope has recipients to be tried that did not fit into the window */
	bool stuck;          /* in qmgr's list of those */
	uint8_t notices;     /* under way at bounce */
	bool notices_failed;
	bool warned;          /* the delay warning's time has come in this round */
	uint8_t stage;        /* enum message_stage */
	uint8_t class;        /* enum mail_class */
	uint8_t pinned;       /* message_check() waits: someone still needs m */
	bool round_used;      /* this round has stored a notice */
	struct job_list jobs; /* with recipients that wait to be handed out */
	TAILQ_ENTRY(message) stuck_link;
	struct arena *arena; /* results' texts; NULL until one is needed */
	char queue_id[QUEUE_ID_SIZE];
};

#define MESSAGE_MAGIC 0x93670002u

/* Makes the entry ACTIVE: takes what it needs of the envelope, logs "(queue active)" and asks for the
 * recipients' routes. A message with nothing to do now is settled at once. */
void message_activate(struct qmgr *, struct entry *, const struct spool_envelope *);
void message_destroy(struct qmgr *, struct message **);
struct rcpt *message_rcpt(struct message *, uint32_t index); /* NULL: not in the window */

/* A recipient's final state of this round. Strings may be NULL and are copied, cleaned. */
struct outcome {
	enum rcpt_status status;
	const char *dsn, *reason, *mta, *diagnostic;
};
void rcpt_finish(struct message *, struct rcpt *, const struct outcome *);
/* The same for what qmgr itself decides: logs the line that an agent would have logged. */
void rcpt_finish_ours(struct qmgr *, struct message *, struct rcpt *, const struct outcome *);
/* Recipients that wait for a route or an agent are taken back, R_WITHDRAWN. */
void message_withdraw(struct qmgr *, struct message *);
/* Settles the message when no recipient is open. To be called after a run of rcpt_finish(); m may be gone
 * afterwards, unless it is pinned. */
void message_check(struct qmgr *, struct message *);
void message_pin(struct message *);
void message_unpin(struct qmgr *, struct message *); /* and checks */

#endif
