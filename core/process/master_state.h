/* SPDX-License-Identifier: Apache-2.0
 * Inside of the master: its generations, duties and processes. One thread; nothing here is locked. */
#ifndef PROCESS_MASTER_STATE_H
#define PROCESS_MASTER_STATE_H

#include <event2/event.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/why.h"
#include "config/config.h"
#include "ipc/link.h"
#include "process/control.h"
#include "process/counters.h"
#include "process/duties.h"
#include "process/listen.h"
#include "process/master.h"
#include "process/roster.h"
#include "process/throttle.h"
#include "process/watchdog.h"

#define MASTER_MAGIC 0x3a57e301u

struct master;

/* One configuration and what is kept running for it. */
struct generation {
	struct master *master;
	struct generation *next; /* older */
	unsigned number;
	struct config *config;
	int snapshot, log_fd;
	struct duty *duties;
	bool retired;
};

struct duty {
	struct duty *next;
	struct generation *generation;
	struct duty_plan plan;
	struct listener_set listeners;
	struct throttle throttle;
	struct event *timer; /* the next start, when it has to wait */
	unsigned running;    /* processes that are neither ending nor gone */
	bool wanted;         /* DUTY_ON_DEMAND: qmgr asked for it */
};

enum proc_state { PROC_STARTING, PROC_READY, PROC_ENDING };

struct proc {
	struct proc *next;
	struct master *master;
	struct duty *duty;
	pid_t pid;
	enum proc_state state;
	struct ipc_link *ctl;
	struct event *readable, *writable;
	struct watchdog *dog; /* NULL when it loads no modules */
	unsigned column;
	int64_t started, kill_at; /* clock_mono(); CLOCK_NEVER */
	bool hung, retired; /* told so */
	bool has_retired;   /* it takes no new sessions any more */
	bool leaving;       /* it has said that it ends in good order */
	unsigned links;           /* how often it was chosen as somebody's peer */
	struct ost_why why;       /* what it said when its start failed */
};

/* The master's view of its guardian. */
struct guarded {
	pid_t guardian; /* 0: none at this moment */
	bool is_child;  /* it is a child of this process; otherwise the parent */
	bool wanted;    /* another one is to be started, at start_at */
	int64_t started, start_at;
	struct throttle throttle;
	struct event *orphaned;
};

enum master_phase { PHASE_STARTING, PHASE_RUNNING, PHASE_STOPPING };

struct master {
	unsigned magic;
	const struct master_options *options;
	struct event_base *base;
	enum master_phase phase;
	bool rootless, failed, done;
	char *config_dir;
	int lock_fd, report_fd, keepsake_fd;
	int log_fd; /* maillog_file: the master's own copy, which outlives generations; -1 */
	struct guarded guarded;
	struct roster *roster;
	struct orphan *orphans;
	int counters_fd;
	void *counters;
	bool column_used[COUNTER_COLUMNS];
	struct listener *listeners;
	struct generation *generations; /* newest first */
	struct generation *current;
	unsigned last_number;
	struct proc *procs;
	struct pending_peer *pending;
	struct watch *watch;   /* NULL until there is a file to watch */
	struct reload *reload; /* under way, or NULL */
	struct admin *admins;
	struct event *admin_event, *tick;
	int admin_fd;
	int64_t start_deadline;
	struct event *signals[8];
};

/* ---- generation.c -------------------------------------------------------------------------------------------- */
/* Reads the configuration; NULL when something is fatal (findings tell). Nothing runs or listens yet. */
struct generation *generation_read(struct master *, struct findings *);
/* The same from a snapshot, which stays the caller's. */
struct generation *generation_from(struct master *, int snapshot, struct findings *);
/* Opens what it needs: log, listeners, copies for the jail. May be called again after a failure. */
bool generation_open(struct master *, struct generation *, int64_t patience, struct ost_why *);
void generation_free(struct master *, struct generation **);
struct duty *generation_duty(struct generation *, const char *role, const char *name); /* name NULL: any */

/* ---- procs.c ------------------------------------------------------------------------------------------------- */
struct proc *proc_start(struct master *, struct duty *, struct ost_why *);
/* Starts what the duty lacks; with a throttled duty, later. */
void duty_fill(struct master *, struct duty *);
void proc_tell(struct proc *, unsigned type, const char *text);
void proc_stop(struct proc *);
void proc_retire(struct proc *);
/* It has closed its control link: it ends by itself soon, or is killed. */
void proc_deaf(struct proc *);
/* A child has ended. */
void proc_ended(struct master *, struct proc *, int status);
struct proc *proc_find(struct master *, pid_t);
/* One of this generation that is not ending, or NULL. */
struct proc *proc_of_role(struct master *, const struct generation *, const char *role);
void procs_tick(struct master *, int64_t now);
/* qmgr hears of every end: what the process had locked is free now. */
void procs_tell_end(struct master *, const char *role, const char *service, pid_t);
const char *proc_label(const struct proc *); /* "smtpd", "virtual": for the log */

/* ---- messages.c ---------------------------------------------------------------------------------------------- */
void proc_readable(evutil_socket_t, short, void *proc);

/* ---- peers.c ------------------------------------------------------------------------------------------------- */
void peers_request(struct proc *, const struct control_fields *);
void peers_retry(struct master *);                       /* somebody has started */
void peers_forget(struct master *, const struct proc *); /* it is gone */

/* ---- reload.c ------------------------------------------------------------------------------------------------ */
struct admin;
void reload_begin(struct master *, struct admin *); /* admin NULL: by signal */
void reload_proc_ready(struct master *);
void reload_proc_retired(struct master *);
void reload_proc_failed(struct master *, const struct proc *, const char *reason);
bool reload_child_ended(struct master *, pid_t, int status); /* the checking child: true */
void reload_forget(struct master *, const struct admin *);   /* the command that waits for it has gone */
void reload_tick(struct master *, int64_t now);
/* Frees retired generations without processes; a reload that waited for that goes on. */
void generations_tidy(struct master *);

/* ---- orphans.c ----------------------------------------------------------------------------------------------- */
/* Finds the processes of a master that was killed. Their columns are not used until they have ended. */
void orphans_adopt(struct master *);
/* The living agents among them, for qmgr: "name pid" lines. */
void orphans_agents(const struct master *, struct buf *list);
void orphans_tick(struct master *, int64_t now);
bool orphans_kill(struct master *, const char *role); /* at once; false: there is none */
void orphans_free(struct master *);

/* ---- guarded.c ----------------------------------------------------------------------------------------------- */
void guarded_begin(struct master *);    /* the guardian's death is noticed from now on */
void guarded_ready(struct master *);    /* all is up */
void guarded_stopping(struct master *); /* whatever happens now, no master follows */
bool guarded_child_ended(struct master *, pid_t); /* the guardian: true */
void guarded_tick(struct master *, int64_t now);
void guarded_end(struct master *); /* the pid file is left to the guardian, or emptied */

/* ---- admin.c ------------------------------------------------------------------------------------------------- */
bool admin_listen(struct master *, struct ost_why *);
void admin_line(struct admin *, bool error, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void admin_done(struct admin *, int status); /* and the connection is over */
void admin_close(struct master *);           /* the master ends: all of them */

/* ---- master.c ------------------------------------------------------------------------------------------------ */
/* Logs where this configuration says from now on. */
void master_log(struct master *, const struct generation *, bool to_stderr);
void master_stop(struct master *);
void master_check_phase(struct master *); /* is everything up, or everything gone? */
void master_fail(struct master *, const char *fmt, ...)
	__attribute__((format(printf, 2, 3))); /* the start failed */

/* ---- watch.c ------------------------------------------------------------------------------------------------- */
void watch_jail(struct master *); /* the system's files that jails have copies of */
void watch_free(struct master *);
void watch_opened(struct proc *, const char *path);
void watch_open_for(struct proc *, const struct control_fields *);

#endif
