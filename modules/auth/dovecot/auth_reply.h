/* SPDX-License-Identifier: Apache-2.0
 * Lines of Dovecot's authentication protocol for clients (its auth-protocol.txt, version 1): fields with tabs between them. */
#ifndef DOVECOT_AUTH_REPLY_H
#define DOVECOT_AUTH_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum auth_line {
	LINE_OTHER = 0, /* one that is passed over: of a later version, or of no interest */
	LINE_BAD,       /* no line of this protocol, or of another major version */
	LINE_VERSION,   /* 1.x */
	LINE_MECH,
	LINE_SPID,
	LINE_DONE,
	LINE_OK, LINE_CONT, LINE_FAIL, /* answers to a request */
};

/* What a line says. Texts point into the line, which was taken apart, or are "". */
struct auth_reply {
	enum auth_line kind;
	uint32_t id;            /* OK, CONT, FAIL: of the request */
	const char *challenge;  /* CONT: base64 */
	const char *user, *reason; /* OK, FAIL */
	bool temporary;         /* FAIL: not the client's fault */
	const char *mechanism;  /* MECH */
	uint32_t properties;    /* OST_AUTH_* */
	bool hidden;            /* for Dovecot itself */
};

/* The line is terminated and is changed. */
void auth_parse(char *line, struct auth_reply *);

#endif
