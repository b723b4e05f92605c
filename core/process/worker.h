/* SPDX-License-Identifier: Apache-2.0
 * The skeleton of every process but the master: how it starts, what it is given, whom it may talk to, how it ends.
 *
 * The master executes `ostler --worker ROLE` with one socket (its control link) as descriptor 3. Over it comes the start
 * message: configuration snapshot, master.cf line, listening sockets, the shared page, the log's descriptor. The skeleton
 * then reads root-only files, drops privileges, calls prepare() (modules and tables are opened here), chroots, seals, and
 * calls serve(). */
#ifndef PROCESS_WORKER_H
#define PROCESS_WORKER_H

#include "base/why.h"
#include "config/config.h"
#include "ipc/link.h"

struct worker;

enum {
	ROLE_MODULES = 0x1,    /* may load modules; without it the module system is never initialized */
	ROLE_ROOT = 0x2,       /* keeps root: the broker alone */
	ROLE_SPOOL_READ = 0x4, /* sandbox: reads messages */
	ROLE_SPOOL_STORE = 0x8, /* sandbox: writes segments and new files */
	ROLE_SPOOL_KEEP = 0x10, /* sandbox: all of the spool: qmgr */
	ROLE_NETWORK = 0x20,   /* connects out */
	ROLE_MAILDROP = 0x40,  /* sandbox: reads and empties maildrop/ */
	ROLE_OUTSIDE = 0x100,  /* is never in a jail: answers for those that are */
	ROLE_BATCH = 0x80,     /* its threads do not push others aside when they wake: less switching, more mail. Never a
				* process that runs other programs: they would inherit it */
};

struct role {
	const char *name;    /* "smtpd", "qmgr", "agent", "user" …: also the log's tag unless the service gives another */
	unsigned flags;
	/* As the service's user, before chroot and seal: open tables, load modules, open the spool. False ends the process:
	 * at a reload the old generation goes on. */
	bool (*prepare)(struct worker *, struct ost_why *);
	/* After the seal; answers the exit status. Returns when worker_stopping() and its work is done. */
	int (*serve)(struct worker *);
	/* Optional, for `ostler check`: tells what prepare() would fail at, in a process that may load modules. */
	void (*check)(const struct config *, struct findings *);
};

/* ---- given at the start; constant ------------------------------------------------------------------------------ */
const struct config *worker_config(const struct worker *);
const struct cfg_view *worker_view(const struct worker *);      /* main.cf with this line's -o */
const struct service *worker_service(const struct worker *);    /* NULL for processes without a line (broker …) */
const char *worker_name(const struct worker *);                 /* "smtp", "submission", "qmgr" */
unsigned worker_generation(const struct worker *);
bool worker_rootless(const struct worker *);                    /* everything runs as one ordinary user */
const char *worker_spool_path(const struct worker *);           /* inside the jail when chrooted */
size_t worker_listeners(const struct worker *, const int **fds); /* the master's listening sockets, non-blocking */
/* pickup and qmgr have one each, base/public/NAME (process/paths.h): SOCK_SEQPACKET for ipc links, open to every user, whom
 * ipc_peer() names. */

/* Role "user" alone: whom this process has become, and the link to the agent whose jobs it does. The link is the
 * worker's; its end of file is the only word to stop. */
struct worker_user {
	const char *name; /* OST_USER_NAMED; "" for OST_USER_IDS */
	unsigned uid, gid;
	const char *home; /* OST_USER_NAMED: home folder; OST_USER_IDS: virtual_mailbox_base */
};
const struct worker_user *worker_user(const struct worker *);
struct ipc_link *worker_job_link(const struct worker *);

/* The root of the process's file system: queue_directory when chrooted, else "". A path of the configuration is put
 * behind it by nobody: what is needed from outside the jail is opened in prepare(). */
const char *worker_jail(const struct worker *);

/* A read-only descriptor of a file that the configuration names: opened here while that is possible, by the master
 * afterwards (or when only root may read it). The master watches it from then on: see WORKER_FILES. -1 with the system's
 * reason alone. */
int worker_open_file(struct worker *, const char *path, struct ost_why *);

/* The process's one spool, opened at the first call with the view's parameters (spool/spool.h). Before the seal. */
struct spool;
struct spool *worker_spool(struct worker *, struct ost_why *);

/* ---- the master, from then on ---------------------------------------------------------------------------------- */
enum worker_event {
	WORKER_STOP,    /* finish what is under way (deadline: ipc_timeout), then return from serve() */
	WORKER_RETIRE,  /* a newer generation has taken over: accept nothing new, 421 4.3.2 to parked sessions after 60 s, or
	                 * at once when it comes again: the third generation is waiting */
	WORKER_FILES,   /* a watched file changed; tables have been told already */
	WORKER_DIED,    /* to qmgr: another process died; detail: "role name pid" */
	WORKER_PEER,    /* to qmgr, resolve, bounce …: a new peer; fd is the link's socket, detail "role name pid" */
	WORKER_LINK,    /* the answer to worker_request(); fd is the link's socket, detail the role; fd -1: "role: why" */
	WORKER_AGENTS,  /* to qmgr at its start: detail lists living agents, "name pid" a line; sent once, first */
};
/* For event loops: readable when worker_dispatch() has something to do. worker_dispatch() calls handler(ctx, …) for each
 * event, on the calling thread. A worker without an event loop calls worker_watch() once instead: a thread does it. */
typedef void worker_event_fn(void *ctx, enum worker_event, const char *detail, int fd);
int worker_control_fd(const struct worker *);
void worker_dispatch(struct worker *, worker_event_fn *, void *ctx);
void worker_watch(struct worker *, worker_event_fn *, void *ctx);
bool worker_stopping(const struct worker *); /* STOP or RETIRE has come; atomic */
void worker_ready(struct worker *);          /* serve() is up: the master may send clients, a reload may go on */
void worker_busy(struct worker *, int active, int parked); /* for `ostler status`; cheap */

/* A link to another process ("qmgr", "resolve", "bounce", "broker", "proxymap"). The master makes a socket pair and gives
 * the other end to that process, starting it when it does not run: so there is no path, and a peer that died is simply
 * asked for again. Blocking until the master answers. NULL with the reason: not allowed for this role, or stopping. */
struct ipc_link *worker_connect(struct worker *, const char *role, struct ost_why *);
/* The same without waiting, for event loops: the answer is WORKER_LINK. There is always one, unless the master ends. */
void worker_request(struct worker *, const char *role);
/* qmgr: this service (an agent's name in master.cf) is needed: the master starts a process of it when none runs. */
void worker_want(struct worker *, const char *service);

/* ---- the program ----------------------------------------------------------------------------------------------- */
/* main() of a process: role is found by name in the table (ends with NULL). */
int worker_main(const struct role *const roles[], int argc, char **argv);

#endif
