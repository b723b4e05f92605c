/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr/transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "qmgr/agent.h"
#include "qmgr/job.h"
#include "qmgr/qmgr.h"

#define TRANSPORT_MAGIC 0x93670005u
enum { IDLE_DESTINATIONS = 500, RESERVED_PART = 5 };
/* How long agents may take to come; how often they are asked for meanwhile. */
#define AGENT_PATIENCE (60 * CLOCK_SECOND)
#define WANT_INTERVAL  (5 * CLOCK_SECOND)

struct transport *transport_get(struct qmgr *q, const char *name)
{
	struct transport *t;
	HASH_FIND_STR(q->transports.table, name, t);
	if (t)
		return t;
	t = MEM_NEW(struct transport);
	t->magic = TRANSPORT_MAGIC;
	t->qmgr = q;
	t->name = mem_strdup(name);
	transport_settings_read(&t->settings, q->view, name);
	for (int c = 0; c < MAIL_CLASSES; c++)
		TAILQ_INIT(&t->ready[c]);
	TAILQ_INIT(&t->idle);
	TAILQ_INIT(&t->agents);
	HASH_ADD_KEYPTR(hh, q->transports.table, t->name, strlen(t->name), t);
	return t;
}

void transport_touch(struct qmgr *q, struct transport *t)
{
	CHECK_MAGIC(t, TRANSPORT_MAGIC);
	if (!t->dirty)
		TAILQ_INSERT_TAIL(&q->transports.dirty, t, dirty_link);
	t->dirty = true;
}

/* Defers what waits for an unavailable transport. */
static void suspend_ready(struct qmgr *q, struct transport *t)
{
	struct destination *d;
	for (int c = 0; c < MAIL_CLASSES; c++)
		while ((d = TAILQ_FIRST(&t->ready[c])))
			jobs_suspend(q, d, "4.3.0", t->reason);
}

static void make_unavailable(struct qmgr *q, struct transport *t, const char *why)
{
	log_warning("transport %s: %s", t->name, why);
	snprintf(t->reason, sizeof t->reason, "mail transport unavailable");
	t->unavailable = true;
	t->wanted_since = t->wanted_at = 0;
	t->available_at = clock_mono() + q->settings.transport_retry;
	suspend_ready(q, t);
}

/* Work waits and no agent runs. */
static void want_agents(struct qmgr *q, struct transport *t)
{
	int64_t now = clock_mono();
	if (!q->host.has_service(q->host.ctx, t->name)) {
		make_unavailable(q, t, "master.cf has no such service");
		return;
	}
	if (t->wanted_since == 0)
		t->wanted_since = now;
	if (now - t->wanted_since > AGENT_PATIENCE) {
		make_unavailable(q, t, "no delivery agent comes up");
	} else if (t->wanted_at == 0 || now - t->wanted_at >= WANT_INTERVAL) {
		t->wanted_at = now;
		q->host.want(q->host.ctx, t->name);
	}
}

/* The agent that is given the next delivery: the one with most room in proportion. */
static struct agent *pick_agent(const struct transport *t)
{
	struct agent *a, *best = NULL;
	TAILQ_FOREACH(a, &t->agents, link)
	{
		if (a->busy < a->limit &&
		    (!best || (uint64_t)a->busy * best->limit < (uint64_t)best->busy * a->limit))
			best = a;
	}
	return best;
}

static bool has_work(const struct transport *t)
{
	bool work = false;
	for (int c = 0; c < MAIL_CLASSES; c++)
		work |= !TAILQ_EMPTY(&t->ready[c]);
	return work;
}

/* May mail that is tried again have one more agent's attention? A part of it is left to new mail, which need
 * not wait then for the timeouts of hosts that are known to be bad. */
static bool room_for_retried(const struct qmgr *q, const struct transport *t)
{
	const struct agent *a;
	uint64_t limit = 0;
	if (q->transports.flying[MAIL_RETRIED] >= pace_limit(&q->pace, clock_mono()))
		return false;
	TAILQ_FOREACH(a, &t->agents, link)
	limit += a->limit;
	return t->flying[MAIL_RETRIED] < limit - limit / RESERVED_PART;
}

/* The destination that is next: new mail and mail that is tried again take turns. NULL: none may be. */
static struct destination *next_destination(const struct qmgr *q, struct transport *t, enum mail_class *class)
{
	bool may[MAIL_CLASSES] = {
		[MAIL_FRESH] = !TAILQ_EMPTY(&t->ready[MAIL_FRESH]),
		[MAIL_RETRIED] = !TAILQ_EMPTY(&t->ready[MAIL_RETRIED]) && room_for_retried(q, t),
	};
	if (!may[t->turn])
		t->turn = !t->turn;
	if (!may[t->turn])
		return NULL;
	*class = t->turn;
	t->turn = !t->turn;
	return TAILQ_FIRST(&t->ready[*class]);
}

/* Gives agents what they can take, a delivery from each destination in turn. */
static void hand_out(struct qmgr *q, struct transport *t)
{
	struct destination *d;
	struct agent *a;
	enum mail_class class;
	while ((a = pick_agent(t)) && (d = next_destination(q, t, &class))) {
		TAILQ_REMOVE(&t->ready[class], d, ready_link[class]);
		TAILQ_INSERT_TAIL(&t->ready[class], d, ready_link[class]);
		agent_deliver(q, a, d, class);
		if (t->settings.transport_rate_delay > 0) {
			t->pause_until = clock_mono() + t->settings.transport_rate_delay;
			break;
		}
	}
}

/* Agents that are being replaced take nothing: they do not count. */
static bool has_agents(const struct transport *t)
{
	const struct agent *a;
	TAILQ_FOREACH(a, &t->agents, link)
	{
		if (a->limit > 0)
			return true;
	}
	return false;
}

static void transport_run(struct qmgr *q, struct transport *t)
{
	if (t->barred > 0 || !has_work(t))
		return;
	if (!has_agents(t)) {
		if (t->unavailable)
			suspend_ready(q, t);
		else
			want_agents(q, t);
		return;
	}
	t->unavailable = false;
	t->wanted_since = t->wanted_at = 0;
	if (t->settings.transport_rate_delay == 0 || clock_mono() >= t->pause_until)
		hand_out(q, t);
}

void transports_run(struct qmgr *q)
{
	struct transport *t;
	while ((t = TAILQ_FIRST(&q->transports.dirty))) {
		TAILQ_REMOVE(&q->transports.dirty, t, dirty_link);
		t->dirty = false;
		transport_run(q, t);
		if (t->nidle > IDLE_DESTINATIONS)
			destinations_trim(q, t, IDLE_DESTINATIONS);
	}
}

void transports_tick(struct qmgr *q)
{
	int64_t now = clock_mono();
	for (struct transport *t = q->transports.table; t; t = t->hh.next) {
		if (t->unavailable && now >= t->available_at)
			t->unavailable = false;
		if (has_work(t))
			transport_touch(q, t);
	}
}

void transports_revive(struct qmgr *q)
{
	for (struct transport *t = q->transports.table; t; t = t->hh.next) {
		struct destination *next;
		t->unavailable = false;
		t->wanted_since = t->wanted_at = 0;
		for (struct destination *d = t->destinations; d; d = next) {
			next = d->hh.next;
			if (d->dead)
				destination_revive(q, d);
		}
		transport_touch(q, t);
	}
}

void transports_init(struct qmgr *q)
{
	TAILQ_INIT(&q->transports.dirty);
}

void transports_destroy(struct qmgr *q)
{
	struct transport *t, *next;
	for (t = q->transports.table; t; t = next) {
		next = t->hh.next;
		HASH_DELETE(hh, q->transports.table, t);
		for (struct destination *d = t->destinations, *after; d; d = after) {
			after = d->hh.next;
			destination_revive(q, d);
		}
		destinations_trim(q, t, 0);
		free(t->name);
		t->magic = 0;
		free(t);
	}
}
