/* SPDX-License-Identifier: Apache-2.0 */
#include "config/internal.h"

void config_check(const struct config *c, struct findings *findings)
{
	CHECK_MAGIC(c, CONFIG_MAGIC);
	(void)findings;
}
