/* SPDX-License-Identifier: Apache-2.0 */
#include "config/usage.h"

#include <ctype.h>
#include <string.h>

#include "config/dbms.h"
#include "config/internal.h"

struct usage {
	const struct config *config;
	bool (*known)(void *ctx, const char *name);
	void *ctx;
	struct arena *arena;
	struct dict *used;
};

static void add_text(struct usage *, const char *text);

/* Notes one name, and what its values use in turn. */
static void add_name(struct usage *u, const char *name)
{
	if (dict_get(u->used, name))
		return;
	dict_set(u->used, name, "", "");
	const struct dict_entry *e = dict_get(u->config->main, name);
	if (e)
		add_text(u, e->value);
	for (size_t i = 0; i < u->config->service_count; i++) {
		e = dict_get(u->config->services[i]->overlay, name);
		if (e)
			add_text(u, e->value);
	}
}

/* Notes the names behind the dollars of a text. */
static void add_text(struct usage *u, const char *text)
{
	while ((text = strchr(text, '$')) != NULL) {
		text++;
		if (*text == '$') {
			text++;
			continue;
		}
		if (*text == '{' || *text == '(')
			text++;
		while (isspace((unsigned char)*text))
			text++;
		size_t n = 0;
		while (isalnum((unsigned char)text[n]) || text[n] == '_')
			n++;
		if (n)
			add_name(u, arena_strndup(u->arena, text, n));
		text += n;
	}
}

/* dbms_each(): parameters of main.cf that the client of this name reads. */
static void add_client(void *ctx, const struct dbms *d, const char *name)
{
	struct usage *u = ctx;
	const struct dict_entry *const *list;
	size_t len = strlen(name), n = dict_list(u->config->main, DICT_AS_SET, &list, u->arena);
	for (size_t i = 0; i < n && !dbms_is_file(name); i++)
		if (!strncmp(list[i]->name, name, len) && list[i]->name[len] == '_' &&
		    dbms_knows(d, list[i]->name + len + 1))
			add_name(u, list[i]->name);
}

/* Is the name a parameter, so that its value counts? */
static bool is_parameter(const struct usage *u, const char *name)
{
	return param_find(name) || param_family_of(name, NULL) || param_successor(name) ||
	       (u->known && u->known(u->ctx, name));
}

/* Notes what the parameters in one file's or line's settings use. */
static void add_settings(struct usage *u, const struct dict *settings)
{
	const struct dict_entry *const *list;
	size_t n = settings ? dict_list(settings, DICT_AS_SET, &list, u->arena) : 0;
	for (size_t i = 0; i < n; i++) {
		if (!is_parameter(u, list[i]->name))
			continue;
		add_text(u, list[i]->value);
		dbms_each(list[i]->value, add_client, u);
		if (strcmp(list[i]->name, "smtpd_restriction_classes") != 0)
			continue;
		for (const char **class = cfg_split(u->arena, list[i]->value); *class; class ++)
			add_name(u, *class);
	}
}

struct usage *usage_new(const struct config *c, bool (*known)(void *ctx, const char *name), void *ctx,
			struct arena *arena)
{
	struct usage *u = ARENA_NEW(arena, struct usage);
	*u = (struct usage){
		.config = c, .known = known, .ctx = ctx, .arena = arena, .used = dict_new(arena)
	};
	const struct param *p;
	for (size_t i = 0; (p = param_at(i)) != NULL; i++)
		add_text(u, p->defval);
	add_settings(u, c->main);
	for (size_t i = 0; i < c->service_count; i++)
		add_settings(u, c->services[i]->overlay);
	return u;
}

bool usage_has(const struct usage *u, const char *name)
{
	return dict_get(u->used, name) != NULL;
}
