/* SPDX-License-Identifier: Apache-2.0 */
#include "wrong.h"

extern int a_symbol_that_nobody_has(void);

static bool load(const struct ost_host *host, struct ost_why *why)
{
	(void)why;
	return host && a_symbol_that_nobody_has();
}

WRONG_TABLE(wundef);
WRONG_MODULE(wundef, WRONG_HEAD(wundef), .load = load);
