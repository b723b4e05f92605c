/* SPDX-License-Identifier: Apache-2.0
 * What the master and its processes say to each other over the control link (descriptor 3 of a process), what
 * the broker says to its children over theirs, and what the commands say to the master. All are messages of
 * ipc/link.h. */
#ifndef PROCESS_CONTROL_H
#define PROCESS_CONTROL_H

#include "ipc/link.h"
#include "ipc/protocol.h"

enum { CONTROL_FD = 3 };

enum control_type {
	/* master -> process: the start */
	CTL_GIVE = M_PROCESS_FIRST, /* K_WHAT (enum given) and the descriptors themselves */
	CTL_START,                  /* the K_ fields below; everything has been given */
	/* master -> process: from then on */
	CTL_STOP,
	CTL_RETIRE,
	CTL_FILES,
	CTL_HUNG,      /* a module call is far beyond its deadline: F_REASON */
	CTL_DIED,      /* F_REASON: "role name pid" */
	CTL_PEER,      /* F_REASON: "role name pid", a descriptor */
	CTL_AGENTS,    /* F_REASON: "name pid" lines */
	CTL_CONNECTED, /* F_ID; a descriptor, or F_REASON why not */
	CTL_OPENED,    /* F_ID; a descriptor, or F_REASON why not */
	/* process -> master */
	CTL_READY,
	CTL_RETIRED, /* the role has been told: it takes no new sessions any more */
	CTL_LEAVING, /* serve() is through: the exit status that follows is its own */
	CTL_FAILED,  /* F_REASON: why the start failed */
	CTL_CONNECT, /* F_ID, F_NAME: the role wanted */
	CTL_WANT,    /* F_NAME: an agent's service */
	CTL_OPEN,    /* F_ID, F_NAME: a path */
	CTL_WATCH,   /* F_NAME: a path that was opened */
	CTL_FINDING, /* role check: F_KIND (enum finding_grade), F_REASON */
	/* command -> master -> command */
	CTL_COMMAND, /* F_NAME: "reload", "stop", "status" */
	CTL_LINE,    /* F_REASON: a line to be printed; F_KIND 1: on standard error */
	CTL_DONE,    /* F_STATUS: exit status */
	/* agent <-> broker */
	CTL_TAKE,         /* F_ID, K_NAMED or K_UID and K_GID, K_PATH */
	CTL_TAKEN,        /* F_ID, F_STATUS (enum broker_refusal), F_REASON, the job link's descriptor */
	CTL_MAILBOX,      /* F_ID, K_NAMED, K_PATH */
	CTL_MAILBOXED,    /* F_ID, F_STATUS (enum mailbox_outcome), F_REASON, the mailbox's descriptor */
	CTL_MAILBOX_DONE, /* K_NAMED, K_PATH */
	CTL_DROP, /* F_ID of CTL_TAKEN: this child is not used any more; it is killed unless it ends */
	/* broker <- its child that looks a user up */
	CTL_FOUND, /* F_STATUS (enum broker_refusal), K_UID, K_GID, K_HOME, F_REASON */
};

enum mailbox_outcome { MAILBOX_OPEN = 0, MAILBOX_LOCKED, MAILBOX_FAILED };

enum given { GIVE_SNAPSHOT = 1, GIVE_PAGE, GIVE_COUNTERS, GIVE_LOG, GIVE_LISTEN, GIVE_JOB };

enum control_field {
	K_WHAT = F_FIELD_FIRST_FREE,
	K_SERVICE, /* the name in the log and in messages */
	K_LINE,    /* master.cf: index of the service in config_services(), plus 1; 0: none */
	K_GENERATION,
	K_ROOTLESS,
	K_COLUMN, /* of the counters */
	K_STDERR, /* log lines go to standard error too */
	K_NAMED,  /* a user by name */
	K_UID,
	K_GID,
	K_HOME,
	K_PATH,
};

/* The field as a terminated string in a fixed array; false when it does not fit or holds a NUL. */
bool control_text(const struct tlv *, char *out, size_t size);

/* A message with a few fields, read at once. */
struct control_fields {
	uint64_t id, status, kind, line, generation, column, uid, gid, what;
	bool rootless, to_stderr, has_uid;
	char name[512], reason[4096], service[128], home[512], path[1024];
};
/* False: not a message of ours. A text that does not fit makes it false as well. */
bool control_read(const struct ipc_message *, struct control_fields *);
/* Closes what a message brought that nobody takes. */
void control_drop_fds(struct ipc_message *);

#endif
