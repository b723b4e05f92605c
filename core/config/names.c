/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"
#include "config/userparams.h"

/* Daemons whose services have parameters of their own, and which. */
enum { TRANSPORTS = BY_SMTP | BY_LMTP | BY_LOCAL | BY_VIRTUAL | BY_PIPE | BY_ERROR };

/* Does a service of this command have the parameters of the family? */
static bool has_family(const struct service *s, const struct param_family *f)
{
	unsigned bit = daemon_bit(s->command);
	if (bit == BY_SPAWN) /* of any type, and no transport */
		return (f->daemons & BY_SPAWN) != 0;
	if (s->type != SERVICE_UNIX)
		return false;
	if (f->daemons & BY_QMGR)
		return (bit & TRANSPORTS) || !bit;
	return (bit & f->daemons) && bit != BY_LOCAL;
}

/* Names derived from one service. */
static void add_derived(const struct service *s, struct dict *names, struct arena *arena)
{
	const struct param_family *f;
	for (size_t i = 0; (f = param_family(i)) != NULL; i++) {
		const char *name = arena_printf(arena, "%s%s", s->name, f->suffix);
		if (has_family(s, f) && !param_find(name))
			dict_set(names, name, "", "");
	}
}

/* Names of main.cf that mean something although no table has them. */
static void add_user(const struct config *c, struct dict *names, struct arena *arena)
{
	const struct userparams *user = userparams_new(c, arena);
	const struct dict_entry *const *entries;
	size_t n = dict_list(c->main, DICT_AS_SET, &entries, arena);
	for (size_t i = 0; i < n; i++)
		if (userparams_has(user, entries[i]->name) && !config_default_value(c, entries[i]->name))
			dict_set(names, entries[i]->name, "", "");
}

size_t config_names(const struct config *c, unsigned classes, struct arena *arena, const char *const **list)
{
	CHECK_MAGIC(c, CONFIG_MAGIC);
	struct dict *names = dict_new(arena);
	const struct param *p;
	for (size_t i = 0; (classes & NAMES_BUILTIN) && (p = param_at(i)) != NULL; i++)
		dict_set(names, p->name, "", "");
	for (size_t i = 0; (classes & NAMES_SERVICE) && i < c->service_count; i++)
		add_derived(c->services[i], names, arena);
	if (classes & NAMES_USER)
		add_user(c, names, arena);
	const struct dict_entry *const *entries;
	size_t n = dict_list(names, DICT_BY_NAME, &entries, arena);
	const char **out = arena_alloc(arena, (n + 1) * sizeof *out);
	for (size_t i = 0; i < n; i++)
		out[i] = entries[i]->name;
	*list = out;
	return n;
}

bool config_name_exists(const struct config *c, const char *name)
{
	CHECK_MAGIC(c, CONFIG_MAGIC);
	if (config_default_value(c, name))
		return true;
	struct arena *arena = arena_new();
	bool used = dict_get(c->main, name) && userparams_has(userparams_new(c, arena), name);
	arena_destroy(&arena);
	return used;
}

const char *config_set_where(const struct config *c, const char *name)
{
	CHECK_MAGIC(c, CONFIG_MAGIC);
	const struct dict_entry *e = dict_get(c->main, name);
	return e ? e->where : NULL;
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
		if (strlen(s->name) == len && !memcmp(s->name, name, len) && has_family(s, f))
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
