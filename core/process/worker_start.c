/* SPDX-License-Identifier: Apache-2.0
 * The start of a process: what it is given, whom it becomes, and the seal. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "module/hosts.h"
#include "module/module.h"
#include "process/counters.h"
#include "process/jail.h"
#include "process/limits.h"
#include "process/logging.h"
#include "process/paths.h"
#include "process/privileges.h"
#include "process/sandbox.h"
#include "process/worker_state.h"
#include "table/table.h"

enum { START_SECONDS = 60 };

/* ---- what the master gives ----------------------------------------------------------------------------------- */

static void *map_shared(int fd, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

static void take_listeners(struct worker *w, struct ipc_message *m)
{
	w->listeners = mem_realloc_array(w->listeners, w->nlisteners + (size_t)m->nfds, sizeof(int));
	for (int i = 0; i < m->nfds; i++)
		w->listeners[w->nlisteners++] = m->fds[i];
	m->nfds = 0;
}

/* Takes the message's one descriptor. */
static int take_fd(struct ipc_message *m)
{
	int fd = m->nfds > 0 ? m->fds[0] : -1;
	if (m->nfds > 0)
		m->fds[0] = -1;
	return fd;
}

static bool take_given(struct worker *w, const struct control_fields *f, struct ipc_message *m)
{
	void *page;
	switch ((enum given)f->what) {
	case GIVE_SNAPSHOT:
		w->snapshot = take_fd(m);
		return w->snapshot >= 0;
	case GIVE_PAGE:
		page = map_shared(m->fds[0], MOD_PAGE_SIZE);
		if (page && (w->role->flags & ROLE_MODULES))
			mod_page_attach(page);
		return page != NULL;
	case GIVE_COUNTERS:
		page = map_shared(m->fds[0], counters_bytes());
		if (page)
			counters_attach(page, (unsigned)f->column);
		return page != NULL;
	case GIVE_LOG:
		w->log_fd = take_fd(m);
		return w->log_fd >= 0;
	case GIVE_LISTEN:
		take_listeners(w, m);
		return true;
	case GIVE_JOB:
		w->job = ipc_link_new(take_fd(m), "user");
		return true;
	}
	return false;
}

/* The line in master.cf. */
static bool find_service(struct worker *w, uint64_t line, struct ost_why *why)
{
	const struct service *const *list;
	size_t n = config_services(w->config, &list);
	w->view = config_main_view(w->config);
	if (line == 0)
		return true;
	if (line > n)
		return why_set(why, "the configuration has no service number %u", (unsigned)line);
	w->service = list[line - 1];
	w->view = w->service->view;
	return true;
}

static void open_log(struct worker *w, bool to_stderr)
{
	const char *tag = w->role->name;
	if (w->service && strcmp(w->role->name, "agent") == 0)
		tag = w->service->command;
	logging_open(w->view, tag, w->log_fd, to_stderr);
	log_connect();
}

/* All has been given: the configuration is read from the snapshot. */
static bool start_with(struct worker *w, const struct control_fields *f, struct ost_why *why)
{
	if (w->snapshot < 0)
		return why_set(why, "no configuration was given");
	w->config = config_from_snapshot(w->snapshot, why);
	if (!w->config || !find_service(w, f->line, why))
		return false;
	w->name = mem_strdup(f->service);
	w->generation = (unsigned)f->generation;
	w->rootless = f->rootless;
	w->user = (struct worker_user){ .name = mem_strdup(f->name),
					.uid = (unsigned)f->uid,
					.gid = (unsigned)f->gid,
					.home = mem_strdup(f->home) };
	w->jail = mem_strdup("");
	w->spool_path = instance_path(w->view, PLACE_SPOOL);
	open_log(w, f->to_stderr);
	if (!(w->role->flags & ROLE_ROOT))
		io_close(&w->snapshot);
	return true;
}

bool worker_start_receive(struct worker *w, struct ost_why *why)
{
	int64_t deadline = clock_mono() + START_SECONDS * CLOCK_SECOND;
	struct ipc_message m;
	struct control_fields f;
	for (;;) {
		if (ipc_receive(w->ctl, &m, deadline) != IPC_GOT)
			return why_set(why, "the start message did not come");
		bool good = control_read(&m, &f);
		if (good && m.type == CTL_START)
			return start_with(w, &f, why);
		good = good && m.type == CTL_GIVE && m.nfds > 0 && take_given(w, &f, &m);
		control_drop_fds(&m);
		if (!good)
			return why_set(why, "the start message cannot be used");
	}
}

/* ---- whom it becomes ----------------------------------------------------------------------------------------- */

static bool chrooted(const struct worker *w)
{
	return w->service && w->service->chroot && !w->rootless && !(w->role->flags & (ROLE_ROOT | ROLE_OUTSIDE)) && !w->job;
}

/* What a user's child may touch: the job link alone stays open. */
static struct sandbox user_sandbox(const struct worker *w)
{
	return (struct sandbox){ .flags = w->role->flags, .write = w->user.home, .control = -1, .log = -1 };
}

/* What all others may; maildrop is the caller's memory. */
static struct sandbox sandbox_of(const struct worker *w, const char *maildrop)
{
	return (struct sandbox){ .flags = w->role->flags,
				 .jail = chrooted(w),
				 .control = CONTROL_FD,
				 .log = w->log_fd,
				 .spool = w->spool_path,
				 .maildrop = maildrop + strlen(w->jail),
				 .config = cfg_folder(w->view),
				 .data = cfg_str(w->view, P_data_directory),
				 .any_path = w->rootless && w->service && !w->service->unpriv };
}

/* Before modules come: see sandbox_guard(). The first of all processes makes the spool's folders: nobody may afterwards. */
static bool guard(struct worker *w, struct ost_why *why)
{
	char *maildrop = instance_path(w->view, PLACE_MAILDROP);
	struct sandbox s = sandbox_of(w, maildrop);
	bool ok = (!(w->role->flags & (ROLE_SPOOL_READ | ROLE_SPOOL_STORE)) || worker_spool(w, why)) && sandbox_guard(&s, why);
	free(maildrop);
	return ok;
}

static bool become_user(struct worker *w, struct ost_why *why)
{
	struct identity id = { .uid = w->user.uid, .gid = w->user.gid };
	if (!privileges_become(*w->user.name ? w->user.name : NULL, &id, why))
		return false;
	umask(077);
	struct sandbox s = user_sandbox(w);
	if (!sandbox_guard(&s, why))
		return false;
	if (w->role->flags & ROLE_MODULES) {
		mod_init(w->config);
		table_init();
		mod_trust_user(0);
	}
	return true;
}

/* Modules ask for files by path: before the seal they are opened here, afterwards by the master. */
static struct worker *files_worker; /* the process's one */

static int open_for_module(const char *path, struct ost_why *why)
{
	return worker_open_file(files_worker, path, why);
}

static struct ipc_link *connect_proxymap(void *ctx, struct ost_why *why)
{
	return worker_connect(ctx, "proxymap", why);
}

static void start_modules(struct worker *w)
{
	static const struct mod_files_ops files = { .open = open_for_module };
	files_worker = w;
	mod_host_set_files(&files);
	mod_init(w->config);
	table_init();
	if (chrooted(w))
		table_proxy_init(connect_proxymap, w);
	if (!w->rootless)
		mod_trust_user(0);
}

bool worker_start_become(struct worker *w, struct ost_why *why)
{
	struct identity id = { .uid = getuid(), .gid = getgid() };
	if (w->role->flags & ROLE_MODULES)
		limits_memory(w->view);
	if (w->job)
		return become_user(w, why);
	umask(077);
	if (w->role->flags & ROLE_ROOT)
		return true;
	if (!w->rootless && !identity_of(cfg_str(w->view, P_mail_owner), &id, why))
		return false;
	if (!privileges_drop(&id, chrooted(w), why))
		return false;
	if (!(w->role->flags & ROLE_MODULES))
		return true;
	if (!guard(w, why))
		return false;
	start_modules(w);
	return true;
}

/* ---- the seal ------------------------------------------------------------------------------------------------ */

/* The spool's path as the jail shows it. */
static bool enter_jail(struct worker *w, struct ost_why *why)
{
	const char *root = cfg_str(w->view, P_queue_directory);
	size_t len = strlen(root);
	if (!privileges_jail(root, why))
		return false;
	if (strncmp(w->spool_path, root, len) == 0)
		memmove(w->spool_path, w->spool_path + len, strlen(w->spool_path + len) + 1);
	free(w->jail);
	w->jail = mem_strdup(root);
	return true;
}

static bool seal_user(struct worker *w, struct ost_why *why)
{
	struct sandbox s = user_sandbox(w);
	mod_seal();
	if (!sandbox_seal(&s, true, why))
		return false;
	worker_ready(w);
	ipc_link_destroy(&w->ctl);
	io_close(&w->event_fd);
	return true;
}

bool worker_start_seal(struct worker *w, struct ost_why *why)
{
	if (w->role->flags & ROLE_ROOT)
		return true;
	if (w->job)
		return seal_user(w, why);
	jail_warm_up();
	if (chrooted(w) && !enter_jail(w, why))
		return false;
	if (!w->rootless && !privileges_seal(why))
		return false;
	if (w->role->flags & ROLE_MODULES)
		mod_seal();
	char *maildrop = instance_path(w->view, PLACE_MAILDROP);
	struct sandbox s = sandbox_of(w, maildrop);
	bool ok = sandbox_seal(&s, w->role->flags & ROLE_MODULES, why);
	free(maildrop);
	return ok;
}
