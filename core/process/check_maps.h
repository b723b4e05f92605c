/* SPDX-License-Identifier: Apache-2.0
 * Every table that the configuration mentions. */
#ifndef PROCESS_CHECK_MAPS_H
#define PROCESS_CHECK_MAPS_H

#include "config/config.h"

/* Opens each "type:name" of the parameters of main.cf and of the services' -o, once, and tells what cannot be
 * used. */
typedef void check_tell_fn(void *ctx, enum finding_grade, const char *text);
void check_maps(const struct config *, check_tell_fn *, void *ctx);

#endif
