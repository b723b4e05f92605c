/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "transports/smtp/smtp.h"

enum { CACHED_MAX = 200 };

/* Takes the first that fits off the list; the lock is held. */
static struct session *unlink_first(struct smtp *smtp, const char *key)
{
	for (struct session **at = &smtp->cached; *at; at = &(*at)->next) {
		struct session *s = *at;
		if (strcmp(s->key, key) != 0)
			continue;
		*at = s->next;
		smtp->ncached--;
		return s;
	}
	return NULL;
}

struct session *cache_take(struct smtp *smtp, const char *key)
{
	for (;;) {
		pthread_mutex_lock(&smtp->lock);
		struct session *s = unlink_first(smtp, key);
		pthread_mutex_unlock(&smtp->lock);
		if (!s || stream_quiet(&s->stream))
			return s;
		s->good = false;
		session_close(smtp, &s);
	}
}

bool cache_worth_keeping(const struct smtp *smtp, const struct session *s, int64_t now)
{
	const struct smtp_config *c = smtp->config;
	return s->good && c->cache_time > 0 && (c->cache_on_demand || *c->cache_destinations) &&
	       (c->reuse_count_limit == 0 || s->uses < c->reuse_count_limit) && now - s->opened < c->reuse_time &&
	       (!s->dirty || s->can & CAN_PIPELINING);
}

void cache_give(struct smtp *smtp, struct session *s)
{
	int64_t now = smtp_host->now();
	if (cache_worth_keeping(smtp, s, now)) {
		s->parked = now;
		pthread_mutex_lock(&smtp->lock);
		if (smtp->ncached < CACHED_MAX) {
			s->next = smtp->cached;
			smtp->cached = s;
			smtp->ncached++;
			s = NULL;
		}
		pthread_mutex_unlock(&smtp->lock);
	}
	session_close(smtp, &s);
}

void cache_expire(struct smtp *smtp, bool all)
{
	int64_t oldest = smtp_host->now() - smtp->config->cache_time;
	struct session *over = NULL;
	pthread_mutex_lock(&smtp->lock);
	for (struct session **at = &smtp->cached; *at;) {
		struct session *s = *at;
		if (!all && s->parked > oldest) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		smtp->ncached--;
		s->next = over;
		over = s;
	}
	pthread_mutex_unlock(&smtp->lock);
	while (over) {
		struct session *next = over->next;
		session_close(smtp, &over);
		over = next;
	}
}
