/* SPDX-License-Identifier: Apache-2.0 */
#include "command/instance.h"

#include <stdio.h>

#include "command/command.h"

struct config *instance_read(struct findings *findings)
{
	struct findings *own = findings ? findings : findings_new();
	struct config *c = config_read(command_config_dir(), NULL, own);
	const struct finding *list;
	size_t n = findings_count(own, &list);
	for (size_t i = 0; i < n && !c; i++)
		fprintf(stderr, "ostler: fatal: %s\n", list[i].text);
	if (!findings)
		findings_destroy(&own);
	return c;
}
