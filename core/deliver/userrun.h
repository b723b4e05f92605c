/* SPDX-License-Identifier: Apache-2.0
 * Jobs done as a user, several at a time: written, synced, published, synced. In the child that has become the user, or,
 * rootless, in the agent itself. */
#ifndef DELIVER_USERRUN_H
#define DELIVER_USERRUN_H

#include "ostler/transport.h"

enum { USER_BATCH = 64 }; /* most jobs in one group */

/* The half of a transport module that runs as the user. */
struct user_half {
	const char *module; /* its name */
	const struct ost_transport_ops *ops;
	const void *config;
};
/* How often ostler_module_timeout a group of jobs may take in each of its two steps. */
enum { USER_TIMES = 10 };

/* Presets what a job starts with. */
void user_job_init(struct ost_user_job *);

struct syncer;

/* Does them all; each job's done says how it went. Its descriptors file_fd and dir_fd are closed. syncer NULL: one sync after
 * the other. */
void user_run(const struct user_half *, struct ost_user_job *jobs, size_t n, struct syncer *);
/* Sets a failure. */
void user_failed(struct ost_user_done *, enum ost_delivered, const char *dsn, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
