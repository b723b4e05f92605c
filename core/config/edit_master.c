/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <string.h>

#include "config/edit.h"
#include "config/internal.h"

/* ---- requests ---- */

/* Cuts "name/type" or "name/type/third" at its slashes; false: it has not that many parts. */
static bool split_parts(char *text, char **name, char **type, char **third)
{
	*name = text;
	*type = strchr(text, '/');
	if (!*type)
		return false;
	*(*type)++ = '\0';
	char *slash = strchr(*type, '/');
	if (!third)
		return !slash && **name && **type;
	if (!slash)
		return false;
	*slash = '\0';
	*third = slash + 1;
	return **name && **type && **third;
}

static bool has_space(const char *s)
{
	return s[strcspn(s, " \t\r\n\f\v")] != '\0';
}

static bool find_field(const char *name, enum master_field *field)
{
	for (int i = 0; i < MASTER_FIELDS; i++) {
		*field = (enum master_field)i;
		if (!strcmp(name, master_field_name(*field)))
			return true;
	}
	return false;
}

/* The new value of a column. */
static bool read_field(struct arena *arena, struct edit_master_request *r, struct ost_why *why)
{
	if (r->field == MASTER_COMMAND) /* it is read as the end of an entry */
		return master_entry_read(arena, arena_printf(arena, "x unix - - - - - %s", r->value),
					 &r->entry, why);
	if (has_space(r->value))
		return why_set(why, "-Fe does not accept whitespace in non-command field");
	return true;
}

static bool read_entry(struct arena *arena, enum edit_action action, struct edit_master_request *r,
		       char *where, struct ost_why *why)
{
	char *name, *type;
	if (!split_parts(where, &name, &type, NULL))
		return why_set(why, "-Me, -MX or -M# requires service_name/type");
	r->name = name;
	r->type = type;
	if (action != EDIT_SET || master_entry_read(arena, r->value, &r->entry, why))
		return true;
	return !strcmp(why->text, "bad field count") ? why_set(why, "bad field count: \"%.160s\"", r->text)
						     : false;
}

/* Field or option. */
static bool read_third(struct arena *arena, enum edit_level level, enum edit_action action,
		       struct edit_master_request *r, char *where, struct ost_why *why)
{
	char *name, *type, *third;
	if (!split_parts(where, &name, &type, &third))
		return why_set(why, level == EDIT_FIELD ? "-Fe or -FX requires service_name/type/field_name"
							: "-Pe or -PX requires service_name/type/parameter");
	r->name = name;
	r->type = type;
	r->option = third;
	if (level == EDIT_OPTION) {
		if (action == EDIT_SET && has_space(r->value))
			return why_set(why, "-Pe does not accept whitespace in parameter value");
		return true;
	}
	if (!find_field(third, &r->field))
		return why_set(why, "invalid service attribute name: \"%.80s\"", third);
	return read_field(arena, r, why);
}

bool edit_master_requests_read(struct arena *arena, enum edit_level level, enum edit_action action,
			       const char *const *texts, size_t count, struct edit_master_request *requests,
			       struct ost_why *why)
{
	for (size_t i = 0; i < count; i++) {
		struct edit_master_request *r = &requests[i];
		char *where = arena_strdup(arena, texts[i]), *value = NULL;
		*r = (struct edit_master_request){ .text = texts[i] };
		if (strchr(texts[i], '\n'))
			return why_set(why, "-Me, -Fe, -Pe, -X, or -# accept no multi-line input");
		if (texts[i][strspn(texts[i], " \t")] == '#')
			return why_set(why, "-Me, -Fe, -Pe, -X, or -# accept no comment input");
		if (action == EDIT_SET && !split_assignment(where, &where, &value, why))
			return false;
		r->value = value;
		if (level == EDIT_ENTRY ? !read_entry(arena, action, r, where, why)
					: !read_third(arena, level, action, r, where, why))
			return false;
	}
	return true;
}

/* ---- the run ---- */

struct run {
	enum edit_level level;
	enum edit_action action;
	struct edit_master_request *requests;
	size_t count;
	struct buf *out;
	struct arena *arena;
	struct ost_why *why;
	struct edit_master_request
		*current;   /* whose lines are passing by; NULL: those of an entry that stays */
	struct buf pending; /* the entry that is to be changed, until its end is seen */
	bool ok;
};

/* Does a request name the service that the line starts? */
static bool names_line(const struct edit_master_request *r, const char *name, size_t name_len,
		       const char *type, size_t type_len)
{
	return (!strcmp(r->name, "*") || (strlen(r->name) == name_len && !memcmp(r->name, name, name_len))) &&
	       (!strcmp(r->type, "*") || (strlen(r->type) == type_len && !memcmp(r->type, type, type_len)));
}

/* The first request for the service that a line starts, all of which count a match. */
static struct edit_master_request *match(const struct run *r, const char *line, size_t len)
{
	struct edit_master_request *first = NULL;
	size_t name_len = 0, type_at, type_len = 0;
	while (name_len < len && !isspace((unsigned char)line[name_len]))
		name_len++;
	for (type_at = name_len; type_at < len && isspace((unsigned char)line[type_at]);)
		type_at++;
	while (type_at + type_len < len && !isspace((unsigned char)line[type_at + type_len]))
		type_len++;
	for (size_t i = 0; i < r->count; i++) {
		struct edit_master_request *q = &r->requests[i];
		if (q->ignored || !names_line(q, line, name_len, line + type_at, type_len))
			continue;
		q->matches++;
		first = first ? first : q;
	}
	return first;
}

static void apply(struct run *r, const struct edit_master_request *q, struct master_entry *e)
{
	if (r->level == EDIT_FIELD && !master_field_valid(q->field, q->value)) {
		r->ok = why_set(r->why, "invalid %s field \"%.80s\" in \"%.80s\"",
				master_field_name(q->field), q->value, q->value);
	} else if (r->level == EDIT_OPTION) {
		master_entry_set(r->arena, e, q->option, q->value);
	} else if (q->field == MASTER_COMMAND) {
		e->fields[MASTER_COMMAND] = q->entry.fields[MASTER_COMMAND];
		e->words = q->entry.words;
		e->count = q->entry.count;
		e->options = q->entry.options;
	} else {
		e->fields[q->field] = q->value;
	}
}

/* The end of an entry that -F or -P changes is there. */
static void flush(struct run *r)
{
	struct master_entry e;
	if (!r->pending.len)
		return;
	const char *text = buf_str(&r->pending);
	if (!master_entry_read(r->arena, text, &e, r->why)) {
		r->ok = false;
		return;
	}
	const char *name = text, *type = text + strcspn(text, " \t");
	type += strspn(type, " \t");
	for (size_t i = 0; i < r->count; i++)
		if (!r->requests[i].ignored &&
		    names_line(&r->requests[i], name, strcspn(name, " \t"), type, strcspn(type, " \t\n")))
			apply(r, &r->requests[i], &e);
	master_entry_print(r->out, &e, true);
	buf_reset(&r->pending);
}

static void put_line(struct buf *out, const char *line, size_t len)
{
	buf_add(out, line, len);
	buf_putc(out, '\n');
}

/* One physical line; len does not count its newline. */
static void run_line(struct run *r, const char *line, size_t len)
{
	size_t blank = 0;
	while (blank < len && isspace((unsigned char)line[blank]))
		blank++;
	if (blank == len || line[blank] == '#') { /* it goes in front of a changed entry that it stands in */
		put_line(r->out, line, len);
		return;
	}
	if (!blank) {
		flush(r);
		r->current = match(r, line, len);
		/* A second entry that the request names goes. */
		if (r->current && r->level == EDIT_ENTRY && r->action == EDIT_SET && r->current->matches == 1)
			master_entry_print(r->out, &r->current->entry, true);
	}
	if (!r->current) {
		put_line(r->out, line, len);
	} else if (r->level != EDIT_ENTRY) {
		put_line(&r->pending, line, len);
	} else if (r->action == EDIT_COMMENT) {
		buf_putc(r->out, '#');
		put_line(r->out, line, len);
	}
}

bool edit_master_cf(const char *text, size_t len, enum edit_level level, enum edit_action action,
		    struct edit_master_request *requests, size_t count, bool add, struct buf *out,
		    struct ost_why *why)
{
	struct run r = { .level = level,
			 .action = action,
			 .requests = requests,
			 .count = count,
			 .out = out,
			 .arena = arena_new(),
			 .why = why,
			 .ok = true };
	for (const char *at = text, *end = text + len; at < end && r.ok;) {
		const char *nl = memchr(at, '\n', (size_t)(end - at));
		run_line(&r, at, (size_t)((nl ? nl : end) - at));
		at = nl ? nl + 1 : end;
	}
	flush(&r);
	for (size_t i = 0; add && level == EDIT_ENTRY && action == EDIT_SET && i < count; i++)
		if (!requests[i].matches && !requests[i].ignored)
			master_entry_print(out, &requests[i].entry, true);
	buf_free(&r.pending);
	arena_destroy(&r.arena);
	return r.ok;
}
