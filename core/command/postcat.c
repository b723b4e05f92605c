/* SPDX-License-Identifier: Apache-2.0
 * postcat -q ID: a message of the queue, its envelope and its content, in Postfix's layout. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "command/command.h"
#include "command/instance.h"
#include "command/queue.h"

enum { CHUNK = 64 * 1024 };

enum { SHOW_ENVELOPE = 1, SHOW_HEADERS = 2, SHOW_BODY = 4, SHOW_ALL = 7 };

static int usage(void)
{
	fprintf(stderr, "postcat: fatal: usage: postcat -q [-bhenv] [-c config_dir] [queue_id...]\n");
	return EX_USAGE;
}

/* The message that was found; the ticket is copied. */
struct found {
	char *queue, *ticket;
	size_t ticket_len;
};

static void on_entry(void *ctx, const struct queue_entry *e)
{
	struct found *f = ctx;
	if (f->queue || !e->ticket)
		return;
	f->queue = mem_strdup(e->queue);
	f->ticket = mem_dup(e->ticket, e->ticket_len);
	f->ticket_len = e->ticket_len;
}

/* ---- envelope ------------------------------------------------------------------------------------------------ */

static void print_time(const char *name, int64_t utc)
{
	char text[64];
	struct tm tm;
	time_t t = (time_t)(utc / CLOCK_SECOND);
	localtime_r(&t, &tm);
	strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", &tm);
	printf("%s: %s\n", name, text);
}

static void print_named(const char *name, const char *value)
{
	if (value && *value)
		printf("named_attribute: %s=%s\n", name, value);
}

static void print_attributes(const struct spool_envelope *e)
{
	static const char *const rets[] = { [RET_FULL] = "1", [RET_HDRS] = "2" };
	print_named("rewrite_context", e->rewrite_context);
	print_named("envelope_id", e->envid);
	print_named("ret_flags", e->ret == RET_FULL || e->ret == RET_HDRS ? rets[e->ret] : NULL);
	print_named("log_ident", e->ident);
	print_named("sasl_method", e->sasl_method);
	print_named("sasl_username", e->sasl_user);
	print_named("sasl_sender", e->sasl_sender);
	print_named("log_client_name", e->client.name);
	print_named("log_client_address", e->client.address);
	print_named("log_client_port", e->client.port);
	print_named("log_helo_name", e->client.helo);
	print_named("log_protocol_name", e->client.proto);
	print_named("client_name", e->client.name);
	print_named("reverse_client_name", e->client.reverse_name);
	print_named("client_address", e->client.address);
	print_named("client_port", e->client.port);
	print_named("helo_name", e->client.helo);
	print_named("protocol_name", e->client.proto);
	for (size_t i = 0; i < e->nattrs; i++)
		print_named(e->attrs[i].name, e->attrs[i].value);
	if (e->content_filter)
		printf("content_filter: %s\n", e->content_filter);
	if (e->redirect)
		printf("redirect_to: %s\n", e->redirect);
	if (e->verp)
		printf("verp_delimiters: %s\n", e->verp);
	if (e->warn_at > 0)
		print_time("warning_message_time", e->warn_at);
}

static void print_rcpt(const struct spool_rcpt *r)
{
	char flags[16];
	bool done = r->status == RCPT_SENT || r->status == RCPT_DONE || r->status == RCPT_SENT_OWED;
	snprintf(flags, sizeof flags, "%u", (unsigned)r->notify);
	print_named("dsn_orig_rcpt", r->orcpt);
	print_named("notify_flags", r->notify ? flags : NULL);
	if (r->original)
		printf("original_recipient: %s\n", r->original);
	printf("%s: %s\n", done ? "done_recipient" : "recipient", r->address);
}

static void print_envelope(const struct spool_stored *m)
{
	const struct spool_envelope *e = m->env;
	printf("message_size: %15llu %15d %15zu %15d %15llu %15d\n", (unsigned long long)e->size, 0,
	       e->nrcpts, 0, (unsigned long long)m->size, 0);
	print_time("message_arrival_time", e->arrival);
	print_time("create_time", e->arrival);
	print_attributes(e);
	printf("sender: %s\n", e->sender ? e->sender : "");
	for (size_t i = 0; i < e->nrcpts; i++)
		print_rcpt(&e->rcpts[i]);
}

/* ---- content ------------------------------------------------------------------------------------------------- */

/* Prints the header section, the body, or both. The empty line between them belongs to the body. */
static bool print_content(struct spool_stored *m, unsigned show)
{
	char *chunk = mem_alloc(CHUNK);
	bool in_headers = true, line_start = true;
	uint64_t at = 0;
	ssize_t n = 0;
	while (at < m->size && (n = spool_stored_read(m, at, chunk, CHUNK)) > 0) {
		size_t from = 0, to = (size_t)n;
		while (in_headers && from < to) {
			char *lf = memchr(chunk + from, '\n', to - from);
			size_t next = lf ? (size_t)(lf - chunk) + 1 : to;
			in_headers = !(line_start && chunk[from] == '\n');
			if (!in_headers)
				break;
			if (show & SHOW_HEADERS)
				fwrite(chunk + from, 1, next - from, stdout);
			line_start = lf != NULL;
			from = next;
		}
		if (!in_headers && show & SHOW_BODY)
			fwrite(chunk + from, 1, to - from, stdout);
		at += (uint64_t)n;
	}
	free(chunk);
	return at == m->size;
}

static bool print_message(struct spool_stored *m, const char *queue, const char *id, unsigned show)
{
	bool ok = true;
	if (show & SHOW_ENVELOPE)
		printf("*** ENVELOPE RECORDS %s/%s ***\n", queue, id);
	if (show & SHOW_ENVELOPE)
		print_envelope(m);
	if (show & SHOW_ENVELOPE)
		printf("*** MESSAGE CONTENTS %s/%s ***\n", queue, id);
	if (show & (SHOW_HEADERS | SHOW_BODY))
		ok = print_content(m, show);
	if (show & SHOW_ENVELOPE)
		printf("*** HEADER EXTRACTED %s/%s ***\n*** MESSAGE FILE END %s/%s ***\n", queue, id, queue,
		       id);
	return ok;
}

/* ---- the command --------------------------------------------------------------------------------------------- */

static bool show_one(struct queue *q, const char *id, unsigned show, struct ost_why *why)
{
	struct found f = { 0 };
	struct spool_stored m = { .fd = -1 };
	bool ok = queue_list(q, &id, 1, on_entry, &f, why);
	if (ok && !f.queue)
		ok = why_set(why, "open queue file %s: No such file or directory", id);
	struct spool *spool = ok ? queue_spool(q, why) : NULL;
	ok = spool && spool_fetch(spool, f.ticket, f.ticket_len, &m, why) == FETCH_OK;
	if (ok) {
		ok = print_message(&m, f.queue, id, show) || why_set(why, "read error in the message");
		spool_stored_free(&m);
	}
	free(f.queue);
	free(f.ticket);
	return ok;
}

static int run(char *const *ids, int n, unsigned show)
{
	struct ost_why why = { .text = "" };
	struct config *config = instance_read(NULL);
	if (!config)
		return EX_CONFIG;
	struct queue *q = queue_open(config, QUEUE_EITHER, &why);
	bool ok = q != NULL;
	for (int i = 0; ok && i < n; i++)
		ok = show_one(q, ids[i], show, &why);
	if (!ok)
		fprintf(stderr, "postcat: fatal: %s\n",
			why.text[0] ? why.text : "the message is not there any more");
	queue_close(&q);
	config_destroy(&config);
	return ok ? 0 : 1;
}

int cmd_postcat(int argc, char **argv)
{
	unsigned show = 0;
	bool by_id = false;
	optind = 1;
	for (int c; (c = getopt(argc, argv, "bdehnoqrsv")) != -1;) {
		switch (c) {
		case 'b':
			show |= SHOW_BODY;
			break;
		case 'h':
			show |= SHOW_HEADERS;
			break;
		case 'e':
			show |= SHOW_ENVELOPE;
			break;
		case 'q':
			by_id = true;
			break;
		case '?':
			return usage();
		default: /* offsets and numbers of records mean nothing here */
			break;
		}
	}
	if (!by_id || optind == argc)
		return usage();
	return run(argv + optind, argc - optind, show ? show : SHOW_ALL);
}
