/* SPDX-License-Identifier: Apache-2.0
 * host->forward(): a message that local delivery sends on to other recipients is submitted anew, so that it passes the same
 * cleanup as any other. */
#ifndef DELIVER_FORWARD_H
#define DELIVER_FORWARD_H

#include "deliver/delivery.h"

/* True when the new message is on stable storage. */
bool forward_message(struct delivery *, const struct ost_forward *, char queue_id[24], struct ost_why *);

#endif
