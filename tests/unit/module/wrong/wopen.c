/* SPDX-License-Identifier: Apache-2.0 */
#include "wrong.h"

/* Parameters of all types, and an open() that says what it got. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct config {
	const char *word, *secret, *derived;
	int64_t number, delay, bytes;
	bool flag;
	struct ost_tables *tables;
};

static const struct ost_param params[] = {
	{ "wopen_word", OST_PARAM_AT(struct config, word, OST_PARAM_STRING), .flags = OST_PARAM_REQUIRED, .help = "a word" },
	{ "wopen_secret", OST_PARAM_AT(struct config, secret, OST_PARAM_STRING), .flags = OST_PARAM_SECRET },
	{ "wopen_derived", OST_PARAM_AT(struct config, derived, OST_PARAM_STRING), .defval = "at $wopen_word" },
	{ "wopen_number", OST_PARAM_AT(struct config, number, OST_PARAM_INT), .defval = "5", .min = 1, .max = 10 },
	{ "wopen_delay", OST_PARAM_AT(struct config, delay, OST_PARAM_TIME), .defval = "2m", .min = 1, .max = 3600 },
	{ "wopen_bytes", OST_PARAM_AT(struct config, bytes, OST_PARAM_SIZE), .defval = "1000" },
	{ "wopen_flag", OST_PARAM_AT(struct config, flag, OST_PARAM_BOOL), .defval = "no" },
	{ "wopen_tables", OST_PARAM_AT(struct config, tables, OST_PARAM_TABLES) },
	{ NULL },
};

static const struct ost_host *host;
static char text[512]; /* one instance, one thread: a test */

static bool load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

static bool check(const void *config, struct ost_why *why)
{
	const struct config *c = config;
	return c->number != 7 || host->why(why, "wopen_number: 7 is not liked");
}

static bool open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	const struct config *c = config;
	if (c->number == 8)
		return host->why(why, "open() says no to %s", host->instance_name(instance));
	snprintf(text, sizeof text, "%s|%s|%s|%" PRId64 "|%" PRId64 "|%" PRId64 "|%d|%d", c->word ? c->word : "-",
		 c->secret ? c->secret : "-", c->derived, c->number, c->delay, c->bytes, c->flag, c->tables != NULL);
	*self = text;
	return true;
}

static enum ost_found lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	(void)wrong_lookup;
	(void)query;
	host->answer(answer, self, strlen(self));
	return OST_FOUND;
}

static const struct ost_table_ops ops = {
	.ops = { .size = sizeof ops, .params = params, .config_size = sizeof(struct config), .config_check = check, .open = open },
	.lookup = lookup,
};
static const struct ost_table_ops cf_ops = {
	.ops = { .size = sizeof cf_ops, .flags = OST_TABLE_CF_FILE, .params = params, .config_size = sizeof(struct config),
		 .config_check = check, .open = open },
	.lookup = lookup,
};
static const struct ost_provide provides[] = {
	{ OST_KIND_TABLE, "wopen", &ops.ops },
	{ OST_KIND_TABLE, "wopencf", &cf_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};
WRONG_MODULE(wopen, WRONG_HEAD(wopen), .load = load);
