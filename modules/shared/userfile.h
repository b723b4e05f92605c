/* SPDX-License-Identifier: Apache-2.0
 * What virtual and local do as the user: Maildir and mailbox files. The job's args are what mail_args() made. */
#ifndef SHARED_USERFILE_H
#define SHARED_USERFILE_H

#include "ostler/transport.h"

struct userfile_options { /* a part of the module's config: USERFILE_PARAMS() */
	int64_t size_limit;    /* of a mailbox file, or of one Maildir message; 0: none */
	const char *locks;     /* "fcntl, dotlock": how a mailbox file is locked */
	int64_t lock_attempts;
	int64_t lock_delay;    /* microseconds */
	int64_t stale_lock;    /* microseconds: a dot lock older than that is left over */
	bool strict_owner;     /* strict_mailbox_ownership */
	bool original;         /* X-Original-To: enable_original_recipient */
};

/* Their lines in the module's list of parameters; `member` is the struct userfile_options in `config`. The size limit and the
 * kinds of locks have names of the module's own. */
#define USERFILE_PARAMS(config, member, limit_name, locks_name)                                                             \
	{ .name = limit_name, OST_PARAM_AT(config, member.size_limit, OST_PARAM_SIZE), .defval = "51200000",                \
	  .max = INT64_MAX, .help = "Largest mailbox file, or Maildir message (0: no limit)." },                            \
	{ .name = locks_name, OST_PARAM_AT(config, member.locks, OST_PARAM_STRING), .defval = "fcntl, dotlock",             \
	  .help = "How a mailbox file is locked: fcntl, flock, dotlock." },                                                 \
	{ .name = "deliver_lock_attempts", OST_PARAM_AT(config, member.lock_attempts, OST_PARAM_INT), .defval = "20",       \
	  .min = 1, .max = INT32_MAX, .help = "How often a mailbox lock is tried." },                                       \
	{ .name = "deliver_lock_delay", OST_PARAM_AT(config, member.lock_delay, OST_PARAM_TIME), .defval = "1s",            \
	  .help = "Time between tries to lock a mailbox." },                                                                \
	{ .name = "stale_lock_time", OST_PARAM_AT(config, member.stale_lock, OST_PARAM_TIME), .defval = "500s",             \
	  .help = "When a mailbox lock file is taken for left over." },                                                     \
	{ .name = "strict_mailbox_ownership", OST_PARAM_AT(config, member.strict_owner, OST_PARAM_BOOL), .defval = "yes",   \
	  .help = "Put mail off when a mailbox file is not its user's." },                                                  \
	{ .name = "enable_original_recipient", OST_PARAM_AT(config, member.original, OST_PARAM_BOOL), .defval = "yes",      \
	  .help = "Add X-Original-To with the address as it was before aliases." }

/* user_write(), user_publish() and user_settle() of the transport: a path that ends in / is a Maildir, else a mailbox file. */
void userfile_write(const struct userfile_options *, struct ost_user_job *jobs, size_t n);
void userfile_publish(struct ost_user_job *jobs, size_t n);
void userfile_settle(struct ost_user_job *jobs, size_t n);

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

/* before: the job before it in the same call, or NULL: to the same Maildir, they share what is open. */
void maildir_write(const struct userfile_options *, struct ost_user_job *, const struct ost_user_job *before);
void maildir_publish(struct ost_user_job *);
void maildir_settle(struct ost_user_job *);
void mailbox_write(const struct userfile_options *, struct ost_user_job *);

/* Writes the message, as it is; 0 or errno. */
int message_copy(const struct ost_user_job *, int fd);
/* Calls each for pieces of the message, until one answers an errno. */
int message_each(const struct ost_user_job *, int (*each)(void *ctx, const char *p, size_t n), void *ctx);
/* write(2) until all is written; 0 or errno. */
int write_all(int fd, const char *p, size_t n);

#endif
