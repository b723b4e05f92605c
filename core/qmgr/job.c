/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr/job.h"

#include <stdlib.h>
#include <string.h>

#include "base/magic.h"
#include "base/mem.h"
#include "mail/address.h"
#include "qmgr/qmgr.h"
#include "qmgr/transport.h"

/* Takes a job out of its lists; its recipients are the caller's. */
static void job_free(struct qmgr *q, struct job *j)
{
	struct destination *d = j->destination;
	TAILQ_REMOVE(&j->message->jobs, j, link_message);
	if (j->queued)
		TAILQ_REMOVE(&d->todo[j->message->class], j, link);
	if (d->gathering == j)
		d->gathering = NULL;
	free(j);
	destination_place(q, d);
}

/* The job of this message that gathers recipients for the destination. */
static struct job *job_gather(struct message *m, struct destination *d)
{
	struct job *j = d->gathering;
	if (j && j->message == m)
		return j;
	j = MEM_NEW(struct job);
	j->message = m;
	j->destination = d;
	TAILQ_INSERT_TAIL(&m->jobs, j, link_message);
	d->gathering = j;
	return j;
}

static void job_append(struct job *j, struct rcpt *r)
{
	r->next = NULL;
	if (j->last)
		j->last->next = r;
	else
		j->first = r;
	j->last = r;
}

/* Gets a full job in line, unless the destination is dead. */
static void job_queue(struct qmgr *q, struct job *j)
{
	struct destination *d = j->destination;
	j->queued = true;
	if (d->gathering == j)
		d->gathering = NULL;
	TAILQ_INSERT_TAIL(&d->todo[j->message->class], j, link);
	if (d->dead)
		jobs_suspend(q, d, d->dsn, d->reason);
	else
		destination_place(q, d);
}

/* Where deliveries take one recipient each, every mailbox is a destination of its own: concurrency is per
 * mailbox then. */
static const char *destination_key(struct qmgr *q, const struct transport *t, const char *nexthop,
				   const char *address)
{
	if (t->settings.recipient_limit != 1)
		return nexthop;
	size_t local = address_local_len(address);
	size_t extension = local;
	if (*q->settings.recipient_delimiter && local > 0) {
		size_t n = strcspn(address + 1, q->settings.recipient_delimiter) + 1;
		if (n < local)
			extension = n;
	}
	buf_reset(&q->scratch);
	buf_add(&q->scratch, address, extension);
	buf_putc(&q->scratch, '@');
	buf_puts(&q->scratch, nexthop);
	return buf_str(&q->scratch);
}

/* A content filter stands before all routes: "transport:nexthop", the nexthop defaulting to what is
 * configured. */
static const char *filter_route(struct qmgr *q, struct message *m, const char **nexthop, const char *address)
{
	const char *colon = strchr(m->content_filter, ':');
	const char *hop = colon ? colon + 1 : "";
	if (!*hop && q->settings.filter_nexthop && *q->settings.filter_nexthop)
		hop = q->settings.filter_nexthop;
	if (!*hop && address_domain(address))
		hop = address_domain(address);
	*nexthop = hop;
	if (!colon)
		return m->content_filter;
	if (!m->arena)
		m->arena = arena_new();
	return arena_strndup(m->arena, m->content_filter, (size_t)(colon - m->content_filter));
}

/* Keeps the address in its final form. */
static void set_address(struct message *m, struct rcpt *r, const char *address)
{
	if (strcmp(r->address, address) == 0)
		return;
	if (!m->arena)
		m->arena = arena_new();
	if (!r->original && m->redirect)
		r->original = r->address;
	r->address = arena_strdup(m->arena, address);
}

static bool is_deferred_transport(const struct qmgr *q, const char *name)
{
	for (const char *const *t = q->settings.defer_transports; *t; t++)
		if (strcmp(*t, name) == 0)
			return true;
	return false;
}

void job_route(struct qmgr *q, struct message *m, struct rcpt *r, const char *transport, const char *nexthop,
	       const char *address)
{
	assert(r->state == R_RESOLVING);
	set_address(m, r, address);
	if (m->content_filter && *m->content_filter)
		transport = filter_route(q, m, &nexthop, r->address);
	if (is_deferred_transport(q, transport)) {
		rcpt_finish_ours(q, m, r,
				 &(struct outcome){ .status = RCPT_DEFERRED,
						    .dsn = "4.3.2",
						    .reason = "deferred transport" });
		return;
	}
	struct transport *t = transport_get(q, transport);
	struct destination *d = destination_get(q, t, destination_key(q, t, nexthop, r->address), nexthop);
	r->state = R_QUEUED;
	m->unresolved--;
	job_append(job_gather(m, d), r);
	destination_place(q, d);
}

void jobs_queue(struct qmgr *q, struct message *m)
{
	struct job *j, *next;
	for (j = TAILQ_FIRST(&m->jobs); j; j = next) {
		next = TAILQ_NEXT(j, link_message);
		if (!j->queued)
			job_queue(q, j);
	}
}

void job_again(struct qmgr *q, struct message *m, struct destination *d, struct rcpt *list)
{
	struct job *j = MEM_NEW(struct job);
	j->message = m;
	j->destination = d;
	TAILQ_INSERT_TAIL(&m->jobs, j, link_message);
	for (struct rcpt *r = list, *next; r; r = next) {
		next = r->next;
		assert(r->state == R_FLIGHT);
		r->state = R_QUEUED;
		job_append(j, r);
	}
	job_queue(q, j);
}

struct rcpt *job_take(struct qmgr *q, struct destination *d, enum mail_class class, int64_t limit,
		      struct message **message, uint32_t *count)
{
	struct job_list *todo = &d->todo[class];
	struct job *j = TAILQ_FIRST(todo);
	struct rcpt *first = j->first, *last = NULL;
	uint32_t n = 0;
	*message = j->message;
	for (struct rcpt *r = first; r && (limit <= 0 || n < limit); r = r->next) {
		r->state = R_FLIGHT;
		last = r;
		n++;
	}
	*count = n;
	j->first = last->next;
	last->next = NULL;
	TAILQ_REMOVE(todo, j, link);
	if (j->first) {
		TAILQ_INSERT_TAIL(todo, j, link);
	} else {
		j->queued = false;
		job_free(q, j);
	}
	return first;
}

void jobs_withdraw(struct qmgr *q, struct message *m)
{
	struct job *j;
	while ((j = TAILQ_FIRST(&m->jobs)))
		job_free(q, j);
}

void job_remove_rcpt(struct qmgr *q, struct message *m, struct rcpt *gone)
{
	struct job *j;
	TAILQ_FOREACH(j, &m->jobs, link_message)
	{
		struct rcpt *before = NULL;
		for (struct rcpt *r = j->first; r; before = r, r = r->next) {
			if (r != gone)
				continue;
			if (before)
				before->next = r->next;
			else
				j->first = r->next;
			if (j->last == r)
				j->last = before;
			if (!j->first)
				job_free(q, j);
			return;
		}
	}
}

/* Defers what one job has. */
static void suspend(struct qmgr *q, struct job *j, const struct outcome *o)
{
	struct message *m = j->message;
	struct rcpt *r = j->first;
	job_free(q, j);
	for (struct rcpt *next; r; r = next) {
		next = r->next;
		rcpt_finish_ours(q, m, r, o);
	}
	message_check(q, m);
}

void jobs_suspend(struct qmgr *q, struct destination *d, const char *dsn, const char *reason)
{
	const struct outcome o = { .status = RCPT_DEFERRED, .dsn = dsn, .reason = reason };
	struct job *j;
	for (int c = 0; c < MAIL_CLASSES; c++)
		while ((j = TAILQ_FIRST(&d->todo[c])))
			suspend(q, j, &o);
	destination_place(q, d);
}
