/* SPDX-License-Identifier: Apache-2.0 */
#include "wrong.h"

WRONG_TABLE(wmagic);
WRONG_MODULE(wmagic, WRONG_HEAD(wmagic), .magic = 0x12345678u);
