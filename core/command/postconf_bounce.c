/* SPDX-License-Identifier: Apache-2.0 */
#include "command/postconf.h"
int postconf_bounce(const struct postconf *p, char **files)
{
	(void)files;
	return postconf_fatal(p, "not yet");
}
