/* SPDX-License-Identifier: Apache-2.0 */
#include "wrong.h"

WRONG_TABLE(wmajor);
WRONG_MODULE(wmajor, WRONG_HEAD(wmajor), .abi_major = OST_ABI_MAJOR + 1);
