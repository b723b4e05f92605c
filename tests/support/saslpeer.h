/* SPDX-License-Identifier: Apache-2.0
 * Servers behind SASL back ends, for peer_start(): each knows one user, "known" with the password "secret". */
#ifndef SUPPORT_SASLPEER_H
#define SUPPORT_SASLPEER_H

#include "tests/support/peer.h"

/* The same in base64, as clients send it. */
#define SASL_PLAIN_RIGHT "AGtub3duAHNlY3JldA==" /* NUL known NUL secret */
#define SASL_PLAIN_WRONG "AGtub3duAHdyb25n"     /* NUL known NUL wrong */
#define SASL_USER        "a25vd24="             /* known */
#define SASL_PASSWORD    "c2VjcmV0"             /* secret */
#define SASL_NO_PASSWORD "d3Jvbmc="             /* wrong */

struct sasl_peer { /* the server's ctx; NULL: as if all were empty */
	const char *hello;  /* in place of the handshake */
	const char *answer; /* in place of what it would say to AUTH; one %s is the request's number */
	int pause_ms;       /* before a refusal, as Dovecot pauses */
	char *seen;         /* room of SASL_PEER_SEEN bytes for the AUTH lines; NULL */
};
enum { SASL_PEER_SEEN = 8192 };

void peer_serve_dovecot(void *ctx, int fd);   /* an auth-client socket: PLAIN and LOGIN */
void peer_serve_saslauthd(void *ctx, int fd); /* one question each */

#endif
