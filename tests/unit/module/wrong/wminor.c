/* SPDX-License-Identifier: Apache-2.0 */
#include "wrong.h"

WRONG_TABLE(wminor);
WRONG_MODULE(wminor, WRONG_HEAD(wminor), .abi_minor = OST_ABI_MINOR + 1);
