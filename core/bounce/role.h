/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BOUNCE_ROLE_H
#define BOUNCE_ROLE_H

#include "process/worker.h"

extern const struct role role_bounce;

#endif
