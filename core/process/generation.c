/* SPDX-License-Identifier: Apache-2.0
 * One configuration: read, planned, opened, and given up again. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "process/jail.h"
#include "process/logging.h"
#include "process/master_state.h"
#include "process/paths.h"

static void add_duty(void *ctx, const struct duty_plan *plan)
{
	struct generation *g = ctx;
	struct duty *d = MEM_NEW(struct duty);
	d->generation = g;
	d->plan = *plan;
	struct duty **end = &g->duties;
	while (*end)
		end = &(*end)->next;
	*end = d;
}

static struct generation *generation_of(struct master *m, struct config *c, struct findings *findings)
{
	struct ost_why why;
	struct generation *g = MEM_NEW(struct generation);
	g->master = m;
	g->config = c;
	g->number = m->last_number + 1;
	g->log_fd = -1;
	config_check(c, findings);
	duties_plan(c, m->rootless, add_duty, g, findings);
	g->snapshot = config_snapshot(c, &why);
	if (g->snapshot < 0)
		findings_add(findings, FINDING_FATAL, "%s", why.text);
	if (findings_fatal(findings))
		generation_free(m, &g);
	return g;
}

struct generation *generation_read(struct master *m, struct findings *findings)
{
	struct config *c = config_read(m->config_dir, NULL, findings);
	return c ? generation_of(m, c, findings) : NULL;
}

struct generation *generation_from(struct master *m, int snapshot, struct findings *findings)
{
	struct ost_why why = { "" };
	struct config *c = config_from_snapshot(snapshot, &why);
	if (!c)
		findings_add(findings, FINDING_FATAL, "%s", why.text);
	return c ? generation_of(m, c, findings) : NULL;
}

static bool any_chroot(const struct generation *g)
{
	for (const struct duty *d = g->duties; d; d = d->next) {
		if (d->plan.line && d->plan.line->chroot)
			return true;
	}
	return false;
}

/* Sockets that are not columns of master.cf: where commands reach a role. */
static const struct {
	const char *role;
	enum instance_place place;
} command_sockets[] = {
	{ "pickup", PLACE_PICKUP },
	{ "qmgr", PLACE_QMGR },
};

static bool open_listeners(struct master *m, struct generation *g, int64_t patience, struct ost_why *why)
{
	for (struct duty *d = g->duties; d; d = d->next) {
		if (d->listeners.count > 0)
			continue;
		if (d->plan.line && strcmp(d->plan.role, "smtpd") == 0 &&
		    !listen_service(&m->listeners, &d->listeners, d->plan.line, patience, why))
			return false;
		for (size_t i = 0; i < sizeof command_sockets / sizeof command_sockets[0]; i++) {
			if (strcmp(d->plan.role, command_sockets[i].role) != 0)
				continue;
			char *path = instance_path(config_main_view(g->config), command_sockets[i].place);
			bool ok = listen_ipc(&m->listeners, &d->listeners, path, 0666, why);
			free(path);
			if (!ok)
				return false;
		}
	}
	return true;
}

bool generation_open(struct master *m, struct generation *g, int64_t patience, struct ost_why *why)
{
	const struct cfg_view *view = config_main_view(g->config);
	if (g->log_fd < 0)
		g->log_fd = logging_file(view, why);
	if (g->log_fd == -2) {
		g->log_fd = -1;
		return false;
	}
	if (!m->rootless && any_chroot(g)) {
		if (!jail_prepare(view, why))
			return false;
		watch_jail(m);
	}
	return open_listeners(m, g, patience, why);
}

void generation_free(struct master *m, struct generation **gp)
{
	struct generation *g = *gp;
	if (!g)
		return;
	while (g->duties) {
		struct duty *d = g->duties;
		g->duties = d->next;
		listen_release(&m->listeners, &d->listeners);
		if (d->timer)
			event_free(d->timer);
		free(d);
	}
	config_destroy(&g->config);
	io_close(&g->snapshot);
	io_close(&g->log_fd);
	free(g);
	*gp = NULL;
}

struct duty *generation_duty(struct generation *g, const char *role, const char *name)
{
	struct duty *d = g->duties;
	while (d && (strcmp(d->plan.role, role) != 0 || (name && strcmp(d->plan.name, name) != 0)))
		d = d->next;
	return d;
}
