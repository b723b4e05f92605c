/* SPDX-License-Identifier: Apache-2.0
 * Which paths a sealed process may still open (descriptors that it has already stay usable). */
#ifndef PROCESS_LANDLOCK_H
#define PROCESS_LANDLOCK_H

#include "process/sandbox.h"

enum landlock_part {
	LANDLOCK_WHOLE,
	LANDLOCK_WRITING, /* reading stays free */
};
bool landlock_seal(const struct sandbox *, enum landlock_part, struct ost_why *);

#endif
