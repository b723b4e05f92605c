/* SPDX-License-Identifier: Apache-2.0
 * Going through maildrop/: what sendmail(1) left there while the mail system was down. */
#ifndef PICKUP_SCAN_H
#define PICKUP_SCAN_H

#include "pickup/intake.h"

/* Takes in every complete file of the folder. A file is removed only when its message is durable, or when it is none. */
void maildrop_scan(const struct post *, const char *folder);
/* At the start: the spool remembers the names of files that it has stored, so that none is stored twice; those whose file
 * is gone for good are forgotten, an hour later. */
void maildrop_forget_gone(struct spool *, const char *folder);

#endif
