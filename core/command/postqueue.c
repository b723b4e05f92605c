/* SPDX-License-Identifier: Apache-2.0
 * postqueue and mailq: what is in the queue, and trying it again. Output has Postfix's form, byte for byte.
 */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "base/clock.h"
#include "command/command.h"
#include "command/instance.h"
#include "command/queue.h"

enum { REASON_WIDTH = 76 };

static int usage(void)
{
	fprintf(stderr, "postqueue: fatal: usage: postqueue -f | postqueue -i queueid | postqueue -j | "
			"postqueue -p | "
			"postqueue -s site\n");
	return EX_USAGE;
}

/* ---- -p
 * ---------------------------------------------------------------------------------------------------------
 */

/* The two layouts: short queue ids, and long ones. */
static const struct layout {
	const char *headings;
	int id_width, size_width;
	const char *rcpt_indent;
	const char *time_gap; /* between time and sender */
} layouts[] = {
	{ "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n", 11, 7,
	  "                                         ", "  " },
	{ "----Queue ID-----  --Size-- ---Arrival Time---- --Sender/Recipient------\n", 17, 8,
	  "                                                ", " " },
};

struct printing {
	const struct layout *layout;
	uint64_t messages, bytes;
};

static char mark_of(const char *queue)
{
	return strcmp(queue, "active") == 0 ? '*' : strcmp(queue, "hold") == 0 ? '!' : ' ';
}

/* Recipients with the same reason stand together below it. */
static void print_rcpts(const struct layout *l, const struct queue_entry *e)
{
	const char *last = NULL;
	for (size_t i = 0; i < e->nrcpts; i++) {
		const struct queue_rcpt *r = &e->rcpts[i];
		if (r->reason && (!last || strcmp(last, r->reason) != 0)) {
			int pad = REASON_WIDTH - (int)strlen(r->reason);
			printf("%*s(%s)\n", pad > 0 ? pad : 0, "", r->reason);
		}
		last = r->reason;
		printf("%s%s\n", l->rcpt_indent, r->address);
	}
}

static void print_entry(void *ctx, const struct queue_entry *e)
{
	struct printing *p = ctx;
	char id[64], when[64];
	struct tm tm;
	time_t t = (time_t)(e->arrival / CLOCK_SECOND);
	localtime_r(&t, &tm);
	strftime(when, sizeof when, "%a %b %e %H:%M:%S", &tm);
	if (p->messages == 0)
		fputs(p->layout->headings, stdout);
	snprintf(id, sizeof id, "%s%c", e->id, mark_of(e->queue));
	printf("%-*s %*llu %s%s%s\n", p->layout->id_width, id, p->layout->size_width,
	       (unsigned long long)e->size, when, p->layout->time_gap,
	       *e->sender ? e->sender : "MAILER-DAEMON");
	print_rcpts(p->layout, e);
	putchar('\n');
	p->messages++;
	p->bytes += e->size;
}

static bool list_for_people(struct queue *q, bool long_ids, struct ost_why *why)
{
	struct printing p = { .layout = &layouts[long_ids] };
	if (!queue_list(q, NULL, 0, print_entry, &p, why))
		return false;
	if (p.messages == 0)
		puts("Mail queue is empty");
	else
		printf("-- %llu Kbytes in %llu Request%s.\n", (unsigned long long)(p.bytes / 1024),
		       (unsigned long long)p.messages, p.messages == 1 ? "" : "s");
	return true;
}

/* ---- -j
 * ---------------------------------------------------------------------------------------------------------
 */

static void print_json(void *ctx, const struct queue_entry *e)
{
	json_t *rcpts = json_array();
	(void)ctx;
	for (size_t i = 0; i < e->nrcpts; i++) {
		json_t *r = json_pack("{s:s}", "address", e->rcpts[i].address);
		if (r && e->rcpts[i].reason)
			json_object_set_new(r, "delay_reason", json_string(e->rcpts[i].reason));
		json_array_append_new(rcpts, r);
	}
	json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:b, s:s, s:o}", "queue_name", e->queue, "queue_id",
			      e->id, "arrival_time", (json_int_t)(e->arrival / CLOCK_SECOND), "message_size",
			      (json_int_t)e->size, "forced_expire", 0, "sender",
			      *e->sender ? e->sender : "MAILER-DAEMON", "recipients", rcpts);
	char *line = o ? json_dumps(o, JSON_PRESERVE_ORDER) : NULL;
	if (line)
		puts(line);
	free(line);
	json_decref(o);
}

/* ---- the commands -------------------------------------------------------------------------------------------- */

struct request {
	char what; /* f i j p s */
	const char *argument;
};

static bool run_request(struct queue *q, const struct config *config, const struct request *r,
			struct ost_why *why)
{
	switch (r->what) {
	case 'p':
		return list_for_people(q, cfg_bool(config_main_view(config), P_enable_long_queue_ids), why);
	case 'j':
		return queue_list(q, NULL, 0, print_json, NULL, why);
	case 'i':
		return queue_flush(q, r->argument, NULL, why);
	case 's':
		return queue_flush(q, NULL, r->argument, why);
	default:
		return queue_flush(q, NULL, NULL, why);
	}
}

static const char *purpose(char what)
{
	return what == 'p' || what == 'j' ? "Queue report unavailable" : "Cannot flush mail queue";
}

static int perform(const struct request *r)
{
	struct ost_why why = { .text = "" };
	struct config *config = instance_read(NULL);
	if (!config)
		return EX_CONFIG;
	bool listing = r->what == 'p' || r->what == 'j';
	struct queue *q = queue_open(config, listing ? QUEUE_EITHER : QUEUE_RUNNING, &why);
	int status = 0;
	if (!q) {
		fprintf(stderr, "postqueue: fatal: %s - mail system is down (%s)\n", purpose(r->what),
			why.text);
		status = EX_UNAVAILABLE;
	} else {
		if (queue_offline(q))
			fprintf(stderr,
				"postqueue: warning: Mail system is down -- accessing queue directly\n");
		if (!run_request(q, config, r, &why)) {
			fprintf(stderr, "postqueue: fatal: %s: %s\n", purpose(r->what), why.text);
			status = EX_UNAVAILABLE;
		}
	}
	queue_close(&q);
	config_destroy(&config);
	return status;
}

int cmd_postqueue(int argc, char **argv)
{
	struct request r = { 0 };
	optind = 1;
	for (int c; (c = getopt(argc, argv, "fi:jps:v")) != -1;) {
		if (c == 'v')
			continue;
		if (c == '?' || r.what)
			return usage();
		r = (struct request){ .what = (char)c, .argument = optarg };
	}
	if (!r.what || optind < argc)
		return usage();
	uint64_t serial;
	if (r.what == 'i' && !queue_id_parse(r.argument, &serial)) {
		fprintf(stderr, "postqueue: fatal: Flush mail queue ID: %s: invalid queue id\n", r.argument);
		return EX_USAGE;
	}
	return perform(&r);
}

/* sendmail -bp takes sendmail's options, none of which matters here. */
int cmd_mailq(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return perform(&(struct request){ .what = 'p' });
}
