/* SPDX-License-Identifier: Apache-2.0
 * What Ostler's processes say to each other: message types, and the TLV fields of their bodies. A receiver skips fields
 * that it does not know. "group" is a field that holds fields (tlv_open). Numbers are u64. */
#ifndef IPC_PROTOCOL_H
#define IPC_PROTOCOL_H

#define IPC_PROTOCOL 1u /* any change that an older process would misread */

enum ipc_type {
	/* anybody that stores -> qmgr */
	M_HINT = 1,          /* the body is what spool's hint function was given */

	/* qmgr <-> resolve: several groups a message, answers in any order */
	M_RESOLVE = 10,      /* F_ASK groups { F_ID, F_ADDRESS, F_SENDER, F_KIND (enum resolve_ask) } */
	M_RESOLVED,          /* F_ANSWER groups { F_ID, F_VERDICT, F_TRANSPORT, F_NEXTHOP, F_ADDRESS, F_DSN, F_REASON } */
	M_VERIFIED,          /* qmgr -> resolve: F_RESULT groups { F_ADDRESS, F_STATUS (enum rcpt_status), F_REASON } of address
	                        probes; no answer */

	/* agent <-> qmgr */
	M_AGENT_HELLO = 20,  /* first: F_SERVICE, F_LIMIT (deliveries at once), F_FLIGHT groups { F_SERIAL, F_RCPT … }; with F_COUNT
	                        another one follows. Again with F_LIMIT 0: hand out nothing more */
	M_DELIVER,           /* F_ID, F_SERIAL, F_TICKET, F_NEXTHOP, F_QUEUE_ID, F_ACTIVE_SINCE (UTC us), F_RETRIED (enum
	                        retried), F_RCPT_GROUP groups { F_RCPT, F_ADDRESS } */
	M_DELIVERED,         /* F_ID, F_SERIAL, F_RECEIPT, F_RESULT groups { F_RCPT, F_STATUS, F_DSN, F_REASON, F_MTA, F_DIAGNOSTIC,
	                        F_FLAGS (OST_REPORT_*) }: sent when all of it is durable. F_GONE instead: the ticket led nowhere */

	/* qmgr <-> bounce */
	M_NOTICE = 30,       /* F_ID, F_SERIAL, F_ROUND, F_KIND, F_TICKET, F_RESULT groups (as above, F_ADDRESS) */
	M_NOTICED,           /* F_ID, F_GOOD (1: stored, or not to be made at all; 0: try again) */

	/* commands -> qmgr (over the instance's command socket) */
	M_QUEUE_LIST = 40,   /* -> M_QUEUE_ENTRY …, M_QUEUE_END */
	M_QUEUE_ENTRY,       /* F_QUEUE (active, deferred, hold, incoming), F_QUEUE_ID, F_ARRIVAL, F_SIZE, F_SENDER,
	                        F_RCPT_GROUP groups { F_ADDRESS, F_REASON } */
	M_QUEUE_END,
	M_QUEUE_FLUSH,       /* all; or F_QUEUE_ID; or F_SITE (destination domain) -> M_QUEUE_REPLY */
	M_QUEUE_CHANGE,      /* F_OP (enum queue_op), F_QUEUE_ID … or none for ALL, F_QUEUE restricts -> M_QUEUE_REPLY */
	M_QUEUE_REPLY,       /* F_GOOD, F_COUNT, F_REASON */

	/* sendmail -> pickup (public socket) */
	M_SUBMIT = 50,       /* envelope: F_SENDER, F_NAME, F_IDENTITY (the name that it would have in maildrop/; optional),
	                        F_DSN_*, F_FLAGS, F_ADDRESS …; repeated for more recipients */
	M_SUBMIT_DATA,       /* raw bytes */
	M_SUBMIT_END,        /* -> M_SUBMIT_REPLY */
	M_SUBMIT_REPLY,      /* F_GOOD, F_QUEUE_ID, F_REASON, F_STATUS (sysexits) */
	M_SUBMIT_TAKEN,      /* the client has it, and will not come again with that F_IDENTITY */

	/* agent <-> a user's child: deliver/userjob.h */
	M_JOBS = 60, M_JOBS_DONE,

	/* who is in a jail <-> proxymap: several questions under way, answers in any order */
	M_TABLE_ASK = 70,    /* F_ID, F_NAME ("hash:/etc/x"), F_KEY, F_DEADLINE (clock_mono()); without F_KEY the flags are asked for */
	M_TABLE_ANSWER,      /* F_ID, F_STATUS (enum table_status), F_FLAGS (OST_TABLE_*), F_VALUE, F_REASON */
	M_TABLE_CHANGED,     /* F_NAME: what it holds was replaced */

	/* process/ uses 100 and up for the master, broker and their clients */
	M_PROCESS_FIRST = 100,
};

enum ipc_field {
	F_ID = 1, F_SERIAL, F_TICKET, F_RECEIPT, F_QUEUE_ID, F_SENDER, F_ADDRESS, F_NEXTHOP, F_TRANSPORT, F_SERVICE, F_VERDICT,
	F_RCPT, F_RCPT_GROUP, F_RESULT, F_STATUS, F_DSN, F_REASON, F_MTA, F_DIAGNOSTIC, F_FLAGS, F_LIMIT, F_FLIGHT, F_GONE,
	F_ROUND, F_KIND, F_GOOD, F_COUNT, F_QUEUE, F_ARRIVAL, F_SIZE, F_SITE, F_OP, F_ASK, F_ANSWER, F_ACTIVE_SINCE, F_NAME,
	F_DSN_ENVID, F_DSN_NOTIFY, F_DSN_RET, F_IDENTITY, F_RETRIED, F_KEY, F_VALUE, F_DEADLINE,
	F_FIELD_FIRST_FREE = 200,
};

enum resolve_ask { ASK_ROUTE = 0, ASK_EXPAND, ASK_PROBE }; /* EXPAND: the answer has F_ADDRESS … by virtual_alias_maps */
enum resolve_verdict { RESOLVE_OK = 0, RESOLVE_DEFER, RESOLVE_BOUNCE }; /* the latter two with F_DSN and F_REASON */
enum table_status { TABLE_FOUND = 1, TABLE_NOTFOUND, TABLE_TEMPFAIL, TABLE_BAD, TABLE_DENIED };
enum notice_kind { NOTICE_FAILURE = 1, NOTICE_DELAY, NOTICE_SUCCESS, NOTICE_DOUBLE }; /* RFC 3464; DOUBLE: to postmaster */
enum retried { RETRIED_NOT, RETRIED, RETRIED_BESIDE }; /* it was tried before; and new mail comes meanwhile */
enum queue_op { QUEUE_DELETE = 1, QUEUE_HOLD, QUEUE_RELEASE, QUEUE_REQUEUE };

#endif
