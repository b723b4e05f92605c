/* SPDX-License-Identifier: Apache-2.0
 * One local submission on its way into the spool, from wherever its records come. */
#ifndef PICKUP_INTAKE_H
#define PICKUP_INTAKE_H

#include "base/why.h"
#include "cleanup/cleanup.h"
#include "config/config.h"
#include "pickup/drop.h"
#include "spool/spool.h"

struct post; /* what all submissions of the process share; constant once made */

/* Opens the tables. The spool is set later, before the first submission. */
struct post *post_open(const struct cfg_view *, const struct config *, struct ost_why *);
void post_close(struct post **);
void post_set_spool(struct post *, struct spool *, struct spool_writer *);

struct intake_result {
	int status;       /* sysexits: EX_OK when it is on stable storage */
	char queue_id[QUEUE_ID_SIZE];
	char reason[200]; /* when it is not */
	char identity[DROP_NAME_LEN + 1]; /* remembered with it, until the client has its answer; empty: none */
};

struct intake;
/* uid: the submitter, by the kernel's word. */
struct intake *intake_new(const struct post *, unsigned uid);
void intake_free(struct intake **); /* accepts NULL; drops what was not finished */
/* The body of an M_SUBMIT message. False: malformed, or too much; intake_finish() says so. */
bool intake_envelope(struct intake *, const char *p, size_t n);
bool intake_data(struct intake *, const char *p, size_t n);
/* Stores the message, waiting for it. name: of the maildrop file, or NULL: then the envelope may hold the name that such a
 * file would have. What was stored under a name already is not stored again. */
void intake_finish(struct intake *, const char *name, struct intake_result *);

#endif
