/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QMGR_ROLE_H
#define QMGR_ROLE_H

#include "process/worker.h"

extern const struct role role_qmgr;

#endif
