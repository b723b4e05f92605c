/* SPDX-License-Identifier: Apache-2.0
 * Host services: connections to a few servers that the threads of one instance share (ostler/pool.h), and the
 * circuit breaker: a server that has failed is asked again after a pause, by one thread. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "module/host_services.h"
#include "module/instance.h"
#include "module/pools.h"

#define POOL_MAGIC 0x706f6f6cu
enum { DEFAULT_MAX = 2, TIDY_SECONDS = 5 };
#define DEFAULT_IDLE      (60 * CLOCK_SECOND)
#define DEFAULT_RETRY_MIN (CLOCK_SECOND / 4)
#define DEFAULT_RETRY_MAX (2 * CLOCK_SECOND)

struct server {
	char *name;
	unsigned priority;
	bool down;          /* its last attempt failed */
	bool probing;       /* it was down, and a thread tries it now */
	int64_t pause;      /* after its next failure */
	int64_t wait_until; /* while it is down */
	uint64_t epoch;     /* connections made in an earlier one are dead */
	struct ost_why why; /* it is down */
};

struct connection {
	struct connection *next;
	void *connection; /* the module's */
	size_t server;
	uint64_t epoch;
	int64_t born;
	int64_t since; /* it is idle */
};

struct ost_pool {
	unsigned magic;
	struct ost_pool *next; /* in the list of all */
	struct mod_instance *instance;
	struct ost_pool_config config;
	char *name; /* for the log: "pgsql:/etc/x.cf" */

	pthread_mutex_t lock; /* guards all that follows */
	pthread_cond_t changed;
	struct server *servers;
	struct connection *idle, *taken; /* idle: the one used last comes first */
	uint32_t count;                  /* idle, taken, and being made */
	uint32_t tidying;                /* connections of this pool that mod_pools_tidy() closes */
};

static pthread_mutex_t all_lock =
	PTHREAD_MUTEX_INITIALIZER; /* guards the list of all; taken before a pool's lock */
static struct ost_pool *all;

/* ---- servers: which one, and what becomes of it ------------------------------------------------------------------ */

static bool may_try(const struct server *s, int64_t now)
{
	return !s->down || (!s->probing && now >= s->wait_until);
}

/* The server to connect to: of those that may be tried the best, equal ones by lot. Lock held; -1: none. */
static ssize_t choose(const struct ost_pool *p)
{
	int64_t now = clock_mono();
	ssize_t best = -1;
	uint32_t equal = 0, lot = 0;
	for (size_t i = 0; i < p->config.count; i++) {
		const struct server *s = &p->servers[i];
		if (!may_try(s, now) || (best >= 0 && s->priority > p->servers[best].priority))
			continue;
		equal = best >= 0 && s->priority == p->servers[best].priority ? equal + 1 : 1;
		if (equal > 1 && getrandom(&lot, sizeof lot, 0) != sizeof lot)
			lot = 1;
		if (equal == 1 || lot % equal == 0)
			best = (ssize_t)i;
	}
	return best;
}

/* Lock held. */
static void went_down(struct ost_pool *p, struct server *s, const char *why)
{
	if (!s->down)
		log_warning("%s: %s: %s", p->name, s->name, why);
	why_set(&s->why, "%s: %s", s->name, why);
	s->down = true;
	s->wait_until = clock_mono() + s->pause;
	s->pause = s->pause * 2 < p->config.retry_max ? s->pause * 2 : p->config.retry_max;
	pthread_cond_broadcast(&p->changed); /* who waits for a connection need not wait any more */
}

/* Lock held. */
static void came_up(struct ost_pool *p, struct server *s)
{
	if (s->down)
		log_info("%s: %s: is back", p->name, s->name);
	s->down = false;
	s->pause = p->config.retry_min;
}

/* What is wrong with the one that will be tried next. Lock held. */
static void tell_down(const struct ost_pool *p, struct ost_why *why)
{
	const struct server *next = &p->servers[0];
	for (size_t i = 1; i < p->config.count; i++)
		if (p->servers[i].wait_until < next->wait_until)
			next = &p->servers[i];
	why_set(why, "%s", next->why.text);
}

/* ---- connections ------------------------------------------------------------------------------------------------- */

static void close_list(struct ost_pool *p, struct connection *list)
{
	while (list) {
		struct connection *c = list;
		list = c->next;
		p->config.disconnect(p->config.ctx, c->connection);
		free(c);
	}
}

static bool is_useful(const struct ost_pool *p, const struct connection *c, int64_t now)
{
	return c->epoch == p->servers[c->server].epoch && now - c->since <= p->config.idle_time &&
	       (p->config.life_time == 0 || now - c->born < p->config.life_time);
}

/* Takes those out of the idle list that are dead, idle too long, or too old. Lock held. */
static struct connection *take_useless(struct ost_pool *p, int64_t now)
{
	struct connection *useless = NULL;
	for (struct connection **at = &p->idle; *at;) {
		struct connection *c = *at;
		if (is_useful(p, c, now)) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		c->next = useless;
		useless = c;
		p->count--;
	}
	return useless;
}

/* Lock held, released meanwhile. NULL: that server is down now. */
static struct connection *make_connection(struct ost_pool *p, size_t i, int64_t deadline)
{
	struct server *s = &p->servers[i];
	struct ost_why why = { "" };
	uint64_t epoch = s->epoch;
	p->count++;
	s->probing = s->down;
	pthread_mutex_unlock(&p->lock);
	int64_t limit = p->config.connect_time ? clock_mono() + p->config.connect_time : deadline;
	void *made = p->config.connect(p->config.ctx, i, limit < deadline ? limit : deadline, &why);
	pthread_mutex_lock(&p->lock);
	s->probing = false;
	if (!made) {
		p->count--;
		went_down(p, s, why.text[0] ? why.text : "no connection, and no reason given");
		return NULL;
	}
	came_up(p, s);
	struct connection *c = MEM_NEW(struct connection);
	*c = (struct connection){ .connection = made, .server = i, .epoch = epoch, .born = clock_mono() };
	return c;
}

static void wait_for_change(struct ost_pool *p, int64_t deadline)
{
	struct timespec at = { deadline / CLOCK_SECOND, deadline % CLOCK_SECOND * 1000 };
	pthread_cond_timedwait(&p->changed, &p->lock, &at);
}

/* An idle connection, a new one, or the next to be given back. Lock held. NULL with the reason. */
static struct connection *get_connection(struct ost_pool *p, int64_t deadline, bool *fresh,
					 struct ost_why *why)
{
	for (;;) {
		struct connection *c = p->idle;
		if (c) {
			p->idle = c->next;
			return c;
		}
		ssize_t server = choose(p);
		if (server < 0) {
			tell_down(p, why);
			return NULL;
		}
		if (clock_mono() >= deadline) {
			why_set(why, "all %" PRIu32 " connections are in use", p->config.max);
			return NULL;
		}
		if (p->count >= p->config.max) {
			wait_for_change(p, deadline);
		} else if ((c = make_connection(p, (size_t)server, deadline)) != NULL) {
			*fresh = true;
			return c;
		}
	}
}

void *host_pool_take(struct ost_pool *p, int64_t deadline, bool *fresh, struct ost_why *why)
{
	CHECK_MAGIC(p, POOL_MAGIC);
	bool is_new = false;
	pthread_mutex_lock(&p->lock);
	struct connection *c = get_connection(p, deadline, &is_new, why);
	if (c) {
		c->next = p->taken;
		p->taken = c;
	}
	pthread_mutex_unlock(&p->lock);
	if (fresh)
		*fresh = is_new;
	return c ? c->connection : NULL;
}

/* Lock held. */
static struct connection *find_taken(struct ost_pool *p, const void *connection)
{
	struct connection **at = &p->taken;
	while (*at && (*at)->connection != connection)
		at = &(*at)->next;
	struct connection *c = *at;
	assert(c != NULL);
	*at = c->next;
	return c;
}

void host_pool_give(struct ost_pool *p, void *connection, enum ost_pool_state state,
		    const struct ost_why *why)
{
	CHECK_MAGIC(p, POOL_MAGIC);
	pthread_mutex_lock(&p->lock);
	struct connection *c = find_taken(p, connection), *useless = NULL;
	struct server *s = &p->servers[c->server];
	if (state != OST_POOL_GOOD && c->epoch == s->epoch)
		s->epoch++;
	if (state == OST_POOL_FAILED)
		went_down(p, s, why && why->text[0] ? why->text : "failed");
	c->since = clock_mono();
	c->next = p->idle;
	p->idle = c;
	useless = take_useless(p, c->since);
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
	close_list(p, useless);
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void set_defaults(struct ost_pool_config *c)
{
	c->max = c->max ? c->max : DEFAULT_MAX;
	c->idle_time = c->idle_time ? c->idle_time : DEFAULT_IDLE;
	c->retry_min = c->retry_min ? c->retry_min : DEFAULT_RETRY_MIN;
	c->retry_max = c->retry_max ? c->retry_max : DEFAULT_RETRY_MAX;
}

struct ost_pool *host_pool_new(struct ost_instance *instance, const struct ost_pool_config *config,
			       struct ost_why *why)
{
	if (config->count == 0) {
		why_set(why, "no server is named");
		return NULL;
	}
	struct ost_pool *p = MEM_NEW(struct ost_pool);
	p->magic = POOL_MAGIC;
	p->instance = instance->core;
	memcpy(&p->config, config, config->size < sizeof p->config ? config->size : sizeof p->config);
	set_defaults(&p->config);
	p->name = mem_printf("%s:%s", instance->core->provider->name, instance->core->name);
	p->servers = mem_zalloc(config->count * sizeof *p->servers);
	for (size_t i = 0; i < config->count; i++)
		p->servers[i] = (struct server){ .name = mem_strdup(config->servers[i].name),
						 .priority = config->servers[i].priority,
						 .pause = p->config.retry_min };
	p->config.servers = NULL;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->changed, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_lock(&all_lock);
	p->next = all;
	all = p;
	pthread_mutex_unlock(&all_lock);
	return p;
}

static void forget(const struct ost_pool *p)
{
	pthread_mutex_lock(&all_lock);
	struct ost_pool **at = &all;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	pthread_mutex_unlock(&all_lock);
}

void mod_sockets_each(const struct mod_instance *in, void (*each)(void *ctx, const char *path), void *ctx)
{
	static const char prefix[] = "unix:";
	pthread_mutex_lock(&all_lock);
	for (const struct ost_pool *p = all; p; p = p->next)
		for (size_t i = 0; p->instance == in && i < p->config.count; i++)
			if (strncmp(p->servers[i].name, prefix, sizeof prefix - 1) == 0)
				each(ctx, p->servers[i].name + sizeof prefix - 1);
	pthread_mutex_unlock(&all_lock);
}

void host_pool_free(struct ost_pool *p)
{
	if (!p)
		return;
	CHECK_MAGIC(p, POOL_MAGIC);
	forget(p);
	pthread_mutex_lock(&p->lock);
	assert(p->taken == NULL);
	while (p->tidying > 0)
		pthread_cond_wait(&p->changed, &p->lock);
	struct connection *idle = p->idle;
	p->idle = NULL;
	pthread_mutex_unlock(&p->lock);
	close_list(p, idle);
	for (size_t i = 0; i < p->config.count; i++)
		free(p->servers[i].name);
	free(p->servers);
	free(p->name);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->changed);
	p->magic = 0;
	free(p);
}

/* ---- connections that nobody uses -------------------------------------------------------------------------------- */

/* A pool that has idle connections to be closed; it cannot be freed before close_tidied(). */
static struct ost_pool *next_untidy(struct connection **useless)
{
	pthread_mutex_lock(&all_lock);
	struct ost_pool *p = all;
	for (; p; p = p->next) {
		pthread_mutex_lock(&p->lock);
		*useless = take_useless(p, clock_mono());
		p->tidying += *useless != NULL;
		pthread_mutex_unlock(&p->lock);
		if (*useless)
			break;
	}
	pthread_mutex_unlock(&all_lock);
	return p;
}

int64_t mod_pools_tidy(void)
{
	struct connection *useless = NULL;
	struct ost_pool *p;
	while ((p = next_untidy(&useless)) != NULL) {
		mod_enter(p->instance, "disconnect", mod_deadline(1));
		close_list(p, useless);
		mod_leave(p->instance);
		pthread_mutex_lock(&p->lock);
		p->tidying--;
		pthread_cond_broadcast(&p->changed);
		pthread_mutex_unlock(&p->lock);
	}
	pthread_mutex_lock(&all_lock);
	bool any = all != NULL;
	pthread_mutex_unlock(&all_lock);
	return any ? clock_mono() + TIDY_SECONDS * CLOCK_SECOND : CLOCK_NEVER;
}
