/* SPDX-License-Identifier: Apache-2.0
 * What the lines of master.cf mean here: which of them become processes of which role, and which name work
 * that the core does itself. A duty is one service that the master keeps processes for. */
#ifndef PROCESS_DUTIES_H
#define PROCESS_DUTIES_H

#include "config/config.h"

enum duty_kind {
	DUTY_ALWAYS,    /* runs from the start to the end */
	DUTY_ON_DEMAND, /* an agent: started when qmgr wants it; proxymap: when somebody asks for a link to it */
};

struct duty_plan {
	enum duty_kind kind;
	const char *role;
	const char *name;           /* in the log: the service's name, or the role */
	const struct service *line; /* NULL: a process without a line */
	unsigned line_number;       /* index in config_services() plus 1; 0 */
	unsigned processes;
	bool root;    /* keeps root: the broker */
	bool modules; /* may load modules: gets a page */
	bool broker;  /* an agent that may ask the broker */
};

/* Calls each for every duty; findings tells lines that cannot be served. rootless: no broker. */
void duties_plan(const struct config *, bool rootless, void (*each)(void *ctx, const struct duty_plan *),
		 void *ctx, struct findings *);

/* May a process of this role ask for a link to a process of that role? */
bool duties_may_connect(const char *from, bool broker_allowed, const char *to);

#endif
