/* SPDX-License-Identifier: Apache-2.0 */
#include "wrong.h"

WRONG_TABLE(wname);
WRONG_MODULE(wname, WRONG_HEAD(wname), .name = "another");
