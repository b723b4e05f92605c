/* SPDX-License-Identifier: Apache-2.0
 * Links that other processes open to qmgr: what they are for is told by their first message. */
#ifndef QMGR_INBOUND_H
#define QMGR_INBOUND_H

#include "ipc/link.h"

struct qmgr;

/* Another process of this system (the master's word): hints, or an agent. detail: "role name pid". */
void inbound_peer(struct qmgr *, int fd, const char *detail);
/* Somebody at the public socket: a command, whose rights are those of its user. */
void inbound_command(struct qmgr *, int fd);

#endif
