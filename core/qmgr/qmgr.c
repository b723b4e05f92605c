/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr/qmgr.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "qmgr/backoff.h"
#include "qmgr/message.h"
#include "qmgr/settle.h"

/* ---- what the keeper tells ----------------------------------------------------------------------------------- */

/* A message that qmgr did not know. */
static void on_found(void *ctx, const struct keeper_summary *s, const struct spool_envelope *env)
{
	struct qmgr *q = ctx;
	int64_t now = clock_utc();
	CHECK_MAGIC(q, QMGR_MAGIC);
	struct entry *e = entry_find(q, s->serial);
	if (e)
		return;
	e = entry_new(q, s->serial);
	if (env)
		pace_fresh(&q->pace, clock_mono());
	int64_t wait = backoff_wait(&q->settings, s->next_try, now);
	if (s->flags & MSG_HOLD)
		entry_move(q, e, ENTRY_HOLD);
	else if (wait > 0 && s->owed == 0 && !(s->flags & MSG_FLUSH))
		entry_defer(q, e, wait);
	else if (env && env->delay_until > now)
		entry_defer(q, e, backoff_wait(&q->settings, env->delay_until, now));
	else if (env && !flight_holds(q, e) && entry_has_room(q, false))
		message_activate(q, e, env);
	else
		entry_move(q, e, ENTRY_INCOMING);
}

static void on_scanned(void *ctx)
{
	struct qmgr *q = ctx;
	CHECK_MAGIC(q, QMGR_MAGIC);
	q->scanned = true;
	log_debug("spool scanned: %u messages", HASH_COUNT(q->entries));
}

static void on_loaded(void *ctx, uint64_t serial, void *token, const struct spool_envelope *env)
{
	struct answer *a = token;
	a->loaded(ctx, a, serial, env);
}

static void on_updated(void *ctx, uint64_t serial, void *token, bool ok)
{
	struct answer *a = token;
	a->updated(ctx, a, serial, ok);
}

static void on_reread(void *ctx, void *token)
{
	struct answer *a = token;
	a->reread(ctx, a);
}

static void on_result(void *ctx, const struct spool_result *r)
{
	struct qmgr *q = ctx;
	CHECK_MAGIC(q, QMGR_MAGIC);
	agent_result_found(q, r);
}

static const struct keeper_events keeper_events = {
	.found = on_found,
	.scanned = on_scanned,
	.loaded = on_loaded,
	.updated = on_updated,
	.reread = on_reread,
	.result = on_result,
};

/* ---- answers about messages that are or become active -------------------------------------------------------- */

static void entry_loaded(struct qmgr *q, struct answer *a, uint64_t serial, const struct spool_envelope *env)
{
	struct entry *e = entry_find(q, serial);
	(void)a;
	if (!e)
		return;
	e->asked--;
	if (e->state != ENTRY_LOADING) {
		entry_release(q, e);
	} else if (!env) {
		entry_unlink(q, e);
		entry_release(q, e);
	} else if (e->flags & ENTRY_HELD || env->flags & MSG_HOLD) {
		e->flags &= (uint8_t)~ENTRY_HELD;
		entry_move(q, e, ENTRY_HOLD);
	} else if (flight_holds(q, e)) {
		entry_move(q, e, ENTRY_FLIGHT);
	} else {
		message_activate(q, e, env);
	}
}

static void entry_saved(struct qmgr *q, struct answer *a, uint64_t serial, bool ok)
{
	struct entry *e = entry_find(q, serial);
	(void)a;
	if (!e)
		return;
	e->asked--;
	if (e->message)
		settle_saved(q, e->message, ok);
	else
		entry_release(q, e);
}

static void entry_deleted(struct qmgr *q, struct answer *a, uint64_t serial, bool ok)
{
	struct entry *e = entry_find(q, serial);
	(void)a;
	if (!e)
		return;
	e->asked--;
	if (!ok && e->state == ENTRY_LEAVING && !e->message) {
		/* It is still there, and who is done of its recipients may stand nowhere but in a log. */
		log_warning("a message could not be removed from the spool; trying again later");
		entry_defer(q, e, q->settings.minimal_backoff);
		e->flags |= ENTRY_OVER;
		return;
	}
	entry_release(q, e);
}

/* ---- life ---------------------------------------------------------------------------------------------------- */

struct qmgr *qmgr_new(const struct cfg_view *view, struct event_base *base, const struct qmgr_host *host)
{
	struct qmgr *q = MEM_NEW(struct qmgr);
	q->magic = QMGR_MAGIC;
	q->view = view;
	q->base = base;
	q->host = *host;
	q->arena = arena_new();
	qmgr_settings_read(&q->settings, q->arena, view);
	for (int i = 0; i < ENTRY_STATES; i++)
		TAILQ_INIT(&q->lists[i]);
	TAILQ_INIT(&q->retried);
	TAILQ_INIT(&q->stuck);
	q->load_answer.loaded = entry_loaded;
	q->save_answer.updated = entry_saved;
	q->delete_answer.updated = entry_deleted;
	pace_init(&q->pace);
	peers_init(q);
	transports_init(q);
	agents_init(q);
	flight_init(q);
	return q;
}

bool qmgr_open_spool(struct qmgr *q, struct spool *spool, struct ost_why *why)
{
	CHECK_MAGIC(q, QMGR_MAGIC);
	q->keeper = keeper_open(spool, &keeper_events, q, why);
	if (q->keeper)
		keeper_scan(q->keeper);
	return q->keeper != NULL;
}

/* Frees all messages and entries; what is in the spool stays there. */
static void drop_entries(struct qmgr *q)
{
	struct entry *e, *next;
	for (e = q->entries; e; e = next) {
		next = e->hh.next;
		if (e->message) {
			message_withdraw(q, e->message);
			message_destroy(q, &e->message);
		}
		entry_unlink(q, e);
		HASH_DEL(q->entries, e);
		free(e);
	}
}

void qmgr_destroy(struct qmgr **qp)
{
	struct qmgr *q = *qp;
	if (!q)
		return;
	CHECK_MAGIC(q, QMGR_MAGIC);
	keeper_close(&q->keeper);
	agents_destroy(q);
	notice_destroy(q);
	peers_destroy(q);
	agents_destroy(q);
	drop_entries(q);
	resolve_destroy(q);
	flight_destroy(q);
	transports_destroy(q);
	schedule_free(&q->schedule);
	schedule_free(&q->flushing);
	pace_close(&q->pace);
	buf_free(&q->scratch);
	arena_destroy(&q->arena);
	q->magic = 0;
	free(q);
	*qp = NULL;
}

bool qmgr_turn(struct qmgr *q)
{
	CHECK_MAGIC(q, QMGR_MAGIC);
	if (q->retried_in > 0)
		pace_turn(&q->pace, clock_mono());
	bool more = entry_admit(q);
	transports_run(q);
	resolve_flush(q);
	peers_flush(q);
	return more;
}

void qmgr_linked(struct qmgr *q, const char *role, struct ipc_link *link)
{
	static const struct {
		const char *role;
		void (*take)(struct qmgr *, struct ipc_link *);
	} takers[] = { { "resolve", resolve_linked }, { "bounce", notice_linked } };
	CHECK_MAGIC(q, QMGR_MAGIC);
	for (size_t i = 0; i < sizeof takers / sizeof takers[0]; i++) {
		if (strcmp(takers[i].role, role) == 0) {
			takers[i].take(q, link);
			return;
		}
	}
	ipc_link_destroy(&link);
}

void qmgr_retry(struct qmgr *q)
{
	struct message_list again;
	struct message *m;
	TAILQ_INIT(&again);
	TAILQ_CONCAT(&again, &q->stuck, stuck_link);
	while ((m = TAILQ_FIRST(&again))) {
		/* Back in the list that settle_again() takes it out of. */
		TAILQ_REMOVE(&again, m, stuck_link);
		TAILQ_INSERT_HEAD(&q->stuck, m, stuck_link);
		settle_again(q, m);
	}
}

void qmgr_tick(struct qmgr *q)
{
	CHECK_MAGIC(q, QMGR_MAGIC);
	qmgr_retry(q);
	resolve_tick(q);
	agents_tick(q);
	flight_tick(q);
	transports_tick(q);
}
