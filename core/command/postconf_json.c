/* SPDX-License-Identifier: Apache-2.0
 * postconf -j: what the other modes show, as JSON: one array, its members in the same order. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "command/postconf.h"

/* A text that may hold any byte: what is not UTF-8 is replaced. */
static json_t *text(const char *s)
{
	json_t *value = json_string(s);
	if (value)
		return value;
	struct buf clean = BUF_INIT;
	for (; *s; s++)
		buf_putc(&clean, (unsigned char)*s < 0x80 ? *s : '?');
	value = json_string(buf_str(&clean));
	buf_free(&clean);
	return value;
}

/* Writes and frees the array. */
static int print(const struct postconf *p, json_t *array)
{
	bool ok = json_dumpf(array, p->out, JSON_INDENT(2)) == 0 && fputc('\n', p->out) != EOF;
	json_decref(array);
	return ok && fflush(p->out) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int postconf_json_parameters(const struct postconf *p, const char *const *names, size_t count)
{
	json_t *array = json_array();
	for (size_t i = 0; i < count; i++) {
		const char *where, *value = postconf_value(p, names[i], &where);
		if (!value)
			continue;
		json_t *o = json_object();
		json_object_set_new(o, "name", text(names[i]));
		json_object_set_new(o, "value", text(value));
		json_object_set_new(o, "origin", text(where));
		json_array_append_new(array, o);
	}
	return print(p, array);
}

/* The columns of an entry. */
static json_t *entry_object(const struct master_entry *e)
{
	json_t *o = json_object(), *words = json_array(), *options = json_object();
	for (int i = 0; i < MASTER_FIELDS; i++)
		json_object_set_new(o, master_field_name((enum master_field)i), text(e->fields[i]));
	for (size_t i = 0; i < e->count; i++) {
		const char *equals = i + 1 < e->options && !strcmp(e->words[i], "-o")
					     ? strchr(e->words[i + 1], '=')
					     : NULL;
		if (!equals) {
			json_array_append_new(words, text(e->words[i]));
			continue;
		}
		json_t *value = text(equals + 1);
		json_object_setn_new(options, e->words[i + 1], (size_t)(equals - e->words[i + 1]), value);
		i++;
	}
	json_object_set_new(o, "options", options);
	json_object_set_new(o, "arguments", words);
	json_object_set_new(o, "origin", text(e->where));
	return o;
}

/* "service", "type", a third name and its value. */
static void add_third(json_t *array, const struct master_entry *e, const char *key, const char *name,
		      const char *value)
{
	json_t *o = json_object();
	json_object_set_new(o, "service", text(e->fields[MASTER_NAME]));
	json_object_set_new(o, "type", text(e->fields[MASTER_TYPE]));
	json_object_set_new(o, key, text(name));
	json_object_set_new(o, "value", text(value));
	json_object_set_new(o, "origin", text(e->where));
	json_array_append_new(array, o);
}

static void add_fields(json_t *array, const struct master_entry *e, const char *pattern)
{
	for (int i = 0; i < MASTER_FIELDS; i++) {
		const char *name = master_field_name((enum master_field)i);
		struct buf command = BUF_INIT;
		if (i == MASTER_COMMAND)
			master_command_print(&command, e, false, 0);
		if (!pattern || postconf_matches(pattern, e, name))
			add_third(array, e, "field", name,
				  i == MASTER_COMMAND ? buf_str(&command) : e->fields[i]);
		buf_free(&command);
	}
}

static void add_options(const struct postconf *p, json_t *array, const struct master_entry *e,
			const char *pattern)
{
	const struct service *s = p->expanded ? postconf_service(p, e) : NULL;
	for (size_t i = 0; i + 1 < e->options; i++) {
		const char *equals = !strcmp(e->words[i], "-o") ? strchr(e->words[i + 1], '=') : NULL;
		if (!equals)
			continue;
		const char *name =
			arena_strndup(p->arena, e->words[i + 1], (size_t)(equals - e->words[i + 1]));
		if (!pattern || postconf_matches(pattern, e, name))
			add_third(array, e, "name", name,
				  s ? config_expand(s->view, p->arena, equals + 1) : equals + 1);
		i++;
	}
}

static void add_entry(const struct postconf *p, json_t *array, const struct master_entry *e,
		      const char *pattern)
{
	if (p->mode == 'F')
		add_fields(array, e, pattern);
	else if (p->mode == 'P')
		add_options(p, array, e, pattern);
	else if (!pattern || postconf_matches(pattern, e, NULL))
		json_array_append_new(array, entry_object(e));
}

int postconf_json_services(const struct postconf *p, char **patterns)
{
	json_t *array = json_array();
	for (size_t i = 0; i < p->entry_count; i++) {
		if (!*patterns)
			add_entry(p, array, &p->entries[i], NULL);
		for (char **pattern = patterns; *pattern; pattern++)
			add_entry(p, array, &p->entries[i], *pattern);
	}
	return print(p, array);
}

int postconf_json_list(const struct postconf *p, const char *const *words, size_t count)
{
	json_t *array = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, text(words[i]));
	return print(p, array);
}
