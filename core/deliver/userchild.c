/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "process/roles.h"
#include "deliver/syncer.h"
#include "deliver/userwire.h"
#include "ipc/protocol.h"
#include "module/module.h"

enum { SYNC_THREADS = 16 };

/* What the child runs: set in prepare(), constant afterwards. */
static struct user_half half;
static struct syncer *syncer;

static bool user_prepare(struct worker *w, struct ost_why *why)
{
	const struct service *line = worker_service(w);
	const struct mod_provider *p = mod_find(OST_KIND_TRANSPORT, line->command, why);
	if (!p)
		return false;
	half = (struct user_half){ .module = p->module, .ops = (const struct ost_transport_ops *)p->ops };
	if (!half.ops->user_write || !half.ops->user_publish)
		return why_set(why, "module %s: %s does nothing as a user", p->module, line->command);
	half.config = mod_config_only(p, worker_view(w), line->name, why);
	syncer = syncer_new(SYNC_THREADS);
	if (*worker_user(w)->home)
		syncer_allow_whole(syncer, worker_user(w)->home);
	return half.config != NULL;
}

static void do_group(const struct worker_user *user, struct ost_user_job *jobs, size_t n)
{
	int home_fd = *user->home ? open(user->home, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	int error = *user->home ? errno : ENOENT;
	for (size_t i = 0; i < n; i++) {
		jobs[i].home = user->home;
		jobs[i].home_fd = home_fd;
		jobs[i].home_error = home_fd < 0 ? error : 0;
		jobs[i].uid = user->uid;
		jobs[i].gid = user->gid;
	}
	user_run(&half, jobs, n, syncer);
	io_close(&home_fd);
}

/* Takes one group of jobs; false: the agent has closed the link, or sent what is none. */
static bool take_group(struct ipc_link *link, struct arena *a, struct ost_user_job *jobs, size_t *n)
{
	bool last = false;
	for (*n = 0; !last; ++*n) {
		struct ipc_message m;
		if (*n == USER_BATCH || ipc_receive(link, &m, CLOCK_NEVER) != IPC_GOT)
			return false;
		if (m.type != M_JOBS || !userwire_receive(a, &m, &jobs[*n], &last)) {
			log_error("the agent sent a job that cannot be understood");
			return false;
		}
	}
	return true;
}

/* Is the job link still what it was? A module may have closed what is not its own: that is no end in good order. */
static bool is_socket(int fd)
{
	int type;
	socklen_t len = sizeof type;
	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
}

static int user_serve(struct worker *w)
{
	struct ipc_link *link = worker_job_link(w);
	struct ost_user_job *jobs = mem_realloc_array(NULL, USER_BATCH, sizeof *jobs);
	struct arena *a = arena_new();
	size_t n = 0;
	worker_ready(w);
	while (take_group(link, a, jobs, &n)) {
		do_group(worker_user(w), jobs, n);
		bool alive = userwire_answer(link, jobs, n);
		for (size_t i = 0; i < n; i++) {
			io_close(&jobs[i].message_fd);
			io_close(&jobs[i].spool_fd);
		}
		arena_reset(a);
		if (!alive)
			break;
	}
	arena_destroy(&a);
	syncer_destroy(&syncer);
	free(jobs);
	return is_socket(ipc_link_fd(link)) ? 0 : 1;
}

const struct role role_user = {
	.name = "user",
	.flags = ROLE_MODULES,
	.prepare = user_prepare,
	.serve = user_serve,
};
