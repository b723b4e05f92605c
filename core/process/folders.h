/* SPDX-License-Identifier: Apache-2.0
 * The folders of an instance, made at its first start. */
#ifndef PROCESS_FOLDERS_H
#define PROCESS_FOLDERS_H

#include "base/why.h"
#include "config/view.h"

/* Makes what is missing, with its owner and mode, and refuses what belongs to the wrong user. rootless: all
 * is the caller's. */
bool folders_prepare(const struct cfg_view *, bool rootless, struct ost_why *);

#endif
