/* SPDX-License-Identifier: Apache-2.0 */
#include "command/map_message.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "mail/ascii.h"
#include "mail/header.h"

enum { DEPTH_MAX = 100 }; /* Postfix's mime_nesting_limit */

/* Where in the message the next line is. */
enum place { PRIMARY, PART, NESTED, BODY };

struct message {
	unsigned what;
	map_message_fn *ask;
	void *ctx;
	enum place place;
	struct buf header;                      /* the one that may go on */
	enum { TEXT, MULTIPART, MESSAGE } type; /* of what the present headers belong to */
	char *boundaries[DEPTH_MAX];
	size_t depth;
};

/* ---- Content-Type -------------------------------------------------------------------------------------------------- */

/* The value of a parameter at s, behind its '=', in memory of its own. */
static char *parameter_value(const char *s)
{
	struct buf value = BUF_INIT;
	bool quoted = *s == '"';
	for (s += quoted; *s && (quoted ? *s != '"' : !ascii_space(*s) && *s != ';'); s++) {
		if (quoted && *s == '\\' && s[1])
			s++;
		buf_putc(&value, *s);
	}
	size_t len;
	return buf_steal(&value, &len);
}

/* The boundary that a multipart's Content-Type names; NULL: none. */
static char *find_boundary(const char *body)
{
	static const char name[] = "boundary=";
	for (const char *s = strchr(body, ';'); s; s = strchr(s, ';')) {
		for (s++; ascii_space(*s);)
			s++;
		if (strncasecmp(s, name, sizeof name - 1) == 0)
			return parameter_value(s + sizeof name - 1);
	}
	return NULL;
}

static void take_content_type(struct message *m, const char *body)
{
	char *boundary = NULL;
	if (strncasecmp(body, "multipart/", 10) == 0 && m->depth < DEPTH_MAX)
		boundary = find_boundary(body);
	if (boundary) {
		m->boundaries[m->depth++] = boundary;
		m->type = MULTIPART;
	} else if (strncasecmp(body, "message/rfc822", 14) == 0 ||
		   strncasecmp(body, "message/global", 14) == 0) {
		m->type = MESSAGE;
	}
}

/* ---- headers ------------------------------------------------------------------------------------------------------- */

/* The header that was gathered is whole. */
static void end_header(struct message *m)
{
	size_t body_len;
	if (m->header.len == 0)
		return;
	const char *header = buf_str(&m->header);
	size_t name_len = header_name_len(header, m->header.len);
	if ((m->what & MAP_MIME) && header_find(header, name_len) == HEADER_CONTENT_TYPE)
		take_content_type(m, header_body(header, m->header.len, &body_len));
	if (m->what & MAP_HEADERS)
		m->ask(m->ctx, header, m->header.len);
	buf_reset(&m->header);
}

static void begin_headers(struct message *m, enum place place)
{
	m->place = place;
	m->type = TEXT;
}

/* The empty line, or one that is no header. */
static void end_headers(struct message *m)
{
	end_header(m);
	if (m->type == MESSAGE && (m->what & MAP_MIME))
		begin_headers(m, NESTED);
	else
		m->place = BODY;
}

/* ---- body ---------------------------------------------------------------------------------------------------------- */

/* A part begins, or a multipart has ended; those inside it have, too. */
static void look_for_boundary(struct message *m, const char *line, size_t len)
{
	if (len < 2 || line[0] != '-' || line[1] != '-')
		return;
	for (size_t i = m->depth; i-- > 0;) {
		size_t n = strlen(m->boundaries[i]);
		if (len - 2 < n || memcmp(line + 2, m->boundaries[i], n) != 0)
			continue;
		bool end = len >= n + 4 && line[n + 2] == '-' && line[n + 3] == '-';
		while (m->depth > i + !end)
			free(m->boundaries[--m->depth]);
		if (end)
			m->place = BODY;
		else
			begin_headers(m, PART);
		return;
	}
}

static void take_body_line(struct message *m, const char *line, size_t len)
{
	if (m->what & MAP_BODY)
		m->ask(m->ctx, line, len);
	if (m->what & MAP_MIME)
		look_for_boundary(m, line, len);
}

static void take_line(struct message *m, const char *line, size_t len)
{
	if (m->place == BODY) {
		take_body_line(m, line, len);
	} else if (len == 0) {
		end_headers(m);
	} else if (ascii_space(line[0]) && m->header.len > 0) {
		buf_putc(&m->header, '\n');
		buf_add(&m->header, line, len);
	} else if (header_name_len(line, len) > 0) {
		end_header(m);
		buf_add(&m->header, line, len);
	} else {
		end_header(m);
		m->place = BODY;
		take_body_line(m, line, len);
	}
}

void map_message_each(struct map_input *in, unsigned what, map_message_fn *ask, void *ctx)
{
	struct message m = { .what = what, .ask = ask, .ctx = ctx, .place = PRIMARY };
	size_t len;
	for (const char *line = map_input_line(in, &len); line; line = map_input_line(in, &len))
		take_line(&m, line, len);
	end_header(&m);
	while (m.depth > 0)
		free(m.boundaries[--m.depth]);
	buf_free(&m.header);
}
