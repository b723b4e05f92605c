/* SPDX-License-Identifier: Apache-2.0
 * Delivery status notifications: how qmgr and bounce speak of them, and which are wanted. */
#ifndef BOUNCE_NOTICE_H
#define BOUNCE_NOTICE_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/protocol.h"
#include "spool/message.h"

/* A round of a message may make several notices (of failure to the sender, of delay, a copy to the postmaster
 * …), each of which is stored once: under (serial of the message, this number). */
enum { NOTICE_POSTMASTER_COPY = 4, NOTICE_ROUND_STEP = 8 };
static inline uint32_t notice_round(uint32_t round, enum notice_kind kind, bool postmaster_copy)
{
	return round * NOTICE_ROUND_STEP + (uint32_t)kind + (postmaster_copy ? NOTICE_POSTMASTER_COPY : 0);
}

/* M_NOTICE: F_FLAGS has this bit when more results of the same F_ID follow in another message. */
enum { NOTICE_MORE = 1 };

/* Does the recipient's NOTIFY (RFC 3461 4.1) ask for, or allow, a notice of this kind? */
static inline bool notice_wanted(enum notice_kind kind, uint32_t notify)
{
	switch (kind) {
	case NOTICE_SUCCESS:
		return notify & NOTIFY_SUCCESS;
	case NOTICE_DELAY:
		return notify == 0 || notify & NOTIFY_DELAY;
	case NOTICE_FAILURE:
	case NOTICE_DOUBLE:
	default:
		return notify == 0 || notify & NOTIFY_FAILURE;
	}
}

#endif
