/* SPDX-License-Identifier: Apache-2.0
 * The job protocol between an agent and a user's child: M_JOBS, one job each, the last of a group says so; the answer is one
 * M_JOBS_DONE with one F_RESULT per job, in order. Small messages travel in the body, large ones as a descriptor. */
#ifndef DELIVER_USERWIRE_H
#define DELIVER_USERWIRE_H

#include "base/arena.h"
#include "ipc/link.h"
#include "ostler/transport.h"

enum { USER_INLINE_MAX = 48 * 1024 }; /* content up to this size goes without a descriptor */

/* Queues one job; its descriptors are duplicated. False: the link is dead. */
bool userwire_send(struct ipc_link *, const struct ost_user_job *, bool last);
/* Takes a job out of an M_JOBS; strings and content go to the arena, descriptors become the job's. False: malformed. */
bool userwire_receive(struct arena *, struct ipc_message *, struct ost_user_job *, bool *last);

bool userwire_answer(struct ipc_link *, const struct ost_user_job *jobs, size_t n);
/* False: malformed, or not n answers. */
bool userwire_answered(const struct ipc_message *, struct ost_user_done *const *done, size_t n);

#endif
