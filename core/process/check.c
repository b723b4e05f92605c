/* SPDX-License-Identifier: Apache-2.0 */
#include "process/check.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "process/control.h"
#include "process/filesystem.h"
#include "process/lock.h"
#include "process/open_for.h"
#include "process/paths.h"
#include "process/privileges.h"
#include "process/spawn.h"
#include "process/watchdog.h"

enum { CHILD_SECONDS = 120 };

/* ---- the checking child -------------------------------------------------------------------------------------- */

struct check_child {
	const struct config *config;
	pid_t pid; /* 0: has been waited for */
	struct ipc_link *link;
	bool done; /* it has said that it is through */
	bool hung; /* and was killed for that */
	int status; /* waitpid(2)'s, when pid is 0 */
	struct watchdog *dog;
};

struct check_child *check_child_start(const struct config *config, int snapshot, struct ost_why *why)
{
	struct buf body = BUF_INIT;
	struct ipc_link *link;
	pid_t pid = spawn_worker("check", "check", true, &link, why);
	if (pid < 0)
		return NULL;
	struct check_child *c = MEM_NEW(struct check_child);
	c->pid = pid;
	c->link = link;
	c->config = config;
	tlv_put_str(&body, K_SERVICE, "check");
	tlv_put_u64(&body, K_ROOTLESS, geteuid() != 0);
	c->dog = watchdog_new(link);
	if (spawn_give(link, GIVE_SNAPSHOT, &snapshot, 1, 0))
		ipc_send(link, CTL_START, body.data, body.len);
	buf_free(&body);
	return c;
}

int check_child_fd(const struct check_child *c)
{
	return ipc_link_fd(c->link);
}

/* A file that the child may not open itself. */
static void open_for_child(struct check_child *c, const struct control_fields *f)
{
	struct buf body = BUF_INIT;
	int fd = open_for_owner(c->config, f->name);
	tlv_put_u64(&body, F_ID, f->id);
	if (fd < 0)
		tlv_put_str(&body, F_REASON, strerror(errno));
	ipc_send_fds(c->link, CTL_OPENED, body.data, body.len, &fd, fd >= 0 ? 1 : 0);
	buf_free(&body);
	io_close(&fd);
}

/* One message; false: that was the last. */
static bool take_message(struct check_child *c, struct ipc_message *m, struct findings *findings)
{
	struct control_fields f;
	bool good = control_read(m, &f);
	control_drop_fds(m);
	if (good && m->type == CTL_FINDING)
		findings_add(findings, f.kind == FINDING_FATAL ? FINDING_FATAL : FINDING_WARNING, "%s",
			     f.reason);
	else if (good && m->type == CTL_FAILED)
		findings_add(findings, FINDING_FATAL, "%s", f.reason);
	else if (good && m->type == CTL_OPEN)
		open_for_child(c, &f);
	c->done = good && (m->type == CTL_DONE || m->type == CTL_FAILED);
	return !c->done;
}

bool check_child_reaped(struct check_child *c, pid_t pid, int status)
{
	if (c->pid != pid)
		return false;
	c->pid = 0;
	c->status = status;
	return true;
}

/* Waits for its end, which is here or on its way. */
static void reap(struct check_child *c)
{
	while (c->pid > 0 && waitpid(c->pid, &c->status, 0) < 0 && errno == EINTR)
		;
	c->pid = 0;
}

/* The link is closed, and not all has been said. */
static void tell_end(struct check_child *c, struct findings *findings)
{
	char text[400];
	if (c->pid > 0)
		kill(c->pid, SIGKILL); /* it is ending; its status stays what it is */
	reap(c);
	watchdog_end(c->dog, c->status, text, sizeof text);
	findings_add(findings, FINDING_FATAL, "the check of modules and maps ended before it was through: %s", text);
}

void check_child_look(struct check_child *c)
{
	struct ost_why why = { "" };
	int64_t loop_time = 2 * cfg_time(config_main_view(c->config), P_ostler_module_timeout);
	if (!c->dog || c->pid <= 0 || c->hung || !watchdog_look(c->dog, c->pid, clock_mono(), loop_time, &why))
		return;
	c->hung = true;
	log_warning("the check of modules and maps %s", why.text);
	kill(c->pid, SIGKILL);
}

bool check_child_read(struct check_child *c, struct findings *findings, int64_t deadline)
{
	struct ipc_message m;
	for (;;) {
		int64_t now = clock_mono(), until = now + CLOCK_SECOND < deadline ? now + CLOCK_SECOND : deadline;
		enum ipc_got got = ipc_receive(c->link, &m, until);
		check_child_look(c);
		if (got == IPC_GOT && !take_message(c, &m, findings))
			return false;
		if (got == IPC_AGAIN && clock_mono() >= deadline)
			return true;
		if (got == IPC_CLOSED) {
			tell_end(c, findings);
			return false;
		}
	}
}

void check_child_end(struct check_child **cp)
{
	struct check_child *c = *cp;
	if (!c)
		return;
	if (c->pid > 0 && !c->done)
		kill(c->pid, SIGKILL);
	ipc_link_destroy(&c->link);
	reap(c);
	watchdog_free(&c->dog);
	free(c);
	*cp = NULL;
}

static void check_modules(const struct config *config, int snapshot, struct findings *findings)
{
	struct ost_why why = { "" };
	struct check_child *c = check_child_start(config, snapshot, &why);
	if (!c)
		findings_add(findings, FINDING_FATAL, "%s", why.text);
	else if (check_child_read(c, findings, clock_mono() + CHILD_SECONDS * CLOCK_SECOND))
		findings_add(findings, FINDING_FATAL, "the check of modules and maps does not end");
	check_child_end(&c);
}

/* ---- Postfix ------------------------------------------------------------------------------------------------- */

enum { COUNT_MAX = 100000, DEPTH_MAX = 4 };

/* Files below a queue folder, hashed sub-folders included. */
static unsigned count_files(const char *path, unsigned depth, unsigned so_far)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	while (dir && so_far < COUNT_MAX && (e = readdir(dir)) != NULL) {
		if (e->d_type == DT_REG) {
			so_far++;
		} else if (e->d_type == DT_DIR && e->d_name[0] != '.' && depth > 0) {
			char *below = mem_printf("%s/%s", path, e->d_name);
			so_far = count_files(below, depth - 1, so_far);
			free(below);
		}
	}
	if (dir)
		closedir(dir);
	return so_far;
}

static void check_postfix_queues(const struct cfg_view *view, struct findings *findings)
{
	static const char *const queues[] = { "maildrop", "incoming", "active", "deferred", "hold" };
	unsigned n = 0;
	for (size_t i = 0; i < sizeof queues / sizeof queues[0]; i++) {
		char *path = mem_printf("%s/%s", cfg_str(view, P_queue_directory), queues[i]);
		n = count_files(path, DEPTH_MAX, n);
		free(path);
	}
	if (n > 0)
		findings_add(findings, FINDING_WARNING,
			     "%u message%s lie%s in Postfix's queues in %s: Postfix alone can deliver them",
			     n, n == 1 ? "" : "s", n == 1 ? "s" : "", cfg_str(view, P_queue_directory));
}

static void check_postfix(const struct cfg_view *view, struct findings *findings)
{
	pid_t pid = lock_holder(view);
	if (pid != 0 && lock_is_postfix(pid))
		findings_add(findings, FINDING_FATAL,
			     "the Postfix mail system is running (process id %d): stop it first", (int)pid);
	if (cfg_postfix_folder(view))
		check_postfix_queues(view, findings);
}

/* ---- users and file systems ---------------------------------------------------------------------------------- */

static void check_users(const struct config *c, struct findings *findings)
{
	const struct cfg_view *view = config_main_view(c);
	struct identity id;
	struct ost_why why;
	const struct service *const *list;
	size_t n = config_services(c, &list);
	if (geteuid() == 0) {
		if (!identity_of(cfg_str(view, P_mail_owner), &id, &why))
			findings_add(findings, FINDING_FATAL, "%s: %s", cfg_where(view, "mail_owner"),
				     why.text);
		else if (id.uid == 0 || id.gid == 0)
			findings_add(findings, FINDING_FATAL, "%s: mail_owner must not be root",
				     cfg_where(view, "mail_owner"));
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (list[i]->chroot)
			findings_add(findings, FINDING_FATAL,
				     "%s: service %s: chroot needs root; say n in its "
				     "column, or start as root",
				     list[i]->where, list[i]->name);
		if (strcmp(list[i]->command, "local") == 0)
			findings_add(findings, FINDING_WARNING,
				     "%s: service %s: started by an ordinary user, it "
				     "delivers to that user alone",
				     list[i]->where, list[i]->name);
	}
}

static void check_file_system(const char *path, const char *what, struct findings *findings)
{
	if (filesystem_has_fast_commit(path))
		findings_add(findings, FINDING_WARNING,
			     "%s %s is on an ext4 file system with fast_commit, which has lost acknowledged "
			     "files at power cuts",
			     what, path);
}

/* ---- all ----------------------------------------------------------------------------------------------------- */

void check_instance(const struct config *c, int snapshot, struct findings *findings)
{
	const struct cfg_view *view = config_main_view(c);
	check_postfix(view, findings);
	check_users(c, findings);
	check_file_system(cfg_str(view, P_queue_directory), "queue_directory", findings);
	check_file_system(cfg_str(view, P_mail_spool_directory), "mail_spool_directory", findings);
	if (*cfg_str(view, P_virtual_mailbox_base))
		check_file_system(cfg_str(view, P_virtual_mailbox_base), "virtual_mailbox_base", findings);
	if (!findings_fatal(findings))
		check_modules(c, snapshot, findings);
}

void check_print(const struct findings *findings)
{
	const struct finding *list;
	size_t n = findings_count(findings, &list);
	for (size_t i = 0; i < n; i++) {
		if (list[i].grade == FINDING_FATAL)
			log_error("%s", list[i].text);
		else
			log_warning("%s", list[i].text);
	}
}
