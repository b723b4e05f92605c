/* SPDX-License-Identifier: Apache-2.0
 *
 * A table, as small as a whole one can be: rot13:WORD finds each key that starts with WORD, and answers the key with its
 * letters turned by 13. One parameter, rot13_limit, says how long a key may be. */
#include <stdlib.h>
#include <string.h>

#include <ostler/host.h>

struct config {
	int64_t limit;
};

static const struct ost_param params[] = {
	{ "rot13_limit", OST_PARAM_AT(struct config, limit, OST_PARAM_INT), .defval = "100", .min = 1, .max = 1000,
	  .help = "Longest key that rot13 tables answer." },
	{ NULL },
};

struct rot13 { /* one opened table; constant, so that many threads may ask at once */
	const char *prefix;
	size_t limit;
};

static const struct ost_host *host;

/* Called once per process, before anything else. */
static bool rot13_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

static bool rot13_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	const struct config *c = config;
	struct rot13 *r = calloc(1, sizeof *r);
	if (!r)
		return host->why(why, "out of memory");
	r->prefix = host->instance_name(instance); /* valid until close */
	r->limit = (size_t)c->limit;
	*self = r;
	return true;
}

static void rot13_close(void *self)
{
	free(self);
}

static char turn(char c)
{
	if (c >= 'a' && c <= 'z')
		return (char)('a' + (c - 'a' + 13) % 26);
	if (c >= 'A' && c <= 'Z')
		return (char)('A' + (c - 'A' + 13) % 26);
	return c;
}

static enum ost_found rot13_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	const struct rot13 *r = self;
	char text[1000];
	if (query->klen > r->limit || strncmp(query->key, r->prefix, strlen(r->prefix)) != 0)
		return OST_NOTFOUND;
	for (size_t i = 0; i < query->klen; i++)
		text[i] = turn(query->key[i]);
	host->answer(answer, text, query->klen); /* copies */
	return OST_FOUND;
}

static const struct ost_table_ops ops = {
	.ops = {
		.size = sizeof ops,
		.flags = OST_TABLE_IMMEDIATE,
		.params = params,
		.config_size = sizeof(struct config),
		.open = rot13_open,
		.close = rot13_close,
	},
	.lookup = rot13_lookup,
};

static const struct ost_provide provides[] = {
	{ OST_KIND_TABLE, "rot13", &ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(rot13, .version = "1.0", .summary = "turns letters by 13", .license = "Apache-2.0", .provides = provides,
	   .load = rot13_load);
