/* SPDX-License-Identifier: Apache-2.0
 * ostler check */
#include <unistd.h>

#include "command/command.h"
#include "command/instance.h"
#include "process/check.h"
#include "process/duties.h"

static void ignore_plan(void *ctx, const struct duty_plan *plan)
{
	(void)ctx;
	(void)plan;
}

int cmd_check(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	struct findings *findings = findings_new();
	struct ost_why why;
	struct config *c = instance_read(findings);
	if (c) {
		config_check(c, findings);
		duties_plan(c, geteuid() != 0, ignore_plan, NULL, findings);
		int snapshot = config_snapshot(c, &why);
		if (snapshot >= 0)
			check_instance(c, snapshot, findings);
		else
			findings_add(findings, FINDING_FATAL, "%s", why.text);
		check_print(findings);
	}
	int status = !c || findings_fatal(findings) ? 1 : 0;
	config_destroy(&c);
	findings_destroy(&findings);
	return status;
}
