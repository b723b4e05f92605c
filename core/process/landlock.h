/* SPDX-License-Identifier: Apache-2.0
 * Which paths a sealed process may still open (descriptors that it has already stay usable). */
#ifndef PROCESS_LANDLOCK_H
#define PROCESS_LANDLOCK_H

#include "process/sandbox.h"

bool landlock_seal(const struct sandbox *, struct ost_why *);

#endif
