/* SPDX-License-Identifier: Apache-2.0
 * The modules of this process. */
#include "module/registry.h"

#include <limits.h>
#include <ltdl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "module/loader.h"
#include "module/module.h"
#include "ostler/host.h"

enum { DEFAULT_SECONDS = 30 }; /* without a configuration */

struct loaded { /* a module in memory; load() was called */
	struct loaded *next;
	char *file; /* as modules.cf has it */
	const struct ost_module *descriptor;
};

struct provider {
	struct provider *next;
	struct mod_provider pub;
	struct ost_ops *ops; /* what pub.ops points to */
};

/* Of the process, as its modules are. `lock` guards all members but `sealed`. */
static struct {
	pthread_mutex_t lock;
	const struct config *config; /* NULL: the modules in the program alone */
	unsigned trusted;            /* who may own modules, beside root */
	bool as_root;                /* see mod_permit_root() */
	_Atomic int64_t call_time;   /* ostler_module_timeout, microseconds */
	struct loaded *loaded;
	struct provider *providers;
	atomic_bool sealed;
} registry = { .lock = PTHREAD_MUTEX_INITIALIZER, .call_time = DEFAULT_SECONDS * CLOCK_SECOND };

void mod_init(const struct config *config)
{
	pthread_mutex_lock(&registry.lock);
	registry.config = config;
	registry.trusted = geteuid();
	if (config)
		atomic_store(&registry.call_time, cfg_time(config_main_view(config), P_ostler_module_timeout));
	pthread_mutex_unlock(&registry.lock);
	atomic_store(&registry.sealed, false);
}

int64_t mod_deadline(unsigned times)
{
	return clock_mono() + times * atomic_load_explicit(&registry.call_time, memory_order_relaxed);
}

void mod_trust_user(unsigned user)
{
	pthread_mutex_lock(&registry.lock);
	registry.trusted = user;
	pthread_mutex_unlock(&registry.lock);
}

void mod_permit_root(bool yes)
{
	pthread_mutex_lock(&registry.lock);
	registry.as_root = yes;
	pthread_mutex_unlock(&registry.lock);
}

void mod_seal(void)
{
	atomic_store(&registry.sealed, true);
}

/* Where a file of modules.cf is: in the module folder unless it names one itself. */
static void module_path(const char *file, char *path, size_t size)
{
	const char *folder = NULL;
	if (registry.config)
		folder = cfg_str(config_main_view(registry.config), P_ostler_module_directory);
	if (file[0] == '/')
		snprintf(path, size, "%s", file);
	else
		snprintf(path, size, "%s/%s", folder && *folder ? folder : OST_MODULEDIR, file);
}

/* The line of modules.cf for a kind and name. */
static const struct module_line *find_line(enum ost_kind kind, const char *name)
{
	const struct module_line *const *lines = NULL;
	size_t n = registry.config ? config_modules(registry.config, &lines) : 0;
	for (size_t i = 0; i < n; i++)
		if (lines[i]->kind == kind && strcmp(lines[i]->name, name) == 0)
			return lines[i];
	return NULL;
}

/* Opens and checks the module behind a file name; does not call it. path tells where it was found. */
static const struct ost_module *find_module(const char *file, char *path, size_t size, struct ost_why *why)
{
	char name[64];
	loader_module_name(file, name, sizeof name);
	const struct ost_module *m = loader_static(name);
	if (m) {
		snprintf(path, size, "(part of the program)");
	} else {
		module_path(file, path, size);
		m = loader_open(path, registry.trusted, why);
	}
	return m && loader_check(m, name, why) ? m : NULL;
}

/* The module behind a file name, loaded. */
static const struct ost_module *load_module(const char *file, char *path, size_t size, struct ost_why *why)
{
	for (struct loaded *l = registry.loaded; l; l = l->next) {
		if (strcmp(l->file, file) == 0) {
			snprintf(path, size, "%s", file);
			return l->descriptor;
		}
	}
	const struct ost_module *m = find_module(file, path, size, why);
	if (!m)
		return NULL;
	struct ost_why inner = { "" };
	mod_note(m->name, "load", mod_deadline(1));
	bool ok = !m->load || m->load(&mod_host, &inner);
	mod_note_end();
	if (!ok) {
		why_set(why, "its load() failed: %s", inner.text[0] ? inner.text : "no reason given");
		return NULL;
	}
	struct loaded *l = MEM_NEW(struct loaded);
	l->file = mem_strdup(file);
	l->descriptor = m;
	l->next = registry.loaded;
	registry.loaded = l;
	return m;
}

static struct provider *known_provider(enum ost_kind kind, const char *name)
{
	struct provider *p = registry.providers;
	while (p && !(p->pub.kind == kind && strcmp(p->pub.name, name) == 0))
		p = p->next;
	return p;
}

/* The file that provides kind and name: modules.cf decides; without a configuration it is the module of that name in
 * the program. NULL: not declared. */
static const char *declared_file(enum ost_kind kind, const char *name, const char **where)
{
	const struct module_line *line = find_line(kind, name);
	*where = line ? line->where : "";
	if (line)
		return line->file;
	return !registry.config && loader_static(name) ? name : NULL;
}

/* Loads the module for kind and name and keeps its operations. */
static struct provider *new_provider(enum ost_kind kind, const char *name, struct ost_why *why)
{
	const char *where, *file = declared_file(kind, name, &where);
	char path[PATH_MAX] = "";
	struct ost_why inner = { "" };
	if (!file) {
		why_set(why, "%s %s is not declared in modules.cf", loader_kind_name(kind), name);
		return NULL;
	}
	if (geteuid() == 0 && !registry.as_root) {
		why_set(why, "%s %s: modules are not loaded by root", loader_kind_name(kind), name);
		return NULL;
	}
	const struct ost_module *m = load_module(file, path, sizeof path, &inner);
	struct ost_ops *ops = m ? loader_ops(m, kind, name, &inner) : NULL;
	if (!ops) {
		why_set(why, "%s%smodule %s: %s", where, *where ? ": " : "", *path ? path : file, inner.text);
		return NULL;
	}
	struct provider *p = MEM_NEW(struct provider);
	p->ops = ops;
	p->pub = (struct mod_provider){ .kind = kind, .name = mem_strdup(name), .module = m->name, .ops = ops };
	p->next = registry.providers;
	registry.providers = p;
	return p;
}

const struct mod_provider *mod_find(enum ost_kind kind, const char *name, struct ost_why *why)
{
	pthread_mutex_lock(&registry.lock);
	struct provider *p = known_provider(kind, name);
	if (!p && atomic_load(&registry.sealed))
		why_set(why, "%s %s was not loaded when this process started, and nothing is loaded any more",
			loader_kind_name(kind), name);
	else if (!p)
		p = new_provider(kind, name, why);
	pthread_mutex_unlock(&registry.lock);
	return p ? &p->pub : NULL;
}

/* One line of modules.cf, tried. load() is not called: a survey has no side effects. */
static void survey_line(const struct module_line *line, struct mod_report *report)
{
	report->line = line;
	if (geteuid() == 0 && !registry.as_root) {
		why_set(&report->why, "modules are not loaded by root");
		return;
	}
	report->descriptor = find_module(line->file, report->path, sizeof report->path, &report->why);
	struct ost_ops *ops =
		report->descriptor ? loader_ops(report->descriptor, line->kind, line->name, &report->why) : NULL;
	report->ok = ops != NULL;
	free(ops);
}

void mod_survey(void (*each)(void *ctx, const struct mod_report *), void *ctx)
{
	const struct module_line *const *lines = NULL;
	pthread_mutex_lock(&registry.lock);
	size_t n = registry.config ? config_modules(registry.config, &lines) : 0;
	pthread_mutex_unlock(&registry.lock);
	for (size_t i = 0; i < n; i++) {
		struct mod_report report = { 0 };
		pthread_mutex_lock(&registry.lock);
		survey_line(lines[i], &report);
		pthread_mutex_unlock(&registry.lock);
		each(ctx, &report);
	}
}

void mod_shutdown(void)
{
	mod_instances_shutdown();
	pthread_mutex_lock(&registry.lock);
	while (registry.providers) {
		struct provider *p = registry.providers;
		registry.providers = p->next;
		free((void *)(uintptr_t)p->pub.name);
		free(p->ops);
		free(p);
	}
	/* The objects stay mapped: threads of their libraries may still be ending, and leak checkers want their names. */
	while (registry.loaded) {
		struct loaded *l = registry.loaded;
		registry.loaded = l->next;
		if (l->descriptor->unload) {
			mod_note(l->descriptor->name, "unload", mod_deadline(1));
			l->descriptor->unload();
			mod_note_end();
		}
		free(l->file);
		free(l);
	}
	registry.config = NULL;
	pthread_mutex_unlock(&registry.lock);
}
