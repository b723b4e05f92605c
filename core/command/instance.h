/* SPDX-License-Identifier: Apache-2.0
 * The configuration of a command's instance. */
#ifndef COMMAND_INSTANCE_H
#define COMMAND_INSTANCE_H

#include "config/config.h"

/* Reads the folder of this call; says what keeps it from being read, and answers NULL then. Findings may be
 * NULL. */
struct config *instance_read(struct findings *);

#endif
