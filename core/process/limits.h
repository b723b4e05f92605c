/* SPDX-License-Identifier: Apache-2.0
 * The open-files limit, which processes inherit, and the memory of those that run modules. */
#ifndef PROCESS_LIMITS_H
#define PROCESS_LIMITS_H

#include "config/config.h"

/* Raises it to what smtpd_session_limit of the services needs (0: as far as the system allows); logs a
 * warning when the system refuses. */
void limits_raise_files(const struct config *);

/* For a process that runs modules, while it still is who has started it: ostler_worker_memory_limit holds from now on, and
 * the system's memory running out ends such processes before those that keep the queue. */
void limits_memory(const struct cfg_view *);

#endif
