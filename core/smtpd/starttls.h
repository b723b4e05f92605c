/* SPDX-License-Identifier: Apache-2.0
 * What a server needs for TLS: its parameters, its keys. */
#ifndef SMTPD_STARTTLS_H
#define SMTPD_STARTTLS_H

#include "smtpd/server.h"

/* The levels and switches; false: *why names the parameter. */
bool starttls_read(struct server *, const struct cfg_view *, struct ost_why *why);
/* Keys and certificates; open() as in struct tls_server_options. What cannot be used is logged, and the server is without TLS:
 * STARTTLS is answered with 454. */
void starttls_open(struct server *, int (*open)(void *ctx, const char *path, struct ost_why *), void *ctx);
/* The same again, for handshakes from now on, while sessions run; what cannot be used is logged, and all stays as it is. */
void starttls_renew(struct server *, int (*open)(void *ctx, const char *path, struct ost_why *), void *ctx);
/* What `ostler check` says of one line of master.cf. Keys that it may not read are not judged. */
void starttls_check(const struct cfg_view *, struct findings *);

#endif
