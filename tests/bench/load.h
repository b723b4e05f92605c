/* SPDX-License-Identifier: Apache-2.0
 * The parts of smtp-load: the run as a whole, one session, the text of a message. */
#ifndef OST_BENCH_LOAD_H
#define OST_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/uio.h>

#include "bench.h"
#include "hist.h"
#include "ledger.h"
#include "stamp.h"

#define LOAD_PATTERNS_MAX  8
#define LOAD_RECIPIENT_MAX 320
#define LOAD_HEAD_MAX      1024
#define LOAD_REPLY_MAX     1024

struct load_options {
	struct bench_address server;
	uint64_t sessions;
	uint64_t idle;
	uint64_t messages; /* UINT64_MAX: no end */
	uint64_t duration_ns;
	uint64_t size_min;
	uint64_t size_max;
	uint64_t recipients;
	uint64_t mailboxes;
	unsigned patterns;
	const char *pattern[LOAD_PATTERNS_MAX];
	const char *sender;
	const char *helo;
	const char *id_prefix;
	uint64_t seed;
	uint64_t per_session; /* messages on one connection, 0: no limit */
	uint64_t pause_ms;    /* between the connections of a session */
	bool pipelining;
	uint64_t timeout_ns;
	uint64_t give_up_ns;
	const char *ledger;
};

/* The text of one message as it goes over the wire, without the final dot. */
struct load_text {
	uint64_t number;
	struct stamp stamp;
	char head[LOAD_HEAD_MAX];
	size_t head_len;
	const char *body;
	size_t body_len;
	char *own; /* the body when it is this message's alone */
	size_t own_size;
};

enum load_step {
	LOAD_CLOSED,
	LOAD_GREETING, /* from here on: the reply that is awaited */
	LOAD_EHLO,
	LOAD_MAIL,
	LOAD_RCPT,
	LOAD_DATA,
	LOAD_DOT,
	LOAD_QUIT,
	LOAD_IDLE, /* nothing is awaited, and the connection stays */
};

struct load_session {
	int fd;
	unsigned connection; /* counts them */
	enum load_step step;
	bool claimed;    /* a message of the total is this session's to send */
	bool in_message; /* it is being sent */
	bool can_pipeline;
	bool dot_sent;
	bool blocked; /* waits for room to write */
	bool finished;
	bool *rcpt_ok;
	unsigned rcpts_answered;
	unsigned rcpts_ok;
	uint64_t done;      /* messages on this connection */
	uint64_t opened_ns; /* connect */
	uint64_t asked_ns;  /* the last sign of life */
	uint64_t retry_ns;  /* when to connect again, if closed */
	uint64_t dot_ns;
	struct load_text text;
	struct iovec out[3];
	unsigned outs;
	char *command;
	size_t command_size;
	char reply[LOAD_REPLY_MAX];
	size_t reply_len;
};

struct load_counts {
	uint64_t started;
	uint64_t accepted;
	uint64_t failed;
	uint64_t unknown;
	uint64_t refused_4xx;
	uint64_t refused_5xx;
	uint64_t connections;
	uint64_t connect_failures;
	uint64_t lost;    /* connections closed in mid-session */
	uint64_t dropped; /* of them: between the answer to MAIL and the one to the final dot */
	uint64_t bytes;
};

struct load {
	struct load_options opt;
	int epoll;
	struct load_session *session;
	unsigned sessions;
	unsigned open;    /* sessions that are not finished */
	unsigned greeted; /* idle ones that stay */
	unsigned opening; /* idle ones that wait for the greeting */
	bool stopping;
	uint64_t claims;
	uint64_t start_ns;
	uint64_t last_ns;     /* the last message accepted */
	uint64_t progress_ns; /* the last reply of any kind */
	char date[48];
	char *shared_body;
	size_t shared_body_len;
	struct load_counts count;
	struct hist latency;  /* end of the text to 250 */
	struct hist greeting; /* connect to 220 */
	struct ledger ledger;
};

/* ---- the run (smtp-load.c) ---- */

/* Takes one message of the total; false when there are none left to send. */
bool load_claim(struct load *l);

/* ---- one session (load-session.c) ---- */

void load_session_init(struct load *l, struct load_session *s);

/* Connects now; a failure makes the session try again later. */
void load_session_open(struct load *l, struct load_session *s);

/* What epoll said about the session's socket. */
void load_session_event(struct load *l, struct load_session *s, uint32_t events);

/* The connection is gone or given up: accounts for the message in it, and goes on after delay_ns. */
void load_session_lost(struct load *l, struct load_session *s, uint64_t delay_ns);

void load_session_free(struct load_session *s);

/* ---- texts (load-text.c) ---- */

/* Makes the body that all messages share, unless each has its own. */
void load_text_init(struct load *l);

/* Makes head and body of message `number`. */
void load_text_make(struct load *l, struct load_text *t);

/* Writes the i-th recipient of a message; returns its length. */
size_t load_recipient(const struct load *l, uint64_t number, unsigned i, char out[LOAD_RECIPIENT_MAX]);

#endif
