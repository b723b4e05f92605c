/* SPDX-License-Identifier: Apache-2.0 */
#include "config/edit.h"

#include <ctype.h>
#include <string.h>

#include "config/internal.h"

/* One request. */
struct change {
	const char *name, *value; /* value: of EDIT_SET */
	bool done;
};

/* A run over the text. */
struct edit {
	enum edit_action action;
	struct change *changes;
	size_t count;
	struct buf *out;
	const struct change *current; /* the parameter whose lines are passing by; NULL: another one */
};

/* Reads the requests. */
static bool read_requests(struct edit *e, const char *const *requests, struct arena *arena,
			  struct ost_why *why)
{
	for (size_t i = 0; i < e->count; i++) {
		char *text = arena_strdup(arena, requests[i]), *name = text, *value = NULL;
		if (strchr(text, '\n'))
			return why_set(why, "a value must not contain a newline: \"%.60s\"", requests[i]);
		if (e->action == EDIT_SET && !split_assignment(text, &name, &value, why))
			return false;
		if (e->action != EDIT_SET && strchr(text, '='))
			return why_set(why, "a name without a value is wanted: \"%.60s\"", requests[i]);
		if (*name == '#')
			return why_set(why, "a name must not start with '#': \"%.60s\"", requests[i]);
		e->changes[i] = (struct change){ .name = name, .value = value };
	}
	return true;
}

/* The change for the parameter that a line starts to set. */
static struct change *change_of(const struct edit *e, const char *line, size_t len)
{
	size_t n = 0;
	while (n < len && line[n] != '=' && !isspace((unsigned char)line[n]))
		n++;
	/* The last request for a name counts. */
	for (size_t i = e->count; i-- > 0;)
		if (strlen(e->changes[i].name) == n && !memcmp(e->changes[i].name, line, n))
			return &e->changes[i];
	return NULL;
}

/* Nothing but white space, or a comment? */
static bool is_nothing(const char *line, size_t len)
{
	size_t i = 0;
	while (i < len && isspace((unsigned char)line[i]))
		i++;
	return i == len || line[i] == '#';
}

static void put_assignment(struct buf *out, const struct change *c)
{
	buf_printf(out, "%s = %s\n", c->name, c->value);
}

/* One physical line; len does not count its newline. */
static void edit_line(struct edit *e, const char *line, size_t len)
{
	bool nothing = is_nothing(line, len);
	bool first = !nothing && !isspace((unsigned char)line[0]);
	if (first) {
		struct change *c = change_of(e, line, len);
		e->current = c;
		if (c && e->action == EDIT_SET)
			put_assignment(e->out, c);
		if (c)
			c->done = true;
	}
	if (e->current && !nothing) {
		if (e->action != EDIT_COMMENT)
			return;
		buf_putc(e->out, '#');
	}
	buf_add(e->out, line, len);
	buf_putc(e->out, '\n');
}

/* Has a later request the same name? */
static bool is_overridden(const struct edit *e, size_t i)
{
	for (size_t j = i + 1; j < e->count; j++)
		if (!strcmp(e->changes[i].name, e->changes[j].name))
			return true;
	return false;
}

bool edit_main_cf(const char *text, size_t len, enum edit_action action, const char *const *requests,
		  size_t count, struct buf *out, struct ost_why *why)
{
	struct arena *arena = arena_new();
	struct edit e = { .action = action, .count = count, .out = out };
	e.changes = arena_alloc(arena, (count + 1) * sizeof *e.changes);
	bool ok = read_requests(&e, requests, arena, why);
	for (const char *at = text, *end = text + len; ok && at < end;) {
		const char *nl = memchr(at, '\n', (size_t)(end - at));
		edit_line(&e, at, (size_t)((nl ? nl : end) - at));
		at = nl ? nl + 1 : end;
	}
	for (size_t i = 0; ok && action == EDIT_SET && i < count; i++)
		if (!e.changes[i].done && !is_overridden(&e, i))
			put_assignment(out, &e.changes[i]);
	arena_destroy(&arena);
	return ok;
}
