/* SPDX-License-Identifier: Apache-2.0
 *
 * ostler/auth.h: SASL back ends of the SMTP server (since 1.4). The core speaks SMTP (RFC 4954) with the client; a module
 * decides who the client is. The instance's name (host->instance_name()) is the value of smtpd_sasl_path.
 *
 * Challenges and responses are base64 (RFC 4648 4), as SMTP carries them; the core has seen that a response is
 * well-formed. Answers go to struct ost_answer: host->answer() for the challenge or the login name, host->answer_why() for the
 * reason of a failure (one line, for the client and the log; none, when it is no business of theirs).
 */
#ifndef OSTLER_AUTH_H
#define OSTLER_AUTH_H

#include "ostler/module.h"
#include "ostler/table.h"

/* Properties of a mechanism, as smtpd_sasl_security_options names them. */
enum ost_auth_property {
	OST_AUTH_PLAINTEXT = 0x1,       /* the password passes in clear */
	OST_AUTH_ACTIVE = 0x2,          /* open to active attacks */
	OST_AUTH_DICTIONARY = 0x4,      /* open to passive dictionary attacks */
	OST_AUTH_ANONYMOUS = 0x8,       /* needs no login */
	OST_AUTH_FORWARD_SECRECY = 0x10,
	OST_AUTH_MUTUAL = 0x20,         /* the server proves who it is, too */
};

/* What is known of the session. Valid, with its strings, until the call returns: an exchange copies what it needs. */
struct ost_auth_session {
	uint32_t size;           /* of this struct */
	uint32_t without;        /* OST_AUTH_*: only mechanisms that have none of these */
	uint32_t with;           /* and all of these */
	bool encrypted;          /* by TLS */
	const char *service;     /* smtpd_sasl_service: "smtp" */
	const char *server_name; /* myhostname */
	const char *realm;       /* smtpd_sasl_local_domain; "": none */
	const char *client_address, *client_port; /* numeric; "": not known */
	const char *server_address, *server_port;
	const char *client_cert; /* the name in the client's verified certificate; NULL: there is none */
};

enum ost_auth {
	OST_AUTH_DONE = 0, /* the answer is the login name (of mechanisms(): the list) */
	OST_AUTH_CONTINUE, /* the answer is the challenge, may be empty */
	OST_AUTH_FAILED,   /* not this client; the answer may be the login that was tried, where that is known */
	OST_AUTH_TEMPFAIL, /* cannot tell: the client is asked to come again */
};

struct ost_auth_ops {
	struct ost_ops ops;
	/* The mechanisms that such a session may use, with blanks between them: OST_AUTH_DONE, or OST_AUTH_TEMPFAIL when they are
	 * not known. Asked at each EHLO. */
	enum ost_auth (*mechanisms)(void *self, const struct ost_auth_session *, int64_t deadline, struct ost_answer *);
	/* A client says AUTH. mechanism: in upper case, letters, digits, "-" and "_", one that mechanisms() has named. initial: its first
	 * response, NULL when it has sent none, "" when that is empty. *exchange may be left NULL unless the answer is OST_AUTH_CONTINUE. */
	enum ost_auth (*begin)(void *self, const struct ost_auth_session *, const char *mechanism, const char *initial, int64_t deadline, void **exchange, struct ost_answer *);
	/* The client's answer to the challenge. */
	enum ost_auth (*step)(void *self, void *exchange, const char *response, int64_t deadline, struct ost_answer *);
	/* Once for each exchange, however it ended: also when the client has gone. Does not wait. */
	void (*end)(void *self, void *exchange);
};

#endif
