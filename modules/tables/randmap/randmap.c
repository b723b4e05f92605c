/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `randmap`: randmap:{ value, value … }, one of the values by chance, for every key. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "ostler/host.h"
#include "shared/braces.h"

static const struct ost_host *host;

struct choice {
	atomic_uint_fast64_t state; /* of the generator: a counter that is mixed */
	char *content;              /* holds the values */
	size_t count;
	const char *values[];
};

static bool randmap_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

/* An item that has braces keeps them, as in Postfix. */
static void split(struct choice *c)
{
	for (char *at = c->content, *item; (item = braces_item(&at));)
		c->values[c->count++] = item;
}

static bool randmap_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	const char *name = host->instance_name(instance);
	char *content = braces_content(name);
	/* A value has a letter and a separator at least. */
	struct choice *c = content ? malloc(sizeof *c + (strlen(content) / 2 + 1) * sizeof *c->values) : NULL;
	if (content && !c) {
		free(content);
		return host->why(why, "out of memory");
	}
	uint64_t seed = 0;
	if (c) {
		c->content = content;
		c->count = 0;
		split(c);
		if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) < 0)
			seed = (uint64_t)host->now();
		atomic_init(&c->state, seed);
	}
	if (!c || c->count == 0) {
		free(content);
		free(c);
		return host->why(why, "bad syntax: \"randmap:%s\"; need \"randmap:{value...}\"", name);
	}
	*self = c;
	return true;
}

static void randmap_close(void *self)
{
	struct choice *c = self;
	free(c->content);
	free(c);
}

/* SplitMix64: a step of a counter, mixed. Any number of threads, no lock. */
static uint64_t next_number(struct choice *c)
{
	uint64_t z = atomic_fetch_add_explicit(&c->state, 0x9e3779b97f4a7c15u, memory_order_relaxed);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static enum ost_found randmap_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	struct choice *c = self;
	(void)query;
	const char *value = c->values[next_number(c) % c->count];
	host->answer(answer, value, strlen(value));
	return OST_FOUND;
}

static const struct ost_table_ops randmap_ops = {
	.ops = {
		.size = sizeof randmap_ops,
		.flags = OST_TABLE_IMMEDIATE | OST_TABLE_WHOLE_KEYS,
		.open = randmap_open,
		.close = randmap_close,
	},
	.lookup = randmap_lookup,
};

static const struct ost_provide randmap_provides[] = {
	{ OST_KIND_TABLE, "randmap", &randmap_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(randmap, .version = "1.0", .summary = "one of several values, by chance", .license = "Apache-2.0",
	   .provides = randmap_provides, .load = randmap_load);
