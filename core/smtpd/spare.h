/* SPDX-License-Identifier: Apache-2.0
 * A descriptor kept in hand, so that clients are told to come again when there are no more for sessions. */
#ifndef SMTPD_SPARE_H
#define SMTPD_SPARE_H

#include <stdbool.h>

struct spare; /* of one process; any thread may use it */

/* myhostname is what the reply names; borrowed. */
struct spare *spare_new(const char *myhostname);
void spare_destroy(struct spare **);
/* After accept() failed with EMFILE or ENFILE: takes one client that waits on the (non-blocking) socket,
 * answers 421 (RFC 5321, 3.8) and closes. false: none could be taken, as another thread was quicker, no
 * client waits, or there is no spare now. */
bool spare_refuse(struct spare *, int listener);

#endif
