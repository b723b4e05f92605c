/* SPDX-License-Identifier: Apache-2.0
 * The parts of smtp-sink: the server as a whole, one session, the text of a message, answers by rule. */
#ifndef OST_BENCH_SINK_H
#define OST_BENCH_SINK_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench.h"
#include "hist.h"
#include "ledger.h"
#include "stamp.h"

#define SINK_RULES_MAX    32
#define SINK_KEYWORDS_MAX 8
#define SINK_IN_SIZE      262144
#define SINK_LINE_MAX     200

/* ---- answers by rule (sink-rules.c) ---- */

enum sink_stage {
	SINK_CONNECT,
	SINK_HELO,
	SINK_MAIL,
	SINK_RCPT,
	SINK_DATA,
	SINK_DOT,
	SINK_RSET,
	SINK_QUIT,
	SINK_STAGES,
};

enum sink_action {
	SINK_ANSWER,  /* with a text */
	SINK_CLOSE,   /* close without an answer */
	SINK_TAKE,    /* at the final dot: count the message as received, then close without an answer */
	SINK_RESET,   /* close with a TCP reset */
	SINK_SILENT,  /* never answer */
	SINK_GARBAGE, /* answer with bytes that are no reply */
	SINK_ENDLESS, /* answer with a reply that never ends */
};

struct sink_rule {
	enum sink_stage stage;
	enum sink_action action;
	bool has_regex;
	regex_t regex;
	const char *text;
	uint64_t every; /* applies to each n-th match */
	uint64_t limit; /* applies so many times, 0: always */
	uint64_t matches;
	uint64_t used;
};

struct sink_rules {
	unsigned n;
	struct sink_rule rule[SINK_RULES_MAX];
	uint64_t delay_ns[SINK_STAGES];
};

/* "STAGE[*N][/N]:REGEX:ANSWER"; dies on nonsense. The text must outlive the rules. */
void sink_rules_add(struct sink_rules *r, char *text);

/* "STAGE:MILLISECONDS"; dies on nonsense. */
void sink_rules_delay(struct sink_rules *r, char *text);

/* The rule for this stage and address, name or id; NULL: the usual answer. */
struct sink_rule *sink_rules_find(struct sink_rules *r, enum sink_stage stage, const char *subject);

/* ---- the text of a message (sink-text.c) ---- */

struct sink_text {
	bool in_headers;
	bool stamped;
	bool at_line_start;
	struct stamp stamp;
	struct sum sum;
	uint64_t bytes;
};

void sink_text_start(struct sink_text *t);

/* Takes what came from the network: whole lines where possible. *done tells that the final dot was among it.
 * Returns how many bytes were used. */
size_t sink_text_take(struct sink_text *t, const char *bytes, size_t n, bool *done);

/* "ok", "bad" or "plain": how the body compares with its stamp. */
const char *sink_text_verdict(const struct sink_text *t);

/* ---- the whole and its sessions ---- */

struct sink_session {
	struct sink_session *next; /* in the list of all, or of the free ones */
	struct sink_session *prev;
	struct sink_session *later; /* in the list of delayed ones */
	int fd;
	bool in_text;
	bool silent;
	bool endless;
	bool closing; /* close when all is written */
	bool watching_write;
	bool delayed;
	uint64_t due_ns;
	bool has_mail;
	unsigned rcpts;
	char *rcpt; /* one after the other, each with its NUL; kept for the ledger only */
	size_t rcpt_len;
	size_t rcpt_size;
	struct sink_text text;
	char *out;
	size_t out_len;
	size_t out_size;
	size_t in_len;
	char in[SINK_IN_SIZE];
};

struct sink_counts {
	uint64_t connections;
	uint64_t messages;
	uint64_t recipients;
	uint64_t bytes;
	uint64_t bad;
	uint64_t ruled; /* answers other than the usual one */
};

struct sink {
	const char *listen;
	uint64_t exit_after; /* messages, 0: never */
	const char *ledger_path;
	const char *hostname;
	unsigned keywords;
	const char *keyword[SINK_KEYWORDS_MAX];
	struct sink_rules rules;
	int epoll;
	bool stopping;
	uint64_t first_ns;
	uint64_t last_ns;
	struct sink_counts count;
	struct hist latency; /* the stamp's time to the final dot */
	struct ledger ledger;
	struct sink_session *all;
	struct sink_session *unused;
	struct sink_session *delayed; /* by time */
	unsigned open;
};

/* ---- answers (sink-commands.c) ---- */

/* Answers to a new connection, to a command line, and to the final dot. */
void sink_greet(struct sink *k, struct sink_session *s);
void sink_command(struct sink *k, struct sink_session *s, char *line);
void sink_dot(struct sink *k, struct sink_session *s);

/* ---- one connection (sink-session.c) ---- */

/* Queues bytes of an answer. */
void sink_session_put(struct sink_session *s, const char *bytes, size_t n);

/* Holds the answers back for so long, and reads nothing until then. */
void sink_session_delay(struct sink *k, struct sink_session *s, uint64_t ns);

/* A new connection: greets. */
void sink_session_start(struct sink *k, int fd);

void sink_session_event(struct sink *k, struct sink_session *s, uint32_t events);

/* Lets delayed answers go whose time has come; returns milliseconds until the next one, or -1. */
int sink_session_resume(struct sink *k);

void sink_session_end(struct sink *k, struct sink_session *s);

#endif
