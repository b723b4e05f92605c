/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/dialogue.h"

#include <stdlib.h>

struct dialogue {
	const struct ost_host *host;
	struct ost_instance *instance;
	struct dialogue_config config;
	struct ost_pool *pool;
};

/* ---- connections ------------------------------------------------------------------------------------------------- */

static void *connect_to(void *ctx, size_t i, int64_t deadline, struct ost_why *why)
{
	const struct dialogue *d = ctx;
	(void)i;
	int fd = d->host->connect(d->instance, d->config.host, d->config.port, deadline, why);
	struct stream *s = fd < 0 ? NULL : malloc(sizeof *s);
	if (s)
		stream_init(s, fd, d->host->now);
	else if (fd >= 0) {
		stream_close(&(struct stream){ .fd = fd });
		d->host->why(why, "out of memory");
	}
	return s;
}

static void disconnect(void *ctx, void *connection)
{
	struct stream *s = connection;
	(void)ctx;
	stream_close(s);
	free(s);
}

struct dialogue *dialogue_open(const struct ost_host *host, struct ost_instance *instance,
			       const struct dialogue_config *config, struct ost_why *why)
{
	struct dialogue *d = malloc(sizeof *d);
	if (!d) {
		host->why(why, "out of memory");
		return NULL;
	}
	*d = (struct dialogue){ .host = host, .instance = instance, .config = *config };
	const struct ost_pool_server server = { .name = config->name };
	const struct ost_pool_config pool = {
		.size = sizeof pool,
		.max = config->connections,
		.servers = &server,
		.count = 1,
		.idle_time = config->idle_time,
		.life_time = config->life_time,
		.ctx = d,
		.connect = connect_to,
		.disconnect = disconnect,
	};
	d->pool = host->pool_new(instance, &pool, why);
	if (!d->pool) {
		free(d);
		return NULL;
	}
	return d;
}

void dialogue_close(struct dialogue *d)
{
	if (!d)
		return;
	d->host->pool_free(d->pool);
	free(d);
}

/* ---- questions --------------------------------------------------------------------------------------------------- */

static void tell(const struct dialogue *d, enum stream_state state, struct ost_why *why)
{
	static const char *const texts[] = {
		[STREAM_OK] = "",
		[STREAM_LOST] = "the server closed the connection",
		[STREAM_TIMEOUT] = "no answer in time",
		[STREAM_LONG] = "the reply is too long",
	};
	if (!why->text[0])
		d->host->why(why, "%s", texts[state]);
}

/* One attempt. *stale: the connection had been closed while nobody used it. */
static bool ask_once(struct dialogue *d, const void *request, size_t n, void *ctx, int64_t deadline,
		     bool *stale, struct ost_why *why)
{
	bool fresh = false, any = false;
	struct ost_why inner = { "" };
	*stale = false;
	struct stream *s = d->host->pool_take(d->pool, deadline, &fresh, why);
	if (!s)
		return false;
	enum stream_state state =
		fresh || stream_quiet(s) ? stream_write(s, request, n, deadline, false) : STREAM_LOST;
	if (state == STREAM_OK)
		state = d->config.read(ctx, s, deadline, &any, &inner);
	if (state == STREAM_OK) {
		d->host->pool_give(d->pool, s, OST_POOL_GOOD, NULL);
		return true;
	}
	tell(d, state, &inner);
	*stale = state == STREAM_LOST && !fresh && !any;
	d->host->pool_give(d->pool, s, *stale ? OST_POOL_STALE : OST_POOL_FAILED, &inner);
	d->host->why(why, "%s: %s", d->config.name, inner.text);
	return false;
}

bool dialogue_ask(struct dialogue *d, const void *request, size_t n, void *ctx, int64_t deadline,
		  struct ost_why *why)
{
	bool stale;
	return ask_once(d, request, n, ctx, deadline, &stale, why) ||
	       (stale && ask_once(d, request, n, ctx, deadline, &stale, why));
}
