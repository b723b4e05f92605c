/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/sys_fault.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"

enum { ANY_STEP = -1, DIE = -2, DELAY = -3 };
enum { DELAY_MS = 200 };

struct fault {
	int step, action;
	unsigned n;
	bool later_too;
	_Atomic unsigned seen;
};

static const struct {
	const char *name;
	int value;
} steps[] = {
	{ "create", SYS_CREATE }, { "write", SYS_WRITE }, { "sync", SYS_SYNC },     { "folder", SYS_SYNC_FOLDER },
	{ "rename", SYS_RENAME }, { "link", SYS_LINK },   { "unlink", SYS_UNLINK }, { "truncate", SYS_TRUNCATE },
	{ "any", ANY_STEP },
}, actions[] = {
	{ "die", DIE }, { "torn", SYS_TORN }, { "delay", DELAY }, { "EIO", EIO }, { "ENOSPC", ENOSPC }, { "EDQUOT", EDQUOT },
};

/* The hook. */
static int fault(void *ctx, const struct sys_call *c)
{
	struct fault *f = ctx;
	if (f->step != ANY_STEP && f->step != (int)c->step)
		return 0;
	unsigned n = atomic_fetch_add(&f->seen, 1) + 1;
	if (n < f->n || (n > f->n && !f->later_too))
		return 0;
	if (f->action == DIE)
		raise(SIGKILL);
	if (f->action == DELAY) {
		nanosleep(&(struct timespec){ .tv_nsec = DELAY_MS * 1000000L }, NULL);
		return 0;
	}
	return f->action == SYS_TORN && c->step != SYS_WRITE ? 0 : f->action;
}

/* Parses "STEP:N:ACTION"; the text is changed. */
static bool parse(char *text, struct fault *f)
{
	char *n = strchr(text, ':'), *action = n ? strchr(n + 1, ':') : NULL, *end;
	bool step_known = false, action_known = false;
	if (!action)
		return false;
	*n++ = '\0';
	*action++ = '\0';
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
		if (strcmp(text, steps[i].name) == 0) {
			f->step = steps[i].value;
			step_known = true;
		}
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
		if (strcmp(action, actions[i].name) == 0) {
			f->action = actions[i].value;
			action_known = true;
		}
	f->n = (unsigned)strtoul(n, &end, 10);
	f->later_too = *end == '+';
	return step_known && action_known && f->n > 0 && end[f->later_too] == '\0';
}

bool sys_fault_from_environment(struct sys *s)
{
	const char *wish = getenv("OST_SPOOL_FAULT");
	if (!wish || s->hook)
		return true;
	struct fault *f = MEM_NEW(struct fault);
	char *copy = mem_strdup(wish);
	bool ok = parse(copy, f);
	free(copy);
	if (!ok) {
		free(f);
		return false;
	}
	log_warning("spool: steps fail on request: OST_SPOOL_FAULT=%s", wish);
	*s = (struct sys){ .hook = fault, .ctx = f };
	return true;
}

void sys_fault_free(struct sys *s)
{
	if (s->hook == fault)
		free(s->ctx);
	*s = (struct sys){ 0 };
}
