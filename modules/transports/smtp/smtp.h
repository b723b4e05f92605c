/* SPDX-License-Identifier: Apache-2.0
 * The SMTP client (RFC 5321): what its files share. */
#ifndef SMTP_SMTP_H
#define SMTP_SMTP_H

#include <pthread.h>

#include "ostler/host.h"
#include "shared/stream.h"
#include "transports/smtp/reply.h"

struct smtp_config {
	const char *helo_name, *myhostname, *tcp_port, *known_ports, *fallback_relay, *bind4, *bind6, *preference, *host_lookup,
		*discard_ehlo, *tls_level, *cache_destinations;
	bool cache_on_demand, never_ehlo, quote_envelope, randomize, skip_5xx_greeting,
		skip_quit_response, no_dns, defer_no_mx_address, ignore_mx_error;
	int64_t address_limit, session_limit, reuse_count_limit, line_limit;
	int64_t cache_time, reuse_time, connect_timeout, helo_timeout, mail_timeout, rcpt_timeout, data_init_timeout,
		data_xfer_timeout, data_done_timeout, rset_timeout, quit_timeout;
};

/* What a server said it can do. */
enum {
	CAN_PIPELINING = 0x1, CAN_8BITMIME = 0x2, CAN_SIZE = 0x4, CAN_DSN = 0x8, CAN_SMTPUTF8 = 0x10, CAN_EHLO = 0x20,
};

struct smtp;

struct text { /* growable bytes */
	char *data;
	size_t len, cap;
};
enum { SPARE_TEXTS = 4 };

/* A connection that has been greeted. One thread at a time; between deliveries it is in the cache. */
struct session {
	struct session *next; /* in the cache, under its lock */
	char *key;            /* the destination it serves */
	struct stream stream;
	char name[512];       /* "host[address]", as replies are told */
	char relay[520];      /* "host[address]:port" */
	char host[256];
	unsigned can;         /* CAN_* */
	uint64_t size_limit;  /* 0: none known */
	uint32_t uses;        /* deliveries so far */
	bool dirty;           /* a transaction was left open: RSET comes first */
	bool good;            /* may be used again */
	struct text spare[SPARE_TEXTS]; /* memory of earlier transactions, for the next ones */
	int64_t opened, parked; /* host->now() */
};

/* ---- smtp.c ---- */
extern const struct ost_host *smtp_host;
struct smtp { /* an instance; all but the cache is constant after open() */
	const struct smtp_config *config;
	struct ost_instance *instance;
	uint16_t port;            /* smtp_tcp_port */
	pthread_mutex_t lock;     /* guards cached, ncached */
	struct session *cached;   /* idle connections, the one used last first */
	size_t ncached;
};

/* ---- cache.c: idle connections, by destination ---- */
/* One that is still alive, or NULL. */
struct session *cache_take(struct smtp *, const char *key);
/* Keeps it, or closes it. */
void cache_give(struct smtp *, struct session *);
/* May it be used for one more delivery? now: host->now() */
bool cache_worth_keeping(const struct smtp *, const struct session *, int64_t now);
void cache_expire(struct smtp *, bool all);

/* ---- delivery.c: one deliver() ---- */
enum rcpt_left { RCPT_LEFT = 0, RCPT_OVER };
struct rcpt {
	enum rcpt_left state;
	bool accepted; /* by this session's RCPT TO */
	bool failed;   /* .last holds why it was not delivered by a session so far */
};
struct last { /* why the recipients that are left were not delivered */
	char dsn[12];
	char text[1400];
	char relay[520], mta[256], diagnostic[REPLY_TEXT_MAX + 1];
	uint32_t flags, uses;
};
struct job {
	struct smtp *smtp;
	struct ost_delivery *d; /* NULL: over */
	struct rcpt *rcpts;
	struct last *lasts; /* one per recipient, made when the first is needed */
	uint32_t left;      /* recipients that are RCPT_LEFT */
	bool loops;         /* a server that is us means a loop: the port is smtp */
	bool alone;         /* takes no others along */
	struct job *waiting; /* those that were taken along, and need more than the session that took them: a list */
};
struct job *job_begin(struct smtp *, struct ost_delivery *);
/* Its delivery is over: those that are left are reported, as deferred. ->d is NULL afterwards. */
void job_finish(struct job *);
void job_end(struct job **); /* finishes it, if need be, and frees it */
void smtp_deliver(struct smtp *, struct ost_delivery *);

/* ---- outcome.c: what becomes of recipients ---- */
struct outcome_text {
	enum ost_delivered status; /* OST_DEFERRED: the next server may still take it */
	const char *dsn, *text;
	uint32_t flags; /* OST_REPORT_* */
	const struct reply *reply; /* NULL: not said by the server */
};
/* For one recipient (session may be NULL: no connection). A failure for good is reported at once, another is remembered. */
void outcome_set(struct job *, const struct session *, uint32_t rcpt, const struct outcome_text *);
void outcome_all(struct job *, const struct session *, const struct outcome_text *); /* for all that are left */
/* "host X said: TEXT (in reply to RCPT TO command)", by the reply's class. */
void outcome_said(struct job *, const struct session *, uint32_t rcpt, const struct reply *, const char *command);
void outcome_said_all(struct job *, const struct session *, const struct reply *, const char *command);
/* The conversation ended at an unexpected place: "lost connection with X while sending MAIL FROM". */
void outcome_broken(struct job *, struct session *, enum reply_state, const char *doing);
void outcome_report_left(struct job *); /* at the end: what is left is deferred with its last reason */

/* ---- session.c: connecting and greeting ---- */
/* NULL: the reason is in the recipients' outcomes. */
struct session *session_open(struct job *, const struct ost_mx *, uint16_t port, const char *key, bool *greeted);
/* Says goodbye where that makes sense, closes, frees. Accepts NULL. */
void session_close(struct smtp *, struct session **);
/* Writes, then reads one reply. */
enum reply_state session_command(struct smtp *, struct session *, const char *command, int64_t timeout, struct reply *,
				 reply_each_fn *, void *ctx);

/* ---- transaction.c: MAIL … the final dot, on one session; deliveries to the same next hop that wait are taken along ---- */
enum transacted {
	TRANSACTED = 0, /* each recipient has an outcome */
	TRANSACT_STALE, /* the connection had gone before anything was said: nothing has happened */
};
enum transacted transaction(struct job *, struct session *);

/* ---- content.c: the message on the wire ---- */
void text_add(struct text *, const void *, size_t);
void text_puts(struct text *, const char *);
void text_printf(struct text *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_free(struct text *);
/* Much content: room for what n bytes of it are on the wire, more or less, taken at once. */
void text_reserve_wire(struct text *, size_t n);
/* An empty one with the memory of an earlier one; what is given back is kept unless it is large. */
struct text text_take(struct session *);
void text_give(struct session *, struct text *);
struct wire { /* state between pieces of content */
	size_t line_limit; /* 0: none */
	size_t column;     /* bytes of this line that are out already */
	bool cr;           /* the last byte was a CR, not yet sent */
};
/* Appends content (lines end in LF) as SMTP has it: CRLF, dots doubled, long lines broken, CR that ends no line a blank. */
void wire_put(struct wire *, struct text *out, const char *p, size_t n);
/* Ends the last line if need be, and the message: ".". */
void wire_end(struct wire *, struct text *out);

/* ---- envelope.c: addresses and parameters in commands ---- */
void put_address(struct text *, const char *address, bool quote); /* no brackets */
void put_xtext(struct text *, const char *);                      /* RFC 3461 4 */
void put_mail(struct text *, const struct job *, const struct session *, uint64_t wire_size);
void put_rcpt(struct text *, const struct job *, const struct session *, uint32_t rcpt);

/* ---- destination.c: next hops ---- */
struct hop {
	char host[256]; /* without brackets when literal */
	uint16_t port;
	bool mx;        /* look up mail exchangers */
};
/* "host", "[host]", "host:port", "[host]:service", "[IPv6:…]"; the next of a list separated by blanks and commas. 0: the list
 * is at its end; -1: malformed. Advances *list. */
int hop_next(const struct smtp *, const char **list, struct hop *, struct ost_why *);
/* A port number or a service name; 0: unknown. */
uint16_t port_number(const struct smtp_config *, const char *name);

#endif
