/* SPDX-License-Identifier: Apache-2.0
 * The parameter tables: params.def (what the core implements) and names.def (what it knows of Postfix's). */
#ifndef CONFIG_PARAM_H
#define CONFIG_PARAM_H

#include <stddef.h>
#include <stdint.h>

#include "config/daemons.h"
#include "config/view.h"

enum cfg_type { CFG_STR, CFG_RAW, CFG_INT, CFG_BOOL, CFG_TIME, CFG_SIZE };
enum cfg_grade {
	CFG_IMPLEMENTED,
	CFG_MISSING,   /* a function that is not there */
	CFG_NO_EFFECT, /* it has no effect, and nothing is lost */
	CFG_SILENT,    /* it says where documents are, and the like: nothing to tell about */
	CFG_WEAKENS,   /* what it protects is not protected: no start with it */
};

struct param {
	const char *name;
	enum cfg_type type;
	enum cfg_grade grade;
	const char *defval;
	int64_t min, max; /* of times in seconds; max 0: none */
	unsigned daemons; /* BY_… */
	const char *help; /* NULL for those of names.def */
};

const struct param *param_get(enum param_id);
/* In either table; NULL: not there. */
const struct param *param_find(const char *name);
/* Its number, -1 when it is not in params.def. */
int param_number(const struct param *);
/* All of both tables, sorted by name: the i-th, NULL behind the last one. */
const struct param *param_at(size_t i);

/* A family of derived parameters: <transport>_destination_concurrency_limit stands for one transport's
 * default_destination_concurrency_limit. */
struct param_family {
	const char *suffix; /* "_destination_concurrency_limit" */
	const char *defval; /* "$default_destination_concurrency_limit" */
	unsigned daemons;   /* which read the derived name */
	enum cfg_type type;
};
const struct param_family *param_family(size_t i); /* NULL behind the last one */
/* The family that a name belongs to, with the length of the transport's or service's name; NULL: none. */
const struct param_family *param_family_of(const char *name, size_t *service_len);
/* The family whose default the parameter is; NULL: none. */
const struct param_family *param_family_by_base(const char *base);

/* What Postfix says to use in place of a name that it has given up, "": nothing; NULL: it has not given it
 * up. */
const char *param_successor(const char *name);

/* The known name that is nearest to what somebody wrote, NULL when none is near. */
const char *param_nearest(const char *name);

#endif
