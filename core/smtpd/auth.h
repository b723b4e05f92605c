/* SPDX-License-Identifier: Apache-2.0
 * AUTH (RFC 4954): who the client says it is, and the module of kind `auth` that knows whether it is. */
#ifndef SMTPD_AUTH_H
#define SMTPD_AUTH_H

#include "smtpd/session.h"

struct auth; /* what all sessions of a server share; constant */

/* NULL: smtpd_sasl_auth_enable = no. A module that cannot be opened is logged; AUTH then answers "try again later". */
struct auth *auth_open(const struct cfg_view *);
void auth_close(struct auth **);
/* For `ostler check`: what is wrong with the back end of a view, as a finding that forbids a start. */
void auth_check(const struct cfg_view *, struct findings *);

/* ---- a session's part ---- */
bool auth_enabled(const struct session *); /* for this client at all: AUTH is a command, AUTH= a parameter of MAIL */
/* The mechanisms that are announced now, behind `before`; false: none. May wait. */
bool auth_announce(const struct session *, const char *before, struct buf *out);
bool auth_announce_old(const struct session *, struct buf *out); /* the same for broken_sasl_auth_clients */
bool auth_under_way(const struct session *); /* the next line is the client's answer to a challenge */
/* That answer, without its line end; too_long: cut. May wait. */
void auth_answer(struct session *, const char *line, size_t len, bool too_long);
/* How long the line that begins so may be. */
size_t auth_line_limit(const struct session *, const char *line, size_t len);
/* Logged in? NULL: no. Clean for logs and headers. */
const char *auth_user(const struct session *);
const char *auth_method(const struct session *);
bool auth_known(const struct session *); /* logged in, and not anonymously */
bool auth_in_header(const struct session *); /* smtpd_sasl_authenticated_header */
/* For cleanup: the transaction (ctx) learns whom its message claims to be from. */
void login_note_from(void *ctx, const char *body, size_t len);
/* Nobody is logged in any more, and nobody is about to be: STARTTLS, and the end of the session. */
void auth_reset(struct session *);

#endif
