/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"
#include "config/usage.h"

/* Daemons whose services have parameters of their own, and which. */
enum { TRANSPORTS = BY_SMTP | BY_LMTP | BY_LOCAL | BY_VIRTUAL | BY_PIPE | BY_ERROR };

/* Does a service of this command have the parameters of the family? */
static bool has_family(const char *command, const struct param_family *f)
{
	unsigned bit = daemon_bit(command);
	if (f->daemons & BY_QMGR)
		return (bit & TRANSPORTS) || !bit;
	return (bit & f->daemons) && bit != BY_LOCAL;
}

/* Names derived from one service. */
static void add_derived(const struct service *s, struct dict *names, struct arena *arena)
{
	const struct param_family *f;
	if (s->type != SERVICE_UNIX)
		return;
	for (size_t i = 0; (f = param_family(i)) != NULL; i++)
		if (has_family(s->command, f))
			dict_set(names, arena_printf(arena, "%s%s", s->name, f->suffix), "", "");
}

size_t config_names(const struct config *c, struct arena *arena, const char *const **list)
{
	CHECK_MAGIC(c, CONFIG_MAGIC);
	struct dict *names = dict_new(arena);
	const struct param *p;
	for (size_t i = 0; (p = param_at(i)) != NULL; i++)
		dict_set(names, p->name, "", "");
	for (size_t i = 0; i < c->service_count; i++)
		add_derived(c->services[i], names, arena);
	const struct usage *usage = usage_new(c, NULL, NULL, arena);
	const struct dict_entry *const *entries;
	size_t n = dict_list(c->main, DICT_BY_NAME, &entries, arena);
	for (size_t i = 0; i < n; i++)
		if (usage_has(usage, entries[i]->name))
			dict_set(names, entries[i]->name, "", "");
	n = dict_list(names, DICT_BY_NAME, &entries, arena);
	const char **out = arena_alloc(arena, (n + 1) * sizeof *out);
	for (size_t i = 0; i < n; i++)
		out[i] = entries[i]->name;
	*list = out;
	return n;
}

const char *config_set_value(const struct config *c, const char *name)
{
	CHECK_MAGIC(c, CONFIG_MAGIC);
	const struct dict_entry *e = dict_get(c->main, name);
	return e ? e->value : NULL;
}

/* Is the name derived from a service that master.cf does not have? */
static bool is_orphan(const struct config *c, const char *name)
{
	size_t len;
	const struct param_family *f = param_find(name) ? NULL : param_family_of(name, &len);
	for (size_t i = 0; f && i < c->service_count; i++) {
		const struct service *s = c->services[i];
		if (s->type == SERVICE_UNIX && strlen(s->name) == len && !memcmp(s->name, name, len) &&
		    has_family(s->command, f))
			return false;
	}
	return f != NULL;
}

const char *config_default_value(const struct config *c, const char *name)
{
	CHECK_MAGIC(c, CONFIG_MAGIC);
	if (is_orphan(c, name))
		return NULL;
	return view_default(c->view, name);
}

const char *config_builtin_value(const struct config *c, struct arena *arena, const char *name)
{
	CHECK_MAGIC(c, CONFIG_MAGIC);
	if (strcmp(name, "mydomain") != 0 && strcmp(name, "mynetworks") != 0 &&
	    strcmp(name, "myhostname") != 0)
		return config_default_value(c, name);
	struct config bare = *c;
	bare.arena = arena;
	bare.main = dict_new(arena);
	bare.view = NULL;
	struct findings *findings = findings_new();
	const struct cfg_view *view = view_new(&bare, NULL, BY_ALL, "", "", findings);
	const char *value = view_default(view, name);
	view_close(view);
	findings_destroy(&findings);
	return value;
}
