/* SPDX-License-Identifier: Apache-2.0
 * The roles, each defined in its own folder. */
#ifndef PROCESS_ROLES_H
#define PROCESS_ROLES_H

#include "process/worker.h"

extern const struct role role_agent;   /* deliver/ */
extern const struct role role_bounce;  /* bounce/ */
extern const struct role role_broker;  /* process/broker.c */
extern const struct role role_check;   /* process/check_role.c */
extern const struct role role_lookup;  /* process/lookup.c */
extern const struct role role_pickup;  /* pickup/ */
extern const struct role role_proxymap; /* proxymap/ */
extern const struct role role_qmgr;    /* qmgr/ */
extern const struct role role_resolve; /* resolve/ */
extern const struct role role_smtpd;   /* smtpd/ */
extern const struct role role_user;    /* deliver/ */

#endif
