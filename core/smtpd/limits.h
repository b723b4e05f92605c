/* SPDX-License-Identifier: Apache-2.0
 * anvil(8)'s limits: how often a client, or its network, may do something in anvil_rate_time_unit, over all workers. Replies and
 * log lines are Postfix's. */
#ifndef SMTPD_LIMITS_H
#define SMTPD_LIMITS_H

#include <arpa/inet.h>

#include "smtpd/session.h"

void limits_read(struct client_limits *, const struct cfg_view *);
/* Once the client's name is known: is it one of smtpd_client_event_limit_exceptions? */
void limits_begin(struct session *);
/* Whom the limits count: the service and the address, cut to the prefix length. Lives as long as the session. */
const char *limits_key(struct session *);
/* The network of an address: its first bits, the others 0. A text that is no address of the family stays as it is. */
const char *limits_network(char out[INET6_ADDRSTRLEN], int family, const char *text, int bits);
/* Counts one event: how many the client has had, 0 when nothing is counted. */
unsigned limits_count(struct session *, enum limit_kind);
/* false: so many are too many; the reply is queued and the log line written. */
bool limits_allow(struct session *, enum limit_kind, unsigned count);
static inline bool limits_pass(struct session *s, enum limit_kind kind)
{
	return limits_allow(s, kind, limits_count(s, kind));
}

#endif
