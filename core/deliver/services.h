/* SPDX-License-Identifier: Apache-2.0
 * What the host offers to transports (ostler/host.h), as this folder does it. */
#ifndef DELIVER_SERVICES_H
#define DELIVER_SERVICES_H

struct agent;

/* Puts them in place of the host's stand-ins; before modules are loaded. One agent per process. */
void services_register(struct agent *);

#endif
