/* SPDX-License-Identifier: Apache-2.0
 * Address probes: messages that are not delivered, only tried. They have one round; what it came to is told to resolve, which keeps
 * the cache of verified addresses. */
#ifndef QMGR_VERIFY_H
#define QMGR_VERIFY_H

struct qmgr;
struct message;

void verify_tell(struct qmgr *, const struct message *);

#endif
