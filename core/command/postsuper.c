/* SPDX-License-Identifier: Apache-2.0
 * postsuper: delete, hold, release and requeue messages. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/mem.h"
#include "command/command.h"
#include "command/instance.h"
#include "command/queue.h"

enum { QUEUES_MAX = 8 };

static const struct operation {
	char option;
	enum queue_op op;
	const char *done; /* "Deleted: 1 message" */
} operations[] = {
	{ 'd', QUEUE_DELETE, "Deleted" },
	{ 'h', QUEUE_HOLD, "Placed on hold" },
	{ 'H', QUEUE_RELEASE, "Released from hold" },
	{ 'r', QUEUE_REQUEUE, "Requeued" },
};
enum { OPERATIONS = sizeof operations / sizeof operations[0] };

/* What one operation is to be done to. */
struct targets {
	const char **ids;
	size_t count, size;
	bool all, wanted;
};

static int usage(void)
{
	fprintf(stderr, "postsuper: fatal: usage: postsuper [-c config_dir] [-d queue_id (delete)] [-h "
			"queue_id (hold)] "
			"[-H queue_id (un-hold)] [-p (purge temporary files)] [-r queue_id (requeue)] "
			"[-s (structure fix)] [-v (verbose)] [queue...]\n");
	return EX_USAGE;
}

static void add_id(struct targets *t, const char *id)
{
	uint64_t serial;
	t->wanted = true;
	if (strcmp(id, "ALL") == 0) {
		t->all = true;
		return;
	}
	if (!queue_id_parse(id, &serial)) {
		fprintf(stderr, "postsuper: warning: invalid mail queue id: %s\n", id);
		return;
	}
	if (t->count == t->size) {
		t->size = t->size ? t->size * 2 : 16;
		t->ids = mem_realloc_array(t->ids, t->size, sizeof *t->ids);
	}
	t->ids[t->count++] = mem_strdup(id);
}

/* "-": ids from standard input, one a line. */
static void add_from_stdin(struct targets *t)
{
	char line[256];
	t->wanted = true;
	while (fgets(line, sizeof line, stdin)) {
		line[strcspn(line, " \t\r\n")] = '\0';
		if (line[0])
			add_id(t, line);
	}
}

/* Does one operation, in all queues or in those named. Of none changed nothing is said, as Postfix does: who
 * reads "Released from hold" may go by it. */
static bool perform(struct queue *q, const struct operation *o, const struct targets *t, char *const *queues,
		    int nqueues)
{
	struct ost_why why = { .text = "" };
	uint64_t total = 0;
	bool ok = true;
	for (int i = 0; ok && i < (nqueues > 0 ? nqueues : 1); i++) {
		uint64_t count = 0;
		if (t->all || t->count > 0)
			ok = queue_change(q, o->op, t->all ? NULL : t->ids, t->all ? 0 : t->count,
					  nqueues > 0 ? queues[i] : NULL, &count, &why);
		total += count;
	}
	if (!ok)
		fprintf(stderr, "postsuper: fatal: %s\n", why.text);
	if (total > 0)
		fprintf(stderr, "postsuper: %s: %llu message%s\n", o->done, (unsigned long long)total,
			total == 1 ? "" : "s");
	return ok;
}

static int run(struct targets targets[OPERATIONS], char *const *queues, int nqueues)
{
	struct ost_why why = { .text = "" };
	struct config *config = instance_read(NULL);
	if (!config)
		return EX_CONFIG;
	struct queue *q = queue_open(config, QUEUE_EITHER, &why);
	int status = 0;
	if (!q) {
		fprintf(stderr, "postsuper: fatal: cannot reach the queue: %s\n", why.text);
		status = EX_UNAVAILABLE;
	}
	for (size_t i = 0; q && status == 0 && i < OPERATIONS; i++)
		if (targets[i].wanted && !perform(q, &operations[i], &targets[i], queues, nqueues))
			status = 1;
	queue_close(&q);
	config_destroy(&config);
	return status;
}

static struct targets *targets_of(struct targets targets[OPERATIONS], int option)
{
	for (size_t i = 0; i < OPERATIONS; i++)
		if (operations[i].option == option)
			return &targets[i];
	return NULL;
}

int cmd_postsuper(int argc, char **argv)
{
	struct targets targets[OPERATIONS] = { 0 };
	bool any = false, repairs = false;
	optind = 1;
	for (int c; (c = getopt(argc, argv, "d:h:H:r:psSv")) != -1;) {
		struct targets *t = targets_of(targets, c);
		if (c == '?')
			return usage();
		if (t && strcmp(optarg, "-") == 0)
			add_from_stdin(t);
		else if (t)
			add_id(t, optarg);
		any = any || t;
		repairs = repairs || c == 'p' || c == 's' ||
			  c == 'S'; /* the spool repairs itself at every start */
	}
	if (argc - optind > QUEUES_MAX)
		return usage();
	if (!any && (repairs || argc == optind))
		return 0;
	int status = run(targets, argv + optind, argc - optind);
	for (size_t i = 0; i < OPERATIONS; i++) {
		for (size_t n = 0; n < targets[i].count; n++)
			free((char *)(uintptr_t)targets[i].ids[n]);
		free(targets[i].ids);
	}
	return status;
}
