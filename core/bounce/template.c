/* SPDX-License-Identifier: Apache-2.0 */
#include "bounce/template.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "config/expand.h"
#include "config/param.h"

static const char *const names[TEMPLATE_COUNT] = { "failure", "delay", "success", "verify" };

#define GREETING "This is the mail system at host $myhostname.\n\n"
#define HELP                                                                                                 \
	"For further assistance, please send mail to postmaster.\n\n"                                        \
	"If you do so, please include this problem report. You can\n"                                        \
	"delete your own text from the attached returned message.\n\n"
#define SIGNATURE "                   The mail system\n"
#define FROM      "Mail Delivery System <MAILER-DAEMON>"

static const struct bounce_template defaults[TEMPLATE_COUNT] = {
	[TEMPLATE_FAILURE] = { .charset = "us-ascii",
			       .from = FROM,
			       .subject = "Undelivered Mail Returned to Sender",
			       .copy_subject = "Postmaster Copy: Undelivered Mail",
			       .body = GREETING
			       "I'm sorry to have to inform you that your message could not\n"
			       "be delivered to one or more recipients. It's attached below.\n\n" HELP
				       SIGNATURE },
	[TEMPLATE_DELAY] = { .charset = "us-ascii",
			     .from = FROM,
			     .subject = "Delayed Mail (still being retried)",
			     .copy_subject = "Postmaster Warning: Delayed Mail",
			     .body = GREETING
			     "####################################################################\n"
			     "# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #\n"
			     "####################################################################\n\n"
			     "Your message could not be delivered for more than $delay_warning_time_hours "
			     "hour(s).\n"
			     "It will be retried until it is $maximal_queue_lifetime_days day(s) "
			     "old.\n\n" HELP SIGNATURE },
	[TEMPLATE_SUCCESS] = { .charset = "us-ascii",
			       .from = FROM,
			       .subject = "Successful Mail Delivery Report",
			       .body = GREETING
			       "Your message was successfully delivered to the destination(s)\n"
			       "listed below. If the message was delivered to mailbox you will\n"
			       "receive no further notifications. Otherwise you may still receive\n"
			       "notifications of mail delivery errors from other systems.\n\n" SIGNATURE },
	[TEMPLATE_VERIFY] = { .charset = "us-ascii",
			      .from = FROM,
			      .subject = "Mail Delivery Status Report",
			      .body = GREETING
			      "Enclosed is the mail delivery report that you requested.\n\n" SIGNATURE },
};

const char *template_name(enum template_kind kind)
{
	assert((unsigned)kind < TEMPLATE_COUNT);
	return names[kind];
}

void template_defaults(struct bounce_template list[TEMPLATE_COUNT])
{
	memcpy(list, defaults, sizeof defaults);
}

/* ---- reading ---- */

/* A run over one file. */
struct reading {
	struct arena *arena;
	const char *file;
	const char *at, *end;
	int line;
	struct bounce_template *list;
	void (*warn)(void *ctx, const char *text);
	void *ctx;
};

/* The next line without its newline, in the arena; NULL at the end. */
static char *next_line(struct reading *r)
{
	if (r->at >= r->end)
		return NULL;
	const char *nl = memchr(r->at, '\n', (size_t)(r->end - r->at)), *stop = nl ? nl : r->end;
	char *line = arena_strndup(r->arena, r->at, (size_t)(stop - r->at));
	r->at = nl ? nl + 1 : r->end;
	r->line++;
	return line;
}

static void warn_line(const struct reading *r, const char *text)
{
	/* the line after the one that ended it, as in Postfix */
	r->warn(r->ctx, arena_printf(r->arena, "%s, line %d: %s", r->file, r->line + 1, text));
}

static void warn_file(const struct reading *r, const char *text)
{
	r->warn(r->ctx, arena_printf(r->arena, "%s: %s", r->file, text));
}

static char *trim(char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	for (size_t n = strlen(s); n && isspace((unsigned char)s[n - 1]); n--)
		s[n - 1] = '\0';
	return s;
}

/* The lines up to the end marker, or all when it is missing. */
static void take_text(struct reading *r, const char *marker, struct buf *text)
{
	for (const char *line; (line = next_line(r)) != NULL;) {
		if (!strcmp(line, marker))
			return;
		buf_puts(text, line);
		buf_putc(text, '\n');
	}
	warn_line(r, arena_printf(r->arena, "missing \"%s\" end marker", marker));
}

/* One header line. False: there is no such header. */
static bool take_header(struct bounce_template *t, char *line)
{
	const struct {
		const char *name;
		const char **place;
	} headers[] = { { "Charset", &t->charset },
			{ "From", &t->from },
			{ "Subject", &t->subject },
			{ "Postmaster-Subject", &t->copy_subject } };
	char *colon = strchr(line, ':');
	if (!colon)
		return false;
	*colon = '\0';
	for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
		if (strcasecmp(trim(line), headers[i].name) != 0)
			continue;
		*headers[i].place = trim(colon + 1);
		return true;
	}
	return false;
}

static bool is_8bit(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s >= 0x80)
			return true;
	return false;
}

/* Header lines, an empty one, and the body. */
static void take_template(struct reading *r, enum template_kind kind, const char *text)
{
	struct bounce_template t = defaults[kind];
	while (*text && *text != '\n') {
		size_t n = strcspn(text, "\n");
		char *line = arena_strndup(r->arena, text, n);
		if (!strchr(line, ':') || isspace((unsigned char)*line))
			break; /* the body starts without an empty line */
		if (!take_header(&t, line)) {
			warn_file(r, arena_printf(r->arena,
						  "unknown \"%s\" header label in %s template -- ignoring "
						  "this template",
						  trim(line), names[kind]));
			return;
		}
		text += n + (text[n] == '\n');
	}
	if (*text == '\n')
		text++;
	if (!*text) {
		warn_file(r, arena_printf(r->arena,
					  "missing message text in %s template -- ignoring this template",
					  names[kind]));
		return;
	}
	if (is_8bit(text) && !strcasecmp(t.charset, "us-ascii")) {
		warn_file(r, arena_printf(r->arena, "8-bit message text in %s template", names[kind]));
		r->warn(r->ctx, "please specify a charset value other than us-ascii");
		r->warn(r->ctx, "-- ignoring this template for now");
		return;
	}
	t.body = arena_strdup(r->arena, text);
	r->list[kind] = t;
}

/* "failure_template": which one; TEMPLATE_COUNT: none. */
static enum template_kind kind_of(const char *name)
{
	size_t n = strlen(name), suffix = strlen("_template");
	for (int i = 0; i < TEMPLATE_COUNT; i++)
		if (n == strlen(names[i]) + suffix && !strncmp(name, names[i], n - suffix) &&
		    !strcmp(name + n - suffix, "_template"))
			return (enum template_kind)i;
	return TEMPLATE_COUNT;
}

/* "name = <<EOF" */
static void take_start(struct reading *r, char *line)
{
	struct buf text = BUF_INIT;
	char *equals = strchr(line, '='), *value = equals ? trim(equals + 1) : NULL;
	if (!equals) {
		warn_line(r,
			  arena_printf(r->arena,
				       "missing '=' after attribute name: \"%s\" -- ignoring this template",
				       line));
		return;
	}
	*equals = '\0';
	enum template_kind kind = kind_of(trim(line));
	bool here = !strncmp(value, "<<", 2);
	if (here)
		take_text(r, trim(value + 2), &text);
	if (kind == TEMPLATE_COUNT)
		warn_line(r, arena_printf(r->arena, "unknown template name: %s -- ignoring this template",
					  trim(line)));
	else
		take_template(r, kind, here ? buf_str(&text) : arena_printf(r->arena, "%s\n", value));
	buf_free(&text);
}

void template_read(struct arena *arena, const char *file, const char *text, size_t len,
		   struct bounce_template list[TEMPLATE_COUNT], void (*warn)(void *ctx, const char *text),
		   void *ctx)
{
	struct reading r = { .arena = arena,
			     .file = file,
			     .at = text,
			     .end = text + len,
			     .list = list,
			     .warn = warn,
			     .ctx = ctx };
	for (char *line; (line = next_line(&r)) != NULL;)
		if (*trim(line) && *trim(line) != '#')
			take_start(&r, line);
}

/* ---- showing ---- */

void template_print(struct buf *out, enum template_kind kind, const struct bounce_template *t)
{
	buf_printf(out, "%s_template = <<EOF\nCharset: %s\nFrom: %s\nSubject: %s\n", names[kind], t->charset,
		   t->from, t->subject);
	if (t->copy_subject)
		buf_printf(out, "Postmaster-Subject: %s\n", t->copy_subject);
	buf_printf(out, "\n%sEOF\n", t->body);
}

/* ---- expanding ---- */

static const struct unit {
	const char *suffix;
	int64_t seconds;
} units[] = {
	{ "_seconds", 1 }, { "_minutes", 60 }, { "_hours", 3600 }, { "_days", 86400 }, { "_weeks", 7 * 86400 }
};

static const enum param_id times[] = { P_delay_warning_time, P_maximal_queue_lifetime,
				       P_bounce_queue_lifetime };

/* What an expansion asks, and what it has been told. */
struct asker {
	const struct cfg_view *view;
	char number[32];
	char missing[64]; /* a name that nobody knows */
};

/* "delay_warning_time_hours" */
static const char *time_in_unit(struct asker *a, const char *name)
{
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		const char *param = param_get(times[i])->name;
		size_t n = strlen(param);
		for (size_t j = 0; j < sizeof units / sizeof *units && !strncmp(name, param, n); j++) {
			if (strcmp(name + n, units[j].suffix) != 0)
				continue;
			snprintf(a->number, sizeof a->number, "%" PRId64,
				 cfg_time(a->view, times[i]) / CLOCK_SECOND / units[j].seconds);
			return a->number;
		}
	}
	return NULL;
}

/* expand_lookup_fn */
static const char *ask(void *ctx, const char *name)
{
	struct asker *a = ctx;
	const char *value = time_in_unit(a, name);
	value = value ? value : cfg_lookup(a->view, name);
	if (!value && !*a->missing)
		snprintf(a->missing, sizeof a->missing, "%s", name);
	return value;
}

bool template_expand(struct buf *out, const struct cfg_view *view, const struct bounce_template *t,
		     struct ost_why *why)
{
	struct asker a = { .view = view };
	if (!expand(out, NULL, t->body, ask, &a, why))
		return false;
	return !*a.missing || why_set(why, "undefined $name: %s", a.missing);
}
