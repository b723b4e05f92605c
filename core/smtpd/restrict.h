/* SPDX-License-Identifier: Apache-2.0
 * The restriction lists, as the session runs them. Each check answers true to go on; false: s->verdict.reply holds the
 * reply, which has been logged. */
#ifndef SMTPD_RESTRICT_H
#define SMTPD_RESTRICT_H

#include "smtpd/session.h"

/* Parses all lists of the view once. Mistakes go to findings (may be NULL); false: a fatal one, in *why. */
struct restrictions *restrictions_open(const struct cfg_view *, const struct config *, struct findings *, struct ost_why *);
void restrictions_close(struct restrictions **);

bool restrict_connect(struct session *);
bool restrict_helo(struct session *);
bool restrict_mail(struct session *);
/* address: the recipient in internal form. With smtpd_delay_reject the earlier lists run here too. */
bool restrict_rcpt(struct session *, const char *address);
bool restrict_data(struct session *);
bool restrict_end_of_data(struct session *);
bool restrict_etrn(struct session *, const char *domain);
/* VRFY: is the address known? Relaying does not matter. */
bool restrict_vrfy(struct session *, const char *address);

/* Is the client in a list of networks? A failing table counts as no. */
bool restrict_client_listed(struct session *, const struct matchlist *);
bool restrict_local_rewrite(struct session *); /* local_header_rewrite_clients */
void restrict_session_end(struct session *);   /* tells the modules that keep something for the session */
void restrict_install_host(void);              /* mod_host_set_session() */

void verdict_free(struct verdict *);

/* ---- log.c ---- */
/* "NOQUEUE: reject: RCPT from …: TEXT; from=<> to=<> proto=ESMTP helo=<x>" */
void log_whatsup(const struct session *, const char *what, const char *text);
enum { LOG_ESCAPED_SHOWN = 100, LOG_ESCAPED_ROOM = 4 * LOG_ESCAPED_SHOWN + 8 };
/* The first LOG_ESCAPED_SHOWN bytes of a client's input for the log, control bytes as C writes them: \r, \n, \ooo. */
const char *log_escaped(char out[LOG_ESCAPED_ROOM], const char *text, size_t len);

#endif
