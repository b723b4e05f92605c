/* SPDX-License-Identifier: Apache-2.0 */
#include "config/edit.h"

#include <ctype.h>
#include <string.h>

#include "config/internal.h"

/* A run over the text. */
struct edit {
	enum edit_action action;
	struct edit_request *requests;
	size_t count;
	struct buf *out;
	const struct edit_request *current; /* the parameter whose lines are passing by; NULL: another one */
};

/* Reads one request. */
static bool read_request(struct arena *arena, enum edit_action action, const char *text,
			 struct edit_request *r, struct ost_why *why)
{
	char *copy = arena_strdup(arena, text + strspn(text, " \t")), *name, *value;
	*r = (struct edit_request){ 0 };
	if (strchr(text, '\n'))
		return why_set(why, "-e, -X, or -# accepts no multi-line input");
	if (*copy == '#')
		return why_set(why, "-e, -X, or -# accepts no comment input");
	if (action != EDIT_SET) {
		r->name = copy;
		return true;
	}
	if (!split_assignment(copy, &name, &value, why))
		return false;
	r->name = name;
	r->value = value;
	return true;
}

bool edit_requests_read(struct arena *arena, enum edit_action action, const char *const *texts, size_t count,
			struct edit_request *requests, struct ost_why *why)
{
	for (size_t i = 0; i < count; i++) {
		if (!read_request(arena, action, texts[i], &requests[i], why))
			return false;
		for (size_t j = 0; j < i; j++)
			if (!strcmp(requests[j].name, requests[i].name))
				requests[j].ignored = true;
	}
	return true;
}

/* The request for the parameter that a line starts to set. */
static struct edit_request *request_of(const struct edit *e, const char *line, size_t len)
{
	size_t n = 0;
	while (n < len && line[n] != '=' && !isspace((unsigned char)line[n]))
		n++;
	for (size_t i = 0; i < e->count; i++)
		if (!e->requests[i].ignored && strlen(e->requests[i].name) == n &&
		    !memcmp(e->requests[i].name, line, n))
			return &e->requests[i];
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

static void put_assignment(struct buf *out, const struct edit_request *c)
{
	buf_printf(out, "%s = %s\n", c->name, c->value);
}

/* One physical line; len does not count its newline. */
static void edit_line(struct edit *e, const char *line, size_t len)
{
	bool nothing = is_nothing(line, len);
	bool first = !nothing && !isspace((unsigned char)line[0]);
	if (first) {
		struct edit_request *c = request_of(e, line, len);
		e->current = c;
		if (c && e->action == EDIT_SET)
			put_assignment(e->out, c);
		if (c)
			c->matches++;
	}
	if (e->current && !nothing) {
		if (e->action != EDIT_COMMENT)
			return;
		buf_putc(e->out, '#');
	}
	buf_add(e->out, line, len);
	buf_putc(e->out, '\n');
}

void edit_main_cf(const char *text, size_t len, enum edit_action action, struct edit_request *requests,
		  size_t count, struct buf *out)
{
	struct edit e = { .action = action, .requests = requests, .count = count, .out = out };
	for (const char *at = text, *end = text + len; at < end;) {
		const char *nl = memchr(at, '\n', (size_t)(end - at));
		edit_line(&e, at, (size_t)((nl ? nl : end) - at));
		at = nl ? nl + 1 : end;
	}
	for (size_t i = 0; action == EDIT_SET && i < count; i++)
		if (!requests[i].ignored && !requests[i].matches)
			put_assignment(out, &requests[i]);
}
