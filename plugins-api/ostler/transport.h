/* SPDX-License-Identifier: Apache-2.0
 *
 * ostler/transport.h: delivery. An agent process runs one transport module; a master.cf `unix` line whose command is the
 * transport's name declares it. deliver() runs unprivileged, in a thread that is its own until it returns.
 */
#ifndef OSTLER_TRANSPORT_H
#define OSTLER_TRANSPORT_H

#include "ostler/module.h"

struct ost_delivery_rcpt {
	const char *address;  /* local@domain, internal form */
	const char *original; /* as the client gave it; never NULL */
	const char *orcpt;    /* RFC 3461 ORCPT "type;address", decoded; NULL: none */
	uint32_t notify;      /* RFC 3461: 1 NEVER, 2 SUCCESS, 4 FAILURE, 8 DELAY; 0: not given */
	uint32_t spare;
};

#define OST_MSG_8BITMIME   0x1u
#define OST_MSG_SMTPUTF8   0x2u
#define OST_MSG_REQUIRETLS 0x4u
/* An address probe (since 1.4): everything is done but the delivery, and reported as if it had been. host->as_user() and
 * host->forward() do nothing for it, and say that it was done; what a transport does by itself it must leave out. Only seen by
 * modules with OST_TRANSPORT_PROBES. */
#define OST_MSG_PROBE      0x40u

/* One message for one destination. All members are the core's and constant for the module. */
struct ost_delivery {
	uint32_t size;        /* of this struct: members are only added at the end */
	uint32_t flags;       /* OST_MSG_* */
	const char *queue_id;
	const char *sender;   /* internal form, "" is <> */
	const char *nexthop;  /* what follows the transport's name: "[host]:port", "example.org", the error text … */
	const char *envid;    /* RFC 3461, decoded; NULL: none */
	uint32_t ret;         /* RFC 3461: 0 not given, 1 FULL, 2 HDRS */
	uint32_t nrcpts;
	const struct ost_delivery_rcpt *rcpts;
	uint64_t content_size; /* bytes as stored (lines end in LF) */
	int64_t arrival;      /* UTC microseconds */
	int64_t deadline;     /* host->now(): the call should have returned by then */
	struct ost_instance *instance;
};

enum ost_delivered {
	OST_SENT = 1,     /* durable at the receiver's: mailbox synced, or the remote said 2xx */
	OST_DEFERRED = 2, /* try again later; dsn 4.x.x */
	OST_BOUNCED = 3,  /* never; dsn 5.x.x */
};

struct ost_report {
	uint32_t size;
	enum ost_delivered status;
	const char *dsn;        /* "2.0.0" */
	const char *text;       /* one line for log and notices; the core cleans it */
	const char *relay;      /* for the log's relay=: "host[address]:port", "virtual", NULL: none */
	const char *mta;        /* the remote's name, for notices' Remote-MTA; NULL: none */
	const char *diagnostic; /* what the remote said, for notices' Diagnostic-Code ("550 5.1.1 …"); NULL: none */
	uint32_t flags;         /* OST_REPORT_* */
	uint32_t uses;          /* deliveries over this connection so far, for the log's conn_use=; 0: not told */
};
#define OST_REPORT_RELAYED_NO_DSN 0x1u /* sent to a server without DSN: with NOTIFY=SUCCESS the core tells "relayed" */
#define OST_REPORT_DSN_PASSED_ON  0x2u /* the remote takes over NOTIFY */
#define OST_REPORT_DESTINATION    0x4u /* deferred because of the destination (no connection), not the recipient */

/* A message that goes on to other recipients: host->forward(). */
struct ost_forward {
	uint32_t size;
	uint32_t rcpt;             /* of the delivery: whose ORCPT, NOTIFY and original address are kept */
	const char *sender;        /* internal form */
	const char *const *rcpts;  /* internal form, with a domain */
	size_t nrcpts;
	const char *prepend;       /* header lines, LF at each end, in front of the message: Received, Delivered-To */
};

/* ---- steps as a user ------------------------------------------------------------------------------------------- */

enum ost_user_kind {
	OST_USER_NAMED = 1, /* a system user by name: local(8). uid, gid, home are the system's */
	OST_USER_IDS = 2,   /* uid and gid from tables: virtual(8). The core enforces virtual_minimum_uid and the base */
};

struct ost_user_request {
	uint32_t size;
	enum ost_user_kind kind;
	const char *name;     /* OST_USER_NAMED */
	uint32_t uid, gid;    /* OST_USER_IDS */
	const char *path;     /* OST_USER_IDS: what is to be written, beneath virtual_mailbox_base; OST_USER_NAMED: relative to the
	                       * home folder, or an absolute path directly in mail_spool_directory (opened and locked by
	                       * the broker, as a descriptor for the job) */
	const void *args;     /* the module's own bytes for its second half, at most 32 KiB */
	size_t args_len;
	struct ost_delivery *delivery; /* whose message it is, of those that this call of deliver() has; NULL: as_user()'s own
					* (since 1.1) */
};

struct ost_user_done {
	uint32_t size;
	enum ost_delivered status;
	char dsn[12];
	char text[400];
};

/* One job, where it is done: in the child that has become the user (rootless: in the agent itself). */
struct ost_user_job {
	uint32_t size;
	int message_fd;          /* read-only, content starts at message_offset; -1: it is in memory */
	const char *message;     /* the content in memory, or NULL: in message_fd */
	uint64_t message_offset, message_size;
	const char *queue_id;
	const void *args;
	size_t args_len;
	const char *home;        /* OST_USER_NAMED: home folder; OST_USER_IDS: virtual_mailbox_base */
	int home_fd;             /* that folder, O_PATH, to open paths beneath it; -1: it cannot be opened */
	int home_error;          /* then: errno of open(2) */
	const char *path;        /* as in the request */
	uint32_t uid, gid;
	int spool_fd;            /* a mailbox in mail_spool_directory, opened and locked by the broker; -1: none */
	/* Set by user_write(): what the core syncs before user_publish(); -1: nothing. Closed by the core. */
	int file_fd;
	/* Set by user_publish(): the folder that the core syncs before the result counts; -1: nothing. Closed by the core. */
	int dir_fd;
	void *state;             /* the module's own, from user_write() to user_publish(), or user_settle() where there is one */
	struct ost_user_done done; /* preset to OST_SENT 2.0.0; set another status on failure */
	/* Of what is in message_fd: OST_FORM_*. message_size is the size with LF line ends in any case. Stands where padding was,
	 * so that a job is as large as before. (since 1.3) */
	uint32_t message_form;
};
#define OST_FORM_LF   0u /* LF line ends: always, for a module without OST_TRANSPORT_WIRE */
#define OST_FORM_WIRE 1u /* as SMTP carries it: ostler/wireform.h */

struct ost_transport_ops {
	struct ost_ops ops;
	/* Reports each recipient once (host->report); whom nobody reports is deferred. May set up and keep connections
	 * between calls in *self. */
	void (*deliver)(void *self, struct ost_delivery *);
	/* Optional: see above. Runs in a child that holds nothing but its job socket; config is as for open(), self is not
	 * there. Several threads may be in these calls, with different jobs. user_publish() gets every job: those with
	 * done.status OST_SENT are to be published, the others (they failed, or their sync did) are to be undone. */
	void (*user_write)(const void *config, struct ost_user_job *jobs, size_t n);
	void (*user_publish)(const void *config, struct ost_user_job *jobs, size_t n);
	/* Optional: called now and then (about once a second) by one thread, for closing idle connections. */
	void (*idle)(void *self);
	/* Optional, since 1.1: after the folders were synced, for every job. Those whose status is OST_SENT stay; of the others
	 * what user_publish() made is taken back. A module that has it keeps `state` until here, and frees it here. */
	void (*user_settle)(const void *config, struct ost_user_job *jobs, size_t n);
};
#define OST_TRANSPORT_SERIAL_DESTINATION 0x1u /* ops.flags: one delivery at a time to one nexthop is the default */
#define OST_TRANSPORT_TOGETHER           0x2u /* ops.flags: deliver() takes along what waits (host->next), and does it in one go:
					       * let some wait (since 1.1) */
#define OST_TRANSPORT_PROBES             0x8u /* ops.flags: deliver() looks at OST_MSG_PROBE, or acts through the host alone. Without it,
					       * whom a probe asks for is taken to be there (since 1.4) */
#define OST_TRANSPORT_WIRE               0x4u /* ops.flags: user_write() looks at message_form (since 1.3) */

#endif
