/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `cache`: keeps the answers of another table,
 * cache:{ttl=60s,negative=10s,stale=1h,size=10000}:type:name.
 *
 * A hit takes one lock of many (store.h) and nothing else. Of several threads that miss one key at the same
 * time the first one asks the table behind; the others wait for its answer. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "ostler/host.h"
#include "spec.h"
#include "store.h"

#define SECOND INT64_C(1000000)
enum {
	STALE_SECONDS = 1
}; /* an old answer that had to do is used this long before the table behind is asked again */

static const struct ost_host *host;

struct cache { /* constant once open, but for what is said otherwise */
	struct ost_instance *instance;
	struct ost_table *table; /* the one behind; the core's */
	struct cache_spec spec;
	struct store store;  /* guarded by its shards' locks */
	atomic_bool failing; /* the table behind fails: has been logged */
};

/* A question that one thread asks, and others wait for. Guarded by its shard's lock; freed by the last of
 * them. */
struct flight {
	struct flight *next;
	uint64_t hash, version;
	const char *key; /* of the thread that asks; used until it has landed */
	size_t klen;
	unsigned users;
	bool landed;
	bool late; /* the thread that asked ran out of time: says nothing about the table */
	enum ost_found result;
	char *value; /* terminated; NULL unless OST_FOUND */
	size_t vlen;
};

/* One lookup. */
struct job {
	struct cache *cache;
	const struct ost_query *query;
	struct ost_answer *answer;
	uint64_t hash;
	struct shard *shard;
	uint64_t version; /* of the table behind, before it is asked */
};

static bool cache_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static struct cache *new_cache(struct ost_instance *instance, const struct cache_spec *spec,
			       struct ost_table *table)
{
	struct cache *c = calloc(1, sizeof *c);
	uint64_t seed;
	if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) < 0)
		seed = (uint64_t)host->now() * (uintptr_t)c;
	if (c && !store_open(&c->store, (size_t)spec->size, seed)) {
		free(c);
		return NULL;
	}
	if (c) {
		c->instance = instance;
		c->spec = *spec;
		c->table = table;
	}
	return c;
}

static bool cache_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	const char *name = host->instance_name(instance);
	struct cache_spec spec;
	char error[CACHE_SPEC_ERROR];
	struct ost_why inner = { "" };
	if (!cache_spec_parse(name, &spec, error))
		return host->why(why, "bad syntax: \"cache:%s\": %s", name, error);
	struct ost_table *table = host->table_open(instance, spec.table, &inner);
	if (!table || inner.text[0])
		return host->why(why, "%s", inner.text);
	struct cache *c = new_cache(instance, &spec, table);
	if (!c)
		return host->why(why, "out of memory");
	host->set_table_flags(instance, host->table_flags(table));
	*self = c;
	return true;
}

static void cache_close(void *self)
{
	struct cache *c = self;
	store_close(&c->store);
	free(c);
}

/* ---- what is kept: with the shard's lock -------------------------------------------------------------------------- */

/* The entry for the key, if the table behind is still the one that gave it. */
static struct entry *find(const struct job *j)
{
	struct entry *e = shard_find(j->shard, j->hash, j->query->key, j->query->klen);
	return e && e->version == j->version ? e : NULL;
}

static enum ost_found give(const struct job *j, struct entry *e)
{
	shard_used(j->shard, e);
	if (!e->found)
		return OST_NOTFOUND;
	host->answer(j->answer, entry_value(e), e->vlen);
	return OST_FOUND;
}

/* An old answer, where one may do; else the failure. "Not found" is never old: who is new would be turned
 * away. */
static enum ost_found give_stale(const struct job *j, enum ost_found failure)
{
	int64_t now = host->now();
	struct entry *e = find(j);
	if (!e || !e->found || now >= e->stale_until)
		return failure;
	e->fresh_until =
		now + STALE_SECONDS * SECOND < e->stale_until ? now + STALE_SECONDS * SECOND : e->stale_until;
	if (!atomic_exchange(&j->cache->failing, true))
		host->log(j->cache->instance, OST_LOG_WARNING,
			  "cache: %s does not answer: answers of before are used meanwhile",
			  j->cache->spec.table);
	return give(j, e);
}

static void keep(const struct job *j, enum ost_found result, const char *value, size_t vlen)
{
	const struct cache *c = j->cache;
	int64_t time = result == OST_FOUND ? c->spec.ttl : c->spec.negative, now = host->now();
	if (j->query->klen + vlen > STORE_ENTRY_MAX)
		return;
	struct entry e = { .hash = j->hash,
			   .version = j->version,
			   .fresh_until = now + time,
			   .found = result == OST_FOUND,
			   .klen = (uint32_t)j->query->klen,
			   .vlen = (uint32_t)vlen };
	e.stale_until = e.fresh_until + c->spec.stale;
	if (time > 0)
		shard_put(j->shard, &e, j->query->key, value ? value : "");
}

/* ---- questions under way: with the shard's lock -------------------------------------------------------------------- */

static struct flight *find_flight(const struct job *j)
{
	struct flight *f = j->shard->flights;
	while (f && (f->hash != j->hash || f->version != j->version || f->klen != j->query->klen ||
		     memcmp(f->key, j->query->key, f->klen) != 0))
		f = f->next;
	return f;
}

static struct flight *new_flight(const struct job *j)
{
	struct flight *f = calloc(1, sizeof *f);
	if (!f)
		return NULL;
	f->hash = j->hash;
	f->version = j->version;
	f->key = j->query->key;
	f->klen = j->query->klen;
	f->users = 1;
	f->next = j->shard->flights;
	j->shard->flights = f;
	return f;
}

static void release(struct flight *f)
{
	if (--f->users > 0)
		return;
	free(f->value);
	free(f);
}

/* The answer is there, for those who wait. */
static void land(const struct job *j, struct flight *f, enum ost_found result, const char *value, size_t vlen)
{
	struct flight **at = &j->shard->flights;
	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	f->result = result;
	f->late = result == OST_TEMPFAIL && host->now() >= j->query->deadline;
	if (result == OST_FOUND && f->users > 1 && (f->value = malloc(vlen + 1)) != NULL) {
		memcpy(f->value, value, vlen);
		f->value[vlen] = '\0';
		f->vlen = vlen;
	}
	if (result == OST_FOUND && !f->value)
		f->result = OST_TEMPFAIL; /* no memory, or nobody waits */
	f->landed = true;
	pthread_cond_broadcast(&j->shard->landed);
}

/* Asks the table behind. Called and returns with the lock held, and without it in between. */
static enum ost_found ask(struct job *j)
{
	struct cache *c = j->cache;
	struct flight *f = new_flight(j); /* without memory nobody waits for this one */
	size_t vlen = 0;
	const char *value = NULL;
	pthread_mutex_unlock(&j->shard->lock);
	enum ost_found result = host->table_ask(c->table, j->query, j->answer);
	if (result == OST_FOUND)
		value = host->answer_value(j->answer, &vlen);
	bool same = host->table_version(c->table) == j->version;
	pthread_mutex_lock(&j->shard->lock);
	if (result == OST_FOUND || result == OST_NOTFOUND) {
		if (same)
			keep(j, result, value, vlen);
		if (atomic_load_explicit(&c->failing, memory_order_relaxed) &&
		    atomic_exchange(&c->failing, false))
			host->log(c->instance, OST_LOG_INFO, "cache: %s answers again", c->spec.table);
	} else if (result == OST_TEMPFAIL) {
		result = give_stale(j, result);
		if (result == OST_FOUND)
			value = host->answer_value(j->answer, &vlen);
	}
	if (f) {
		land(j, f, result, value, vlen);
		release(f);
	}
	return result;
}

/* Waits for what another thread asks; false: that one ran out of time, and this one has more. Lock as above.
 */
static bool wait_for(const struct job *j, struct flight *f, enum ost_found *result)
{
	struct timespec until = { .tv_sec = j->query->deadline / SECOND,
				  .tv_nsec = j->query->deadline % SECOND * 1000 };
	f->users++;
	while (!f->landed && host->now() < j->query->deadline)
		pthread_cond_timedwait(&j->shard->landed, &j->shard->lock, &until);
	bool again = f->landed && f->late && host->now() < j->query->deadline;
	if (!f->landed) {
		host->answer_why(j->answer, "%s does not answer in time", j->cache->spec.table);
		*result = give_stale(j, OST_TEMPFAIL);
	} else {
		*result = f->result;
		if (f->result == OST_FOUND)
			host->answer(j->answer, f->value, f->vlen);
		else if (f->result != OST_NOTFOUND)
			host->answer_why(j->answer, "%s fails", j->cache->spec.table);
	}
	release(f);
	return !again;
}

static enum ost_found cache_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	struct cache *c = self;
	struct job j = {
		.cache = c, .query = query, .answer = answer, .version = host->table_version(c->table)
	};
	enum ost_found result = OST_TEMPFAIL;
	bool done = false;
	j.hash = store_hash(&c->store, query->key, query->klen);
	j.shard = store_shard(&c->store, j.hash);
	pthread_mutex_lock(&j.shard->lock);
	while (!done) {
		struct entry *e = find(&j);
		struct flight *f = NULL;
		done = true;
		if (e && host->now() < e->fresh_until)
			result = give(&j, e);
		else if ((f = find_flight(&j)) != NULL)
			done = wait_for(&j, f, &result);
		else
			result = ask(&j);
	}
	pthread_mutex_unlock(&j.shard->lock);
	return result;
}

static const struct ost_table_ops cache_ops = {
	.ops = {
		.size = sizeof cache_ops,
		.open = cache_open,
		.close = cache_close,
	},
	.lookup = cache_lookup,
};

static const struct ost_provide cache_provides[] = {
	{ OST_KIND_TABLE, "cache", &cache_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(cache, .version = "1.0", .summary = "keeps the answers of another table in memory",
	   .license = "Apache-2.0", .provides = cache_provides, .load = cache_load);
