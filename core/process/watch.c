/* SPDX-License-Identifier: Apache-2.0
 * Files that processes have opened because the configuration names them: the master watches their folders and
 * tells the processes when one changed; for sealed processes it opens them. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "process/jail.h"
#include "process/master_state.h"
#include "process/mentions.h"
#include "process/open_for.h"

enum {
	FILES_MAX = 4096,
	SETTLE_MS = 500, /* several changes close together are told once */
};
#define CHANGES (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ATTRIB)

struct watched {
	struct watched *next;
	char *path;
	const char *name; /* its last part */
	int folder;       /* inotify's number */
	bool jail;        /* a copy of it is in the jail, too */
};

struct watch {
	int fd;
	struct event *readable, *settled;
	struct watched *files;
	size_t count;
	bool jail_changed;
};

/* ---- changes ------------------------------------------------------------------------------------------------- */

/* All is quiet: processes with modules hear of it. */
static void on_settled(evutil_socket_t fd, short what, void *arg)
{
	struct master *m = arg;
	struct ost_why why = { "" };
	(void)fd;
	(void)what;
	if (m->watch->jail_changed && !jail_prepare(config_main_view(m->current->config), &why))
		log_warning("%s", why.text);
	m->watch->jail_changed = false;
	for (struct proc *p = m->procs; p; p = p->next) {
		if (p->dog)
			proc_tell(p, CTL_FILES, "");
	}
}

static void take_change(struct master *m, const struct inotify_event *e)
{
	for (struct watched *w = m->watch->files; w; w = w->next) {
		if (e->mask & IN_Q_OVERFLOW ||
		    (w->folder == e->wd && e->len > 0 && strcmp(w->name, e->name) == 0)) {
			m->watch->jail_changed |= w->jail;
			event_add(m->watch->settled, &(struct timeval){ .tv_usec = SETTLE_MS * 1000 });
		}
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	_Alignas(struct inotify_event) char space[16384];
	(void)what;
	ssize_t n = read((int)fd, space, sizeof space);
	for (char *at = space; n > 0 && at < space + n;) {
		const struct inotify_event *e = (const struct inotify_event *)(void *)at;
		take_change(arg, e);
		at += sizeof *e + e->len;
	}
}

static struct watch *watch_of(struct master *m)
{
	if (m->watch)
		return m->watch;
	struct watch *w = MEM_NEW(struct watch);
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	w->readable = event_new(m->base, w->fd, EV_READ | EV_PERSIST, on_readable, m);
	w->settled = event_new(m->base, -1, 0, on_settled, m);
	if (w->fd >= 0)
		event_add(w->readable, NULL);
	else
		log_warning("files are not watched for changes: %m");
	m->watch = w;
	return w;
}

static struct watched *find(struct master *m, const char *path)
{
	struct watched *f = m->watch ? m->watch->files : NULL;
	while (f && strcmp(f->path, path) != 0)
		f = f->next;
	return f;
}

/* Watches the file's folder: a file that is replaced by renaming is a new one. */
static struct watched *add(struct master *m, const char *path)
{
	struct watch *w = watch_of(m);
	struct watched *f = find(m, path);
	const char *slash = strrchr(path, '/');
	if (f || w->count >= FILES_MAX || path[0] != '/')
		return f;
	f = MEM_NEW(struct watched);
	f->path = mem_strdup(path);
	f->name = f->path + (slash - path) + 1;
	char *folder = slash == path ? mem_strdup("/") : mem_strndup(path, (size_t)(slash - path));
	f->folder = inotify_add_watch(w->fd, folder, CHANGES);
	free(folder);
	f->next = w->files;
	w->files = f;
	w->count++;
	return f;
}

void watch_jail(struct master *m)
{
	for (size_t i = 0; jail_file(i); i++) {
		char real[PATH_MAX];
		struct watched *f = add(m, jail_file(i));
		if (f)
			f->jail = true;
		f = realpath(jail_file(i), real) ? add(m, real) : NULL; /* resolv.conf is often a link */
		if (f)
			f->jail = true;
	}
}

void watch_free(struct master *m)
{
	struct watch *w = m->watch;
	if (!w)
		return;
	while (w->files) {
		struct watched *f = w->files;
		w->files = f->next;
		free(f->path);
		free(f);
	}
	event_free(w->readable);
	event_free(w->settled);
	io_close(&w->fd);
	free(w);
	m->watch = NULL;
}

/* ---- opening ------------------------------------------------------------------------------------------------- */

static void reply(struct proc *p, uint64_t id, int fd, const char *reason)
{
	struct buf body = BUF_INIT;
	tlv_put_u64(&body, F_ID, id);
	if (fd < 0)
		tlv_put_str(&body, F_REASON, reason);
	ipc_send_fds(p->ctl, CTL_OPENED, body.data, body.len, &fd, fd >= 0 ? 1 : 0);
	if (ipc_link_pending(p->ctl))
		event_add(p->writable, NULL);
	buf_free(&body);
}

void watch_opened(struct proc *p, const char *path)
{
	if (p->state == PROC_STARTING) /* later ones are opened here anyway */
		add(p->master, path);
}

void watch_open_for(struct proc *p, const struct control_fields *f)
{
	const struct config *c = p->duty->generation->config;
	const char *path = f->name;
	if (path[0] != '/' || (!find(p->master, path) && !config_mentions(c, path))) {
		reply(p, f->id, -1, "Permission denied");
		return;
	}
	add(p->master, path);
	int fd = open_for_owner(c, path);
	reply(p, f->id, fd, strerror(errno));
	io_close(&fd);
}
