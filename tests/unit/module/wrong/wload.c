/* SPDX-License-Identifier: Apache-2.0 */
#include "wrong.h"

static bool load(const struct ost_host *host, struct ost_why *why)
{
	return host->why(why, "the library says\x1b no");
}

WRONG_TABLE(wload);
WRONG_MODULE(wload, WRONG_HEAD(wload), .load = load);
