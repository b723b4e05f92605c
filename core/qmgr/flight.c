/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr/flight.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "ipc/protocol.h"
#include "qmgr/message.h"
#include "qmgr/qmgr.h"

/* A message in the air. */
struct flight {
	UT_hash_handle hh;
	uint64_t serial;
	int *pids; /* the agent of each delivery that has not landed */
	uint32_t count;
	struct answer answer; /* keeper_reread() after the last has landed */
	bool reading;
};

/* An agent whose word a transport waits for. */
struct survivor {
	struct answer answer; /* keeper_reread(); first member */
	struct transport *transport;
	int pid;
	TAILQ_ENTRY(survivor) link;
};

static struct flight *flight_of(struct qmgr *q, uint64_t serial)
{
	struct flight *f;
	HASH_FIND(hh, q->flights.table, &serial, sizeof serial, f);
	return f;
}

/* ---- messages in the air ------------------------------------------------------------------------------------- */

/* The logs have been read since it landed: the message may be loaded, its recipients' states are complete. */
static void flight_over(struct qmgr *q, struct answer *answer)
{
	struct flight *f = (struct flight *)(void *)((char *)answer - offsetof(struct flight, answer));
	struct entry *e = entry_find(q, f->serial);
	f->reading = false;
	if (f->count > 0)
		return; /* another agent has it too */
	HASH_DEL(q->flights.table, f);
	free(f->pids);
	free(f);
	if (e && e->state == ENTRY_FLIGHT) {
		entry_unlink(q, e);
		e->flags |= ENTRY_RETRIED;
		entry_move(q, e, ENTRY_INCOMING);
	}
}

/* One delivery of this agent has come down, or all of them. */
static void flight_down(struct qmgr *q, struct flight *f, int pid, bool all)
{
	for (uint32_t i = f->count; i-- > 0;) {
		if (f->pids[i] != pid)
			continue;
		f->pids[i] = f->pids[--f->count];
		if (!all)
			break;
	}
	if (f->count == 0 && !f->reading) {
		f->reading = true;
		keeper_reread(q->keeper, &f->answer);
	}
}

static void flight_add(struct qmgr *q, uint64_t serial, int pid)
{
	struct flight *f = flight_of(q, serial);
	if (!f) {
		f = MEM_NEW(struct flight);
		f->serial = serial;
		f->answer.reread = flight_over;
		HASH_ADD(hh, q->flights.table, serial, sizeof f->serial, f);
	}
	f->pids = mem_realloc_array(f->pids, f->count + 1, sizeof *f->pids);
	f->pids[f->count++] = pid;
	/* What it still had waiting is taken back; the message comes again when the flight is over. */
	struct entry *e = entry_find(q, serial);
	if (e && e->message && e->state == ENTRY_ACTIVE) {
		struct message *m = e->message;
		message_pin(m);
		message_withdraw(q, m);
		message_unpin(q, m);
	}
}

bool flight_holds(struct qmgr *q, const struct entry *e)
{
	return q->flights.table && flight_of(q, e->serial);
}

static void list_flight(struct qmgr *q, int pid, const struct tlv *group)
{
	struct tlv_reader r = tlv_read(group->data, group->len);
	struct tlv f;
	uint64_t serial;
	while (tlv_next(&r, &f)) {
		if (f.type == F_SERIAL && tlv_u64(&f, &serial)) {
			flight_add(q, serial, pid);
			return;
		}
	}
}

void flight_listed(struct qmgr *q, int pid, const struct ipc_message *hello)
{
	struct tlv_reader r = tlv_read(hello->body, hello->len);
	struct tlv f;
	while (tlv_next(&r, &f))
		if (f.type == F_FLIGHT)
			list_flight(q, pid, &f);
}

void flight_landed(struct qmgr *q, int pid, uint64_t serial, bool more)
{
	struct flight *f = flight_of(q, serial);
	if (f && !more)
		flight_down(q, f, pid, false);
}

/* ---- agents whose word is awaited ---------------------------------------------------------------------------- */

void flight_expect(struct qmgr *q, const char *names_and_pids)
{
	const char *line = names_and_pids;
	while (*line) {
		char name[64];
		int pid;
		if (sscanf(line, "%63s %d", name, &pid) == 2) {
			struct survivor *s = MEM_NEW(struct survivor);
			s->transport = transport_get(q, name);
			s->transport->barred++;
			s->pid = pid;
			TAILQ_INSERT_TAIL(&q->flights.expected, s, link);
		}
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
}

static void survivor_settled(struct qmgr *q, struct answer *answer)
{
	struct survivor *s = (struct survivor *)answer;
	TAILQ_REMOVE(&q->flights.settling, s, link);
	s->transport->barred--;
	transport_touch(q, s->transport);
	free(s);
}

void flight_reported(struct qmgr *q, int pid)
{
	struct survivor *s, *next;
	for (s = TAILQ_FIRST(&q->flights.expected); s; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->pid != pid)
			continue;
		TAILQ_REMOVE(&q->flights.expected, s, link);
		TAILQ_INSERT_TAIL(&q->flights.settling, s, link);
		s->answer.reread = survivor_settled;
		keeper_reread(q->keeper, &s->answer);
	}
}

void flight_died(struct qmgr *q, int pid)
{
	struct flight *f, *next;
	flight_reported(q, pid);
	for (f = q->flights.table; f; f = next) {
		next = f->hh.next;
		flight_down(q, f, pid, true);
	}
}

void flight_tick(struct qmgr *q)
{
	struct survivor *s, *next;
	struct flight *f, *after;
	for (s = TAILQ_FIRST(&q->flights.expected); s; s = next) {
		next = TAILQ_NEXT(s, link);
		if (kill(s->pid, 0) < 0 && errno == ESRCH)
			flight_reported(q, s->pid);
	}
	for (f = q->flights.table; f; f = after) {
		after = f->hh.next;
		if (f->count > 0 && kill(f->pids[0], 0) < 0 && errno == ESRCH)
			flight_died(q, f->pids[0]);
	}
}

void flight_init(struct qmgr *q)
{
	TAILQ_INIT(&q->flights.expected);
	TAILQ_INIT(&q->flights.settling);
}

static void survivors_free(struct survivor_list *list)
{
	struct survivor *s;
	while ((s = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, s, link);
		free(s);
	}
}

void flight_destroy(struct qmgr *q)
{
	struct flight *f, *next;
	for (f = q->flights.table; f; f = next) {
		next = f->hh.next;
		HASH_DEL(q->flights.table, f);
		free(f->pids);
		free(f);
	}
	survivors_free(&q->flights.expected);
	survivors_free(&q->flights.settling);
}
