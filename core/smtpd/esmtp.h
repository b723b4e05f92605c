/* SPDX-License-Identifier: Apache-2.0
 * ESMTP parameters of MAIL and RCPT (RFC 1870, RFC 6152, RFC 3461). */
#ifndef SMTPD_ESMTP_H
#define SMTPD_ESMTP_H

#include "smtpd/command.h"

struct rcpt_params {
	unsigned notify;   /* NOTIFY_* */
	const char *orcpt; /* "type;address", decoded, in the transaction's arena; NULL: not given */
};

/* Into the transaction; false: a reply has been queued. */
bool esmtp_mail_params(struct session *, const struct words *);
bool esmtp_rcpt_params(struct session *, const struct words *, struct rcpt_params *);

/* RFC 3461 xtext: decodes into out (terminated), which has room for len + 1 bytes. False: not xtext, or what comes out is
 * not printable ASCII. */
bool xtext_decode(const char *text, size_t len, char *out);

#endif
