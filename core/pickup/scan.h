/* SPDX-License-Identifier: Apache-2.0
 * Going through maildrop/: what sendmail(1) left there while the mail system was down. */
#ifndef PICKUP_SCAN_H
#define PICKUP_SCAN_H

#include "pickup/intake.h"

/* Takes in every complete file of the folder. A file is removed only when its message is durable, or when it is none. */
void maildrop_scan(const struct post *, const char *folder);

#endif
