/* SPDX-License-Identifier: Apache-2.0
 * The policy delegation protocol (SMTPD_POLICY_README of Postfix): lines of name=value, an empty line at the end. */
#ifndef POLICY_PROTOCOL_H
#define POLICY_PROTOCOL_H

#include <stdbool.h>

#include "ostler/host.h"
#include "shared/text_buf.h"

/* What is asked about a session; the texts that are no session's are given. */
void policy_request(struct text_buf *, const struct ost_host *, const struct ost_session *, const char *context,
		    const char *compatibility_level, const char *mail_version);

enum { POLICY_LINES_MAX = 100 };

struct policy_reply {     /* starts as { 0 } */
	unsigned lines;
	bool over;        /* the empty line was there */
	char action[2048]; /* "": none yet */
};
/* Takes one line, terminated, without its end. False with the reason: this is no reply. The first action counts. */
bool policy_take_line(struct policy_reply *, const struct ost_host *, const char *line, struct ost_why *);

#endif
