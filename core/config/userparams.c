/* SPDX-License-Identifier: Apache-2.0 */
#include "config/userparams.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "config/dbms.h"
#include "config/internal.h"

enum { CLIENT_FILE_BYTES = 1 << 20 };

struct userparams {
	const struct config *config;
	struct arena *arena;
	struct dict *used;  /* names of main.cf that something uses */
	struct dict *local; /* "service/type/name": -o of a line that the line itself uses */
	struct dict *seen;  /* texts of notes, so that each is given once */
	struct config_note *notes;
	size_t count, cap;
	/* What is being looked at: */
	const struct service *service; /* NULL: main.cf */
	bool defaults;                 /* a default: it may name what nobody has */
};

/* ---- notes ---- */

static void note(struct userparams *u, struct config_note n)
{
	const char *key = arena_printf(u->arena, "%s: %s", n.file, n.text);
	if (dict_get(u->seen, key))
		return;
	dict_set(u->seen, key, "", "");
	if (u->count == u->cap) {
		size_t cap = u->cap ? 2 * u->cap : 16;
		struct config_note *more = arena_alloc(u->arena, cap * sizeof *more);
		if (u->count)
			memcpy(more, u->notes, u->count * sizeof *more);
		u->notes = more;
		u->cap = cap;
	}
	u->notes[u->count++] = n;
}

static const char *unused_text(const struct userparams *u, const struct dict_entry *e)
{
	return arena_printf(u->arena, "unused parameter: %s=%s", e->name, e->value);
}

static const char *file_of(const struct userparams *u)
{
	return u->service ? "master.cf" : "main.cf";
}

/* ---- what uses what ---- */

static const char *local_key(const struct userparams *u, const struct service *s, const char *name)
{
	return arena_printf(u->arena, "%s/%s/%s", s->name, service_type_name(s->type), name);
}

/* A name that a value of main.cf, or of the line's -o, refers to. */
static void use_name(struct userparams *u, const char *name, const char *where)
{
	const struct dict *overlay = u->service ? u->service->overlay : NULL;
	if (dict_get(overlay, name)) {
		dict_set(u->local, local_key(u, u->service, name), "", "");
	} else if (dict_get(u->config->main, name)) {
		dict_set(u->used, name, "", "");
	} else if (!u->defaults && !config_default_value(u->config, name)) {
		note(u,
		     (struct config_note){ .file = file_of(u),
					   .where = where,
					   .text = arena_printf(u->arena, "undefined parameter: %s", name) });
	}
}

/* The names behind the dollars of a text. */
static void use_text(struct userparams *u, const char *text, const char *where)
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
			use_name(u, arena_strndup(u->arena, text, n), where);
		text += n;
	}
}

/* Names of restriction classes. */
static void use_classes(struct userparams *u, const char *value, const char *where)
{
	for (const char **class = cfg_split(u->arena, value); *class; class ++)
		use_name(u, *class, where);
}

/* ---- database clients ---- */

/* The settings of a client's own file. */
static void check_client_file(struct userparams *u, const struct dbms *d, const char *path)
{
	size_t len;
	const char *shown = arena_printf(u->arena, "%s:%s", dbms_type(d), path);
	char *text = io_read_file(AT_FDCWD, path, CLIENT_FILE_BYTES, &len);
	if (!text) {
		note(u, (struct config_note){ .file = "",
					      .where = "",
					      .text = arena_printf(u->arena,
								   "open \"%s\" configuration \"%s\": %s",
								   dbms_type(d), path, strerror(errno)) });
		return;
	}
	struct dict *settings = dict_new(u->arena);
	struct findings *findings = findings_new();
	const struct config_file file = { .name = path, .text = text, .len = len };
	const struct dict_entry *const *list;
	maincf_parse(u->arena, settings, &file, findings);
	size_t n = dict_list(settings, DICT_AS_SET, &list, u->arena);
	for (size_t i = 0; i < n; i++)
		if (!dbms_knows(d, list[i]->name))
			note(u, (struct config_note){ .file = shown,
						      .where = list[i]->where,
						      .text = unused_text(u, list[i]) });
	findings_destroy(&findings);
	free(text);
}

/* dbms_each(): "type:name" of a value. */
static void use_client(void *ctx, const struct dbms *d, const char *name)
{
	struct userparams *u = ctx;
	if (dbms_is_file(name)) {
		check_client_file(u, d, name);
		return;
	}
	const struct dict_entry *const *list;
	size_t len = strlen(name), n = dict_list(u->config->main, DICT_AS_SET, &list, u->arena);
	for (size_t i = 0; i < n; i++)
		if (!strncmp(list[i]->name, name, len) && list[i]->name[len] == '_' &&
		    dbms_knows(d, list[i]->name + len + 1))
			dict_set(u->used, list[i]->name, "", "");
}

static void use_clients(struct userparams *u, const char *name, const char *value, const char *where)
{
	struct buf text = BUF_INIT;
	struct ost_why why;
	const struct cfg_view *view = u->service ? u->service->view : u->config->view;
	bool ok = view_expand(view, u->service != NULL, name, value, &text, &why);
	if (ok) {
		dbms_each(buf_str(&text), use_client, u);
	} else {
		note(u, (struct config_note){ .file = file_of(u),
					      .where = where,
					      .text = arena_printf(u->arena, "%s: %s", name, why.text),
					      .broken = true });
	}
	buf_free(&text);
}

/* ---- the whole ---- */

static void use_settings(struct userparams *u, const struct dict *settings)
{
	const struct dict_entry *const *list;
	size_t n = settings ? dict_list(settings, DICT_AS_SET, &list, u->arena) : 0;
	for (size_t i = 0; i < n; i++) {
		const struct param *p = param_find(list[i]->name);
		if (p && p->type == CFG_RAW)
			continue; /* its dollars are for whoever uses it */
		use_text(u, list[i]->value, list[i]->where);
		if (!strcmp(list[i]->name, "smtpd_restriction_classes"))
			use_classes(u, list[i]->value, list[i]->where);
	}
}

static bool is_used(const struct userparams *u, const char *name)
{
	return config_default_value(u->config, name) || dict_get(u->used, name) ||
	       (u->service && dict_get(u->local, local_key(u, u->service, name)));
}

/* The same for database clients, which only used parameters can name. */
static void use_settings_clients(struct userparams *u, const struct dict *settings)
{
	const struct dict_entry *const *list;
	size_t n = settings ? dict_list(settings, DICT_AS_SET, &list, u->arena) : 0;
	for (size_t i = 0; i < n; i++) {
		const struct param *p = param_find(list[i]->name);
		if ((!p || p->type != CFG_RAW) && is_used(u, list[i]->name))
			use_clients(u, list[i]->name, list[i]->value, list[i]->where);
	}
}

static void use_defaults(struct userparams *u)
{
	const struct param *p;
	u->defaults = true;
	for (size_t i = 0; (p = param_at(i)) != NULL; i++)
		if (p->type != CFG_RAW)
			use_text(u, p->defval, "");
	u->defaults = false;
}

/* Settings that nothing reads. */
static void note_unused(struct userparams *u, const struct dict *settings)
{
	const struct dict_entry *const *list;
	size_t n = settings ? dict_list(settings, DICT_AS_SET, &list, u->arena) : 0;
	for (size_t i = 0; i < n; i++) {
		const char *name = list[i]->name;
		if (!is_used(u, name))
			note(u, (struct config_note){ .file = file_of(u),
						      .where = list[i]->where,
						      .text = unused_text(u, list[i]),
						      .unused = true });
	}
}

struct userparams *userparams_new(const struct config *c, struct arena *arena)
{
	struct userparams *u = ARENA_NEW(arena, struct userparams);
	*u = (struct userparams){ .config = c,
				  .arena = arena,
				  .used = dict_new(arena),
				  .local = dict_new(arena),
				  .seen = dict_new(arena) };
	use_defaults(u);
	use_settings(u, c->main);
	for (size_t i = 0; i < c->service_count; i++) {
		u->service = c->services[i];
		use_settings(u, u->service->overlay);
	}
	u->service = NULL;
	use_settings_clients(u, c->main);
	for (size_t i = 0; i < c->service_count; i++) {
		u->service = c->services[i];
		use_settings_clients(u, u->service->overlay);
	}
	u->service = NULL;
	note_unused(u, c->main);
	for (size_t i = 0; i < c->service_count; i++) {
		u->service = c->services[i];
		note_unused(u, u->service->overlay);
	}
	u->service = NULL;
	return u;
}

bool userparams_has(const struct userparams *u, const char *name)
{
	return dict_get(u->used, name) != NULL;
}

size_t config_notes(const struct config *c, struct arena *arena, const struct config_note **list)
{
	CHECK_MAGIC(c, CONFIG_MAGIC);
	const struct userparams *u = userparams_new(c, arena);
	*list = u->notes;
	return u->count;
}
