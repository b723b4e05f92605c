/* SPDX-License-Identifier: Apache-2.0
 * The open-files limit, which processes inherit. */
#ifndef PROCESS_LIMITS_H
#define PROCESS_LIMITS_H

#include "config/config.h"

/* Raises it to what smtpd_session_limit of the services needs (0: as far as the system allows); logs a
 * warning when the system refuses. */
void limits_raise_files(const struct config *);

#endif
