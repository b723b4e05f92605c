/* SPDX-License-Identifier: Apache-2.0
 * Processes of a master that was killed. Their control links have ended, so they finish what they have in
 * hand and end by themselves. Until then nobody is given their columns, qmgr knows of the agents among them,
 * and who takes too long is killed. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "process/master_state.h"

struct orphan {
	struct orphan *next;
	unsigned slot;
	int64_t kill_at; /* clock_mono() */
	struct roster_row row;
};

/* How long each kind may take; others have nothing to finish. */
static const struct {
	const char *role;
	int seconds;
} patience[] = {
	{ "agent", 30 },
	{ "broker", 30 },
	{ "smtpd", 12 },
};
enum { SECONDS_OF_OTHERS = 5 };

static int seconds_for(const char *role)
{
	for (size_t i = 0; i < sizeof patience / sizeof patience[0]; i++) {
		if (strcmp(patience[i].role, role) == 0)
			return patience[i].seconds;
	}
	return SECONDS_OF_OTHERS;
}

void orphans_adopt(struct master *m)
{
	int64_t now = clock_mono();
	unsigned count = 0;
	for (unsigned slot = 0; slot < COUNTER_COLUMNS; slot++) {
		struct roster_row row;
		if (!roster_alive(m->roster, slot, &row))
			continue;
		struct orphan *o = MEM_NEW(struct orphan);
		o->slot = slot;
		o->row = row;
		o->kill_at = now + seconds_for(row.role) * CLOCK_SECOND;
		o->next = m->orphans;
		m->orphans = o;
		m->column_used[slot] = true;
		count++;
	}
	if (count > 0)
		log_info("%u processes of the former master finish their work", count);
}

void orphans_agents(const struct master *m, struct buf *list)
{
	for (const struct orphan *o = m->orphans; o; o = o->next) {
		if (strcmp(o->row.role, "agent") == 0)
			buf_printf(list, "%s %d\n", o->row.service, (int)o->row.pid);
	}
}

static bool is_alive(struct master *m, const struct orphan *o)
{
	struct roster_row row;
	return roster_alive(m->roster, o->slot, &row) && row.pid == o->row.pid;
}

static void kill_it(const struct orphan *o)
{
	log_warning("process %s %s pid %d of the former master does not end: killing it", o->row.role,
		    o->row.service, (int)o->row.pid);
	kill(o->row.pid, SIGKILL);
}

void orphans_tick(struct master *m, int64_t now)
{
	for (struct orphan **at = &m->orphans; *at;) {
		struct orphan *o = *at;
		if (is_alive(m, o)) {
			if (now >= o->kill_at) {
				kill_it(o);
				o->kill_at = CLOCK_NEVER;
			}
			at = &o->next;
			continue;
		}
		*at = o->next;
		m->column_used[o->slot] = false;
		procs_tell_end(m, o->row.role, o->row.service, o->row.pid);
		free(o);
	}
}

bool orphans_kill(struct master *m, const char *role)
{
	bool any = false;
	for (struct orphan *o = m->orphans; o; o = o->next) {
		if (strcmp(o->row.role, role) != 0 || !is_alive(m, o))
			continue;
		kill_it(o);
		o->kill_at = CLOCK_NEVER;
		any = true;
	}
	return any;
}

void orphans_free(struct master *m)
{
	while (m->orphans) {
		struct orphan *o = m->orphans;
		m->orphans = o->next;
		free(o);
	}
}
