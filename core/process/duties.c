/* SPDX-License-Identifier: Apache-2.0 */
#include "process/duties.h"

#include <sched.h>
#include <string.h>

#include "ostler/module.h"
#include "process/roles.h"

enum serves {
	SERVES_LISTENER, /* a role with the line's sockets, several processes */
	SERVES_ONE,      /* a role with one process, always there */
	SERVES_CORE,     /* work that other roles do: nothing is started */
	SERVES_LATER,    /* Postfix has it, Ostler does not: said at check and start */
};

static const struct {
	const char *command; /* in master.cf */
	enum serves serves;
	const char *role;
	const char *instead; /* SERVES_LATER: what that means */
} commands[] = {
	{ "smtpd", SERVES_LISTENER, "smtpd", NULL },
	{ "pickup", SERVES_ONE, "pickup", NULL },
	{ "qmgr", SERVES_ONE, "qmgr", NULL },
	{ "nqmgr", SERVES_ONE, "qmgr", NULL },
	{ "oqmgr", SERVES_ONE, "qmgr", NULL },
	{ "trivial-rewrite", SERVES_ONE, "resolve", NULL },
	{ "bounce", SERVES_ONE, "bounce", NULL },
	{ "anvil", SERVES_CORE, NULL, NULL },
	{ "cleanup", SERVES_CORE, NULL, NULL },
	{ "flush", SERVES_CORE, NULL, NULL },
	{ "postlogd", SERVES_CORE, NULL, NULL },
	{ "proxymap", SERVES_ONE, "proxymap", NULL },
	{ "scache", SERVES_CORE, NULL, NULL },
	{ "showq", SERVES_CORE, NULL, NULL },
	{ "tlsmgr", SERVES_CORE, NULL, NULL },
	{ "tlsproxy", SERVES_CORE, NULL, NULL },
	{ "verify", SERVES_CORE, NULL, NULL },
	{ "dnsblog", SERVES_CORE, NULL, NULL },
	{ "postscreen", SERVES_LATER, NULL, "nothing listens on its address" },
	{ "qmqpd", SERVES_LATER, NULL, "nothing listens on its address" },
	{ "spawn", SERVES_LATER, NULL, "nothing listens on its socket" },
	{ "lmtp", SERVES_LATER, NULL, "mail for this transport is deferred" },
	{ "pipe", SERVES_LATER, NULL, "mail for this transport is deferred" },
};

/* Who may have a link to whom. */
static const struct {
	const char *from, *to;
} connections[] = {
	{ "smtpd", "qmgr" },   { "smtpd", "resolve" }, { "pickup", "qmgr" }, { "pickup", "resolve" },
	{ "qmgr", "resolve" }, { "qmgr", "bounce" },   { "bounce", "qmgr" }, { "agent", "qmgr" },
	{ "bounce", "resolve" }, { "smtpd", "proxymap" }, { "pickup", "proxymap" }, { "resolve", "proxymap" },
	{ "agent", "proxymap" },
};

bool duties_may_connect(const char *from, bool broker_allowed, const char *to)
{
	if (strcmp(to, "broker") == 0)
		return strcmp(from, "agent") == 0 && broker_allowed;
	for (size_t i = 0; i < sizeof connections / sizeof connections[0]; i++) {
		if (strcmp(connections[i].from, from) == 0 && strcmp(connections[i].to, to) == 0)
			return true;
	}
	return false;
}

/* ---- the plan ------------------------------------------------------------------------------------------------ */

struct planner {
	const struct config *config;
	void (*each)(void *ctx, const struct duty_plan *);
	void *ctx;
	struct findings *findings;
};

/* Which of several lines with the same command is the one: the name that a parameter says. */
static const struct {
	const char *role;
	enum param_id name;
	bool modules;
	bool may_lack; /* without a line in master.cf it does not run */
	enum duty_kind kind;
} singles[] = {
	{ "qmgr", P_queue_service_name, false, false, DUTY_ALWAYS },
	{ "resolve", P_rewrite_service_name, true, false, DUTY_ALWAYS },
	{ "bounce", P_bounce_service_name, false, false, DUTY_ALWAYS },
	{ "pickup", P_pickup_service_name, true, true, DUTY_ALWAYS },
	{ "proxymap", P_proxymap_service_name, true, false, DUTY_ON_DEMAND },
};

static unsigned cpus(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
	return n > 0 ? (unsigned)n : 1;
}

/* How many smtpd processes a line gets. */
static unsigned listener_processes(const struct service *line)
{
	int64_t set = cfg_int(line->view, P_ostler_worker_processes);
	unsigned n = set > 0 ? (unsigned)set : cpus();
	if (line->maxproc > 0 && n > (unsigned)line->maxproc)
		n = (unsigned)line->maxproc;
	return n;
}

/* Is the command the name of a transport that modules.cf declares? */
static bool is_transport(const struct config *c, const char *name)
{
	const struct module_line *const *list;
	size_t n = config_modules(c, &list);
	for (size_t i = 0; i < n; i++) {
		if (list[i]->kind == OST_KIND_TRANSPORT && strcmp(list[i]->name, name) == 0)
			return true;
	}
	return false;
}

static void plan_agent(struct planner *p, const struct service *line, unsigned number)
{
	struct duty_plan d = { .kind = DUTY_ON_DEMAND,
			       .role = "agent",
			       .name = line->name,
			       .line = line,
			       .line_number = number,
			       .processes = 1,
			       .modules = true,
			       .broker = !line->unpriv };
	p->each(p->ctx, &d);
}

static void plan_listener(struct planner *p, const struct service *line, unsigned number, const char *role)
{
	struct duty_plan d = { .kind = DUTY_ALWAYS,
			       .role = role,
			       .name = line->name,
			       .line = line,
			       .line_number = number,
			       .processes = listener_processes(line),
			       .modules = true };
	if (line->type == SERVICE_INET || line->type == SERVICE_UNIX)
		p->each(p->ctx, &d);
	else
		findings_add(p->findings, FINDING_WARNING,
			     "%s: service %s: no process is started for this type",
			     line->where, line->name);
}

static void plan_line(struct planner *p, const struct service *line, unsigned number)
{
	size_t n = sizeof commands / sizeof commands[0], i = 0;
	if (is_transport(p->config, line->command)) {
		if (line->type == SERVICE_UNIX)
			plan_agent(p, line, number);
		else
			findings_add(p->findings, FINDING_FATAL,
				     "%s: service %s: a transport's type must be unix",
				     line->where, line->name);
		return;
	}
	while (i < n && strcmp(commands[i].command, line->command) != 0)
		i++;
	if (i == n)
		findings_add(p->findings, FINDING_FATAL,
			     "%s: service %s: unknown command \"%s\": neither a service of "
			     "Ostler nor a transport of modules.cf",
			     line->where, line->name, line->command);
	else if (commands[i].serves == SERVES_LATER)
		findings_add(p->findings, FINDING_WARNING,
			     "%s: service %s: \"%s\" is not supported: %s", line->where,
			     line->name, line->command, commands[i].instead);
	else if (strcmp(line->command, "proxymap") == 0 && line->chroot)
		findings_add(p->findings, FINDING_WARNING,
			     "master.cf: line %d: service %s: its chroot column has no effect: it answers for services that are in a jail",
			     line->line, line->name);
	else if (commands[i].serves == SERVES_LISTENER)
		plan_listener(p, line, number, commands[i].role);
}

/* The line of a role that runs once; NULL: it runs without one. */
static const struct service *single_line(const struct config *c, const char *role, const char *name,
					 unsigned *number)
{
	const struct service *const *list;
	size_t n = config_services(c, &list);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < sizeof commands / sizeof commands[0]; k++) {
			if (commands[k].serves == SERVES_ONE && strcmp(commands[k].role, role) == 0 &&
			    strcmp(commands[k].command, list[i]->command) == 0 &&
			    strcmp(list[i]->name, name) == 0) {
				*number = (unsigned)i + 1;
				return list[i];
			}
		}
	}
	*number = 0;
	return NULL;
}

void duties_plan(const struct config *c, bool rootless, void (*each)(void *ctx, const struct duty_plan *),
		 void *ctx, struct findings *findings)
{
	struct planner p = { .config = c, .each = each, .ctx = ctx, .findings = findings };
	const struct cfg_view *view = config_main_view(c);
	for (size_t i = 0; i < sizeof singles / sizeof singles[0]; i++) {
		struct duty_plan d = { .kind = singles[i].kind,
				       .role = singles[i].role,
				       .name = singles[i].role,
				       .processes = 1,
				       .modules = singles[i].modules };
		d.line = single_line(c, d.role, cfg_str(view, singles[i].name), &d.line_number);
		if (d.line || !singles[i].may_lack)
			each(ctx, &d);
	}
	if (!rootless)
		each(ctx, &(struct duty_plan){ .kind = DUTY_ALWAYS,
					       .role = "broker",
					       .name = "broker",
					       .processes = 1,
					       .root = true });
	const struct service *const *list;
	size_t n = config_services(c, &list);
	for (size_t i = 0; i < n; i++)
		plan_line(&p, list[i], (unsigned)i + 1);
}
