/* SPDX-License-Identifier: Apache-2.0
 * ostler start, start-fg */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "command/command.h"
#include "config/config.h"
#include "process/guardian.h"
#include "process/keepsake.h"
#include "process/lock.h"
#include "process/master.h"

/* The lock of the instance, for guardian and master together. -1: there is something wrong, which the master
 * finds as well and reports with everything else. */
static int take_lock(void)
{
	struct findings *findings = findings_new();
	struct ost_why why;
	struct config *c = config_read(command_config_dir(), NULL, findings);
	int fd = c ? lock_take(config_main_view(c), &why) : -1;
	config_destroy(&c);
	findings_destroy(&findings);
	return fd;
}

/* What whoever starts the system had open is not for processes that stay: a pipe would never see its end. */
static void close_inherited(void)
{
	syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
}

/* In the process that stays: a guardian, which starts the master. */
static int stay(int lock, int report, bool foreground)
{
	struct guardian_options guardian = { .config_dir = command_config_dir(),
					     .foreground = foreground,
					     .report_fd = report,
					     .lock_fd = lock,
					     .keepsake_fd = keepsake_new() };
	struct master_options alone = { .config_dir = command_config_dir(),
					.foreground = foreground,
					.report_fd = report,
					.lock_fd = -1,
					.keepsake_fd = -1 };
	umask(022);
	return lock < 0 ? master_run(&alone) : guardian_run(&guardian);
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
	close_inherited();
	if (pipe2(report, O_CLOEXEC) < 0) {
		perror("ostler: pipe");
		return 1;
	}
	int lock = take_lock();
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		close(report[0]);
		setsid();
		return stay(lock, report[1], false);
	}
	close(report[1]);
	io_close(&lock);
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
	close_inherited();
	return stay(take_lock(), -1, true);
}
