/* SPDX-License-Identifier: Apache-2.0
 * The roles of this folder, for the program's table of roles. */
#ifndef DELIVER_ROLE_H
#define DELIVER_ROLE_H

#include "process/worker.h"

extern const struct role role_agent; /* a delivery agent: the master.cf line's command is the transport module */
extern const struct role role_user;  /* a user's child: started by the broker, runs the second half of a transport */

#endif
