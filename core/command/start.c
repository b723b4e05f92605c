/* SPDX-License-Identifier: Apache-2.0
 * ostler start, start-fg */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command/command.h"
#include "process/master.h"

/* In the process that stays: a session of its own, then the master. */
static int be_the_master(int report)
{
	struct master_options options = { .config_dir = command_config_dir(), .report_fd = report };
	setsid();
	return master_run(&options);
}

/* Waits until the master says that all is up, or ends. */
static int wait_for_report(int report, pid_t pid)
{
	unsigned char status = 1;
	ssize_t n;
	while ((n = read(report, &status, 1)) < 0 && errno == EINTR)
		;
	if (n == 1)
		return status;
	waitpid(pid, NULL, 0);
	return 1;
}

int cmd_start(int argc, char **argv)
{
	int report[2];
	(void)argc;
	(void)argv;
	if (pipe2(report, O_CLOEXEC) < 0) {
		perror("ostler: pipe");
		return 1;
	}
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		close(report[0]);
		return be_the_master(report[1]);
	}
	close(report[1]);
	if (pid < 0) {
		perror("ostler: fork");
		return 1;
	}
	return wait_for_report(report[0], pid);
}

int cmd_start_fg(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return master_run(&(struct master_options){
		.config_dir = command_config_dir(), .foreground = true, .report_fd = -1 });
}
