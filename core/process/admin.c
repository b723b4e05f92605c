/* SPDX-License-Identifier: Apache-2.0
 * The master's socket for `ostler status`, `reload` and `stop`, both ends of it. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "process/master_state.h"
#include "process/paths.h"

enum { ADMINS_MAX = 32 };

struct admin { /* a connected command */
	struct admin *next;
	struct master *master;
	struct ipc_link *link;
	struct event *readable;
	bool reloading, waits_for_end;
};

/* ---- the master's end ---------------------------------------------------------------------------------------- */

static void admin_free(struct admin *a)
{
	for (struct admin **at = &a->master->admins; *at; at = &(*at)->next) {
		if (*at == a) {
			*at = a->next;
			break;
		}
	}
	event_free(a->readable);
	ipc_link_destroy(&a->link);
	free(a);
}

void admin_line(struct admin *a, bool error, const char *fmt, ...)
{
	struct buf body = BUF_INIT;
	char text[1024];
	va_list ap;
	if (!a)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	tlv_put_str(&body, F_REASON, text);
	tlv_put_u64(&body, F_KIND, error);
	ipc_send(a->link, CTL_LINE, body.data, body.len);
	buf_free(&body);
}

void admin_done(struct admin *a, int status)
{
	struct buf body = BUF_INIT;
	if (!a)
		return;
	tlv_put_u64(&body, F_STATUS, (uint64_t)status);
	ipc_send(a->link, CTL_DONE, body.data, body.len);
	buf_free(&body);
	a->reloading = false;
}

void admin_close(struct master *m)
{
	while (m->admins) {
		if (m->admins->waits_for_end)
			admin_done(m->admins, 0);
		admin_free(m->admins);
	}
	if (m->admin_event)
		event_free(m->admin_event);
	m->admin_event = NULL;
	if (m->admin_fd >= 0 && m->current) {
		char *path = instance_path(config_main_view(m->current->config), PLACE_MASTER);
		unlink(path);
		free(path);
	}
	io_close(&m->admin_fd);
}

static const char *const state_names[] = {
	[PROC_STARTING] = "starting", [PROC_READY] = "ready", [PROC_ENDING] = "ending"
};

static void on_status(struct master *m, struct admin *a)
{
	int64_t now = clock_mono();
	admin_line(a, false, "%-8s %-10s %-20s %-4s %-9s %7s %6s %6s", "pid", "role", "service", "gen",
		   "state", "seconds", "busy", "parked");
	if (m->guarded.guardian)
		admin_line(a, false, "%-8d %-10s %-20s %-4s %-9s", (int)m->guarded.guardian, "guardian", "-", "-",
			   "ready");
	admin_line(a, false, "%-8d %-10s %-20s %-4u %-9s", (int)getpid(), "master", "-", m->current->number,
		   "ready");
	for (const struct proc *p = m->procs; p; p = p->next) {
		int active, parked;
		counters_busy_of(m->counters, p->column, &active, &parked);
		admin_line(a, false, "%-8d %-10s %-20s %-4u %-9s %7lld %6d %6d", (int)p->pid,
			   p->duty->plan.role, p->duty->plan.name, p->duty->generation->number,
			   p->hung      ? "hung"
			   : p->retired ? "retired"
					: state_names[p->state],
			   (long long)((now - p->started) / CLOCK_SECOND), active, parked);
	}
	for (const struct listener *l = m->listeners; l; l = l->next)
		admin_line(a, false, "listening on %s", l->name);
	admin_done(a, 0);
}

static void on_stop(struct master *m, struct admin *a)
{
	a->waits_for_end = true;
	log_info("stopping");
	master_stop(m);
}

static void on_reload(struct master *m, struct admin *a)
{
	a->reloading = true;
	reload_begin(m, a);
}

static const struct {
	const char *word;
	void (*run)(struct master *, struct admin *);
} words[] = {
	{ "status", on_status },
	{ "stop", on_stop },
	{ "reload", on_reload },
};

static void admin_readable(evutil_socket_t fd, short what, void *arg)
{
	struct admin *a = arg;
	struct ipc_message msg;
	struct control_fields f;
	(void)fd;
	(void)what;
	enum ipc_got got = ipc_receive(a->link, &msg, 0);
	if (got == IPC_AGAIN)
		return;
	bool good = got == IPC_GOT && msg.type == CTL_COMMAND && control_read(&msg, &f);
	if (got == IPC_GOT)
		control_drop_fds(&msg);
	for (size_t i = 0; good && i < sizeof words / sizeof words[0]; i++) {
		if (strcmp(words[i].word, f.name) == 0) {
			words[i].run(a->master, a);
			return;
		}
	}
	reload_forget(a->master, a);
	admin_free(a);
}

static void on_accept(evutil_socket_t listener, short what, void *arg)
{
	struct master *m = arg;
	unsigned uid, gid, count = 0;
	int pid;
	(void)what;
	int fd = accept4((int)listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	struct ipc_link *link = ipc_link_new(fd, "master");
	for (struct admin *a = m->admins; a; a = a->next)
		count++;
	if (!ipc_peer(link, &uid, &gid, &pid) || (uid != 0 && uid != geteuid()) || count >= ADMINS_MAX) {
		ipc_link_destroy(&link);
		return;
	}
	struct admin *a = MEM_NEW(struct admin);
	ipc_link_set_nonblock(link, true);
	a->master = m;
	a->link = link;
	a->readable = event_new(m->base, fd, EV_READ | EV_PERSIST, admin_readable, a);
	event_add(a->readable, NULL);
	a->next = m->admins;
	m->admins = a;
}

bool admin_listen(struct master *m, struct ost_why *why)
{
	char *path = instance_path(config_main_view(m->current->config), PLACE_MASTER);
	m->admin_fd = ipc_listen(path, 0600, why);
	free(path);
	if (m->admin_fd < 0)
		return false;
	io_set_nonblock(m->admin_fd, true);
	m->admin_event = event_new(m->base, m->admin_fd, EV_READ | EV_PERSIST, on_accept, m);
	event_add(m->admin_event, NULL);
	return true;
}

/* ---- the command's end --------------------------------------------------------------------------------------- */

/* Prints what the master answers. */
static enum master_answer print_answers(struct ipc_link *link)
{
	struct ipc_message msg;
	struct control_fields f;
	bool any = false;
	while (ipc_receive(link, &msg, CLOCK_NEVER) == IPC_GOT) {
		bool good = control_read(&msg, &f);
		control_drop_fds(&msg);
		any = true;
		if (good && msg.type == CTL_LINE)
			fprintf(f.kind ? stderr : stdout, "%s\n", f.reason);
		else if (good && msg.type == CTL_DONE)
			return f.status == 0 ? MASTER_DONE : MASTER_REFUSED;
	}
	if (!any)
		return MASTER_FOREIGN;
	fprintf(stderr, "ostler: the master has gone away\n");
	return MASTER_REFUSED;
}

enum master_answer master_command(const struct cfg_view *view, const char *word, struct ost_why *why)
{
	struct buf body = BUF_INIT;
	char *path = instance_path(view, PLACE_MASTER);
	struct ipc_link *link = ipc_connect(path, "command", clock_mono() + 10 * CLOCK_SECOND, why);
	free(path);
	if (!link)
		return MASTER_AWAY;
	tlv_put_str(&body, F_NAME, word);
	enum master_answer answer = ipc_send(link, CTL_COMMAND, body.data, body.len) ? print_answers(link)
										       : MASTER_FOREIGN;
	buf_free(&body);
	ipc_link_destroy(&link);
	return answer;
}
