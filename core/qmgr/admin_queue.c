/* SPDX-License-Identifier: Apache-2.0
 * postsuper -d -h -H -r and postqueue -i -s, one message at a time. */
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/mem.h"
#include "ipc/protocol.h"
#include "mail/address.h"
#include "qmgr/admin.h"
#include "qmgr/message.h"
#include "qmgr/qmgr.h"

static void log_entry(const struct qmgr *q, const struct entry *e, const char *what)
{
	char id[QUEUE_ID_SIZE];
	log_info("%s: %s", queue_id_text(id, e->serial, q->settings.long_queue_ids), what);
}

/* Takes an active message's waiting recipients back; what agents have in hand comes to its end. */
static void withdraw(struct qmgr *q, struct entry *e)
{
	struct message *m = e->message;
	if (e->state != ENTRY_ACTIVE || !m || m->stage != STAGE_DELIVERING)
		return;
	message_pin(m);
	message_withdraw(q, m);
	message_unpin(q, m);
}

static void ask_update(struct qmgr *q, struct admin_op *op, struct entry *e, uint32_t set, uint32_t clear)
{
	const struct keeper_change change = { .set_flags = set, .clear_flags = clear };
	e->asked++;
	keeper_update(q->keeper, e->serial, &change, admin_op_token(op));
}

static bool start_delete(struct qmgr *q, struct admin_op *op, struct entry *e)
{
	struct message *m = e->message;
	log_entry(q, e, "removed");
	e->asked++;
	entry_unlink(q, e); /* LEAVING */
	keeper_delete(q->keeper, e->serial, admin_op_token(op));
	if (m) {
		message_pin(m);
		message_withdraw(q, m);
		m->stage = STAGE_GONE;
		message_unpin(q, m);
	}
	return true;
}

/* In memory alone. */
static void hold(struct qmgr *q, struct entry *e)
{
	if (e->state == ENTRY_ACTIVE || e->state == ENTRY_LOADING) {
		e->flags |= ENTRY_HELD;
		withdraw(q, e);
	} else if (e->state != ENTRY_HOLD) {
		entry_move(q, e, ENTRY_HOLD);
	}
}

/* In memory alone. What a hold has interrupted goes on as before: only who is due is tried. */
static void unhold(struct qmgr *q, struct entry *e, unsigned flags)
{
	e->flags &= (uint8_t)~ENTRY_HELD;
	if (e->state == ENTRY_HOLD)
		entry_make_due(q, e, flags);
}

static bool start_hold(struct qmgr *q, struct admin_op *op, struct entry *e)
{
	if (e->state == ENTRY_HOLD)
		return false;
	ask_update(q, op, e, MSG_HOLD, 0);
	hold(q, e);
	return true;
}

static bool start_release(struct qmgr *q, struct admin_op *op, struct entry *e)
{
	if (e->state != ENTRY_HOLD && !(e->flags & ENTRY_HELD))
		return false;
	e->flags &= (uint8_t)~ENTRY_HELD;
	ask_update(q, op, e, 0, MSG_HOLD);
	return true;
}

static bool start_requeue(struct qmgr *q, struct admin_op *op, struct entry *e)
{
	if (e->state == ENTRY_HOLD)
		return start_release(q, op, e);
	admin_op_result(op)->count++;
	if (e->state == ENTRY_DEFERRED) {
		entry_make_due(q, e, ENTRY_FORCED);
	} else {
		e->flags |= ENTRY_FORCED;
		withdraw(q, e);
	}
	return false;
}

static bool change_start(struct qmgr *q, struct admin_op *op, struct entry *e)
{
	static bool (*const starts[])(struct qmgr *, struct admin_op *, struct entry *) = {
		[QUEUE_DELETE] = start_delete,
		[QUEUE_HOLD] = start_hold,
		[QUEUE_RELEASE] = start_release,
		[QUEUE_REQUEUE] = start_requeue,
	};
	return starts[admin_op_result(op)->op](q, op, e);
}

/* What was asked for is durable. */
static void change_done(struct qmgr *q, struct entry *e, uint64_t op)
{
	if (op == QUEUE_HOLD) {
		log_entry(q, e, "placed on hold");
	} else if (op == QUEUE_RELEASE || op == QUEUE_REQUEUE) {
		log_entry(q, e, "released from hold");
		unhold(q, e, ENTRY_FORCED);
	}
}

/* It is not: in memory, too, all is as it was, so that it may be asked for again. */
static void change_failed(struct qmgr *q, struct entry *e, uint64_t op)
{
	if (e->state == ENTRY_LEAVING) {
		if (op == QUEUE_DELETE && !e->message) {
			entry_defer(q, e, q->settings.minimal_backoff); /* it is to go all the same */
			e->flags |= ENTRY_OVER;
		}
	} else if (op == QUEUE_HOLD) {
		unhold(q, e, 0);
	} else if (op == QUEUE_RELEASE || op == QUEUE_REQUEUE) {
		hold(q, e);
	}
}

static void change_updated(struct qmgr *q, struct admin_op *op, struct entry *e, bool ok)
{
	struct admin_result *r = admin_op_result(op);
	if (ok) {
		r->count++;
		change_done(q, e, r->op);
		return;
	}
	r->failed++;
	r->reason = "the change could not be made durable";
	change_failed(q, e, r->op);
}

const struct admin_work admin_change_work = {
	.start = change_start,
	.updated = change_updated,
	.finish = admin_reply,
};

/* ---- flush by destination ------------------------------------------------------------------------------------ */

static bool site_start(struct qmgr *q, struct admin_op *op, struct entry *e)
{
	if (e->state != ENTRY_DEFERRED)
		return false;
	e->asked++;
	keeper_load(q->keeper, e->serial, admin_op_token(op));
	return true;
}

static void site_loaded(struct qmgr *q, struct admin_op *op, struct entry *e,
			const struct spool_envelope *env)
{
	struct admin_result *r = admin_op_result(op);
	if (e->state != ENTRY_DEFERRED)
		return;
	for (size_t i = 0; i < env->nrcpts; i++) {
		const char *domain = address_domain(env->rcpts[i].address);
		if (env->rcpts[i].status > RCPT_DEFERRED || !domain || strcasecmp(domain, r->site) != 0)
			continue;
		r->count++;
		entry_make_due(q, e, ENTRY_FORCED);
		return;
	}
}

const struct admin_work admin_site_work = {
	.start = site_start,
	.loaded = site_loaded,
	.finish = admin_reply,
};

/* ---- who may ------------------------------------------------------------------------------------------------- */

/* Does one word of the list match? Tables would need modules, which qmgr does not load: only static: is
 * known. */
static bool word_matches(const char *word, const char *user)
{
	if (strncmp(word, "static:", 7) == 0)
		return true;
	if (strpbrk(word, ":/")) {
		log_warning("list of authorized users: \"%s\" is no user name and no static: table: it "
			    "matches nobody",
			    word);
		return false;
	}
	return strcmp(word, user) == 0;
}

bool admin_user_allowed(const char *list, unsigned uid)
{
	struct arena *a = arena_new();
	struct passwd pw, *found = NULL;
	char space[4096];
	const char *user = "unknown";
	bool answer = false;
	const char **word = cfg_split(a, list);
	/* The user's name is looked up only when it matters: the directory of users may be slow. */
	if (*word && strncmp(*word, "static:", 7) != 0 &&
	    getpwuid_r(uid, &pw, space, sizeof space, &found) == 0 && found)
		user = found->pw_name;
	for (; *word; word++) {
		bool no = **word == '!';
		if (word_matches(*word + no, user)) {
			answer = !no;
			break;
		}
	}
	arena_destroy(&a);
	return answer;
}
