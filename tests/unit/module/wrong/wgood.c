/* SPDX-License-Identifier: Apache-2.0 */
#include "wrong.h"

/* Nothing is wrong with this one: the tests change its file's owner and mode. */
WRONG_TABLE(wgood);
WRONG_MODULE(wgood, WRONG_HEAD(wgood));
