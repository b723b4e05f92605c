/* SPDX-License-Identifier: Apache-2.0
 * What virtual and local do as the user: Maildir and mailbox files. The job's args are what mail_args() made. */
#ifndef SHARED_USERFILE_H
#define SHARED_USERFILE_H

#include "ostler/transport.h"

struct userfile_options { /* from the module's parameters */
	int64_t size_limit;    /* of a mailbox file, or of one Maildir message; 0: none */
	const char *locks;     /* "fcntl, dotlock": how a mailbox file is locked */
	int64_t lock_attempts;
	int64_t lock_delay;    /* microseconds */
	int64_t stale_lock;    /* microseconds: a dot lock older than that is left over */
	bool strict_owner;     /* strict_mailbox_ownership */
};

/* user_write() and user_publish() of the transport: a path that ends in / is a Maildir, else a mailbox file. */
void userfile_write(const struct userfile_options *, struct ost_user_job *jobs, size_t n);
void userfile_publish(struct ost_user_job *jobs, size_t n);

/* ---- between the files of this ----------------------------------------------------------------------------------------- */
struct mail_head { /* the args of a job, taken apart */
	const char *from_line;       /* "From sender date" of a mailbox file, LF at its end */
	size_t from_len;
	const char *headers;         /* Return-Path, X-Original-To, Delivered-To */
	size_t headers_len;
};
bool mail_head_of(const struct ost_user_job *, struct mail_head *);
/* Where a job's path starts: its home folder, or, for an absolute path, the folder that holds what it names. *rest is what
 * follows; *opened is to be closed afterwards when it is not -1. -1 with errno. */
int job_base(const struct ost_user_job *, const char **rest, int *opened);
/* A failure by errno, in Postfix's words and codes: "WHAT: REASON". */
void job_failed(struct ost_user_job *, const char *what, int error);

void maildir_write(const struct userfile_options *, struct ost_user_job *);
void maildir_publish(struct ost_user_job *);
void mailbox_write(const struct userfile_options *, struct ost_user_job *);

/* Writes the message, as it is; 0 or errno. */
int message_copy(const struct ost_user_job *, int fd);
/* Calls each for pieces of the message, until one answers an errno. */
int message_each(const struct ost_user_job *, int (*each)(void *ctx, const char *p, size_t n), void *ctx);
/* write(2) until all is written; 0 or errno. */
int write_all(int fd, const char *p, size_t n);

#endif
