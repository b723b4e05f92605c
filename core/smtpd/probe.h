/* SPDX-License-Identifier: Apache-2.0
 * Address probes: messages without content that the delivery agents take to the door and not in (sender and recipient address
 * verification). What they find comes back by the cache of verified addresses (resolve/verify.h). */
#ifndef SMTPD_PROBE_H
#define SMTPD_PROBE_H

#include "resolve/verify.h"
#include "smtpd/server.h"

/* What is known of the address by now; a probe is sent when it is time for one, and waited for, but not for longer than
 * address_verify_poll_count times address_verify_poll_delay. False: it cannot be told. Waits. */
bool probe_address(struct server *, struct arena *, const char *address, struct verify_entry *);
/* The sender of probes at that time: address_verify_sender, with the time in its local part as address_verify_sender_ttl says. */
const char *probe_sender(const struct server *, struct arena *, int64_t unix_time);

#endif
