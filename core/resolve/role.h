/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RESOLVE_ROLE_H
#define RESOLVE_ROLE_H

#include "process/worker.h"

extern const struct role role_resolve;

#endif
