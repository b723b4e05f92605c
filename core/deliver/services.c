/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/services.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/magic.h"
#include "deliver/delivery.h"
#include "deliver/forward.h"
#include "deliver/userjob.h"
#include "deliver/userrun.h"
#include "module/hosts.h"
#include "net/connect.h"
#include "net/servers.h"
#include "table/table.h"

/* The core's side of what a module was given. */
static struct delivery *delivery_of(struct ost_delivery *pub)
{
	struct delivery *d = (struct delivery *)(void *)pub;
	CHECK_MAGIC(d, AGENT_MAGIC);
	return d;
}

static void serve_report(struct ost_delivery *pub, uint32_t rcpt, const struct ost_report *r)
{
	report_recipient(delivery_of(pub), rcpt, r);
}

static int64_t serve_content_read(struct ost_delivery *pub, uint64_t at, void *p, size_t n)
{
	return spool_stored_read(&delivery_of(pub)->stored, at, p, n);
}

static bool serve_content_wire_size(struct ost_delivery *pub, uint64_t longest, uint64_t *size)
{
	return spool_stored_has_wire(&delivery_of(pub)->stored, longest, size);
}

static int64_t serve_content_wire(struct ost_delivery *pub, uint64_t at, const char **p)
{
	return spool_stored_wire(&delivery_of(pub)->stored, at, p);
}

static const char *serve_content(struct ost_delivery *pub, uint64_t *size)
{
	const struct delivery *d = delivery_of(pub);
	*size = d->stored.size;
	return d->stored.data;
}

static void serve_mark_connected(struct ost_delivery *pub)
{
	delivery_of(pub)->connected = clock_mono();
}

/* The module's requests as this program has them: one compiled for an older version has smaller ones. */
static struct ost_user_request *widen(struct arena *a, const struct ost_user_request *r, size_t n)
{
	struct ost_user_request *wide = arena_alloc(a, n * sizeof *wide);
	for (size_t i = 0; i < n; i++)
		memcpy(&wide[i], (const char *)r + i * r->size, r->size);
	return wide;
}

/* Is the request about an address probe? Then there is nothing to be done. */
static bool only_asks(const struct delivery *d, const struct ost_user_request *r)
{
	bool other = r->size > offsetof(struct ost_user_request, delivery) && r->delivery;
	return (other ? r->delivery->flags : d->pub.flags) & OST_MSG_PROBE;
}

static const struct ost_user_request *request_at(const struct ost_user_request *r, size_t i)
{
	return (const struct ost_user_request *)(const void *)((const char *)r + i * r->size);
}

static void serve_as_user(struct ost_delivery *pub, const struct ost_user_request *r, struct ost_user_done *done, size_t n)
{
	struct delivery *d = delivery_of(pub);
	bool probes = false;
	for (size_t i = 0; i < n; i++)
		probes = probes || only_asks(d, request_at(r, i));
	for (size_t i = 0; probes && n > 1 && i < n; i++) /* seldom: one by one */
		serve_as_user(pub, request_at(r, i), &done[i], 1);
	if (probes && n == 1) {
		done->status = OST_SENT;
		snprintf(done->dsn, sizeof done->dsn, "2.0.0");
		snprintf(done->text, sizeof done->text, "delivers to mailbox");
	}
	if (probes)
		return;
	if (d->agent->users && n > 0)
		userjobs_run(d->agent->users, d, r->size < sizeof *r ? widen(d->arena, r, n) : r, done, n);
	for (size_t i = 0; !d->agent->users && i < n; i++)
		user_failed(&done[i], OST_DEFERRED, "4.3.5", "the transport has no second half");
}

static bool serve_forward(struct ost_delivery *pub, const struct ost_forward *f, char queue_id[24], struct ost_why *why)
{
	queue_id[0] = '\0';
	return pub->flags & OST_MSG_PROBE || forward_message(delivery_of(pub), f, queue_id, why);
}

static struct ost_delivery *serve_next(struct ost_delivery *pub)
{
	struct delivery *d = delivery_next(delivery_of(pub));
	return d ? &d->pub : NULL;
}

static void serve_finish(struct ost_delivery *pub)
{
	delivery_finish(delivery_of(pub));
}

void services_register(struct agent *a)
{
	static const struct mod_delivery_ops delivery = {
		.report = serve_report,
		.content_read = serve_content_read,
		.content = serve_content,
		.mark_connected = serve_mark_connected,
		.as_user = serve_as_user,
		.forward = serve_forward,
		.next = serve_next,
		.finish = serve_finish,
		.content_wire_size = serve_content_wire_size,
		.content_wire = serve_content_wire,
	};
	static const struct mod_net_ops net = { .mail_servers = net_mail_servers, .tcp_connect = net_tcp_connect };
	CHECK_MAGIC(a, AGENT_MAGIC);
	table_init();
	mod_host_set_delivery(&delivery);
	mod_host_set_net(&net);
	net_servers_init(a->view);
}
