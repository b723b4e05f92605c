/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/smtp/test_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/connect.h"
#include "shared/trial_why.h"

static const int64_t second = 1000000;

/* ---- a host of our own ------------------------------------------------------------------------------------------------- */

static void host_log(struct ost_instance *i, enum ost_level level, const char *fmt, ...)
{
	(void)i, (void)level, (void)fmt;
}

static void host_report(struct ost_delivery *d, uint32_t rcpt, const struct ost_report *r)
{
	struct told *t = &((struct trial *)(void *)d)->told[rcpt];
	assert_true(rcpt < d->nrcpts);
	t->times++;
	t->status = r->status;
	t->flags = r->flags;
	t->uses = r->uses;
	snprintf(t->dsn, sizeof t->dsn, "%s", r->dsn);
	snprintf(t->text, sizeof t->text, "%s", r->text);
	snprintf(t->relay, sizeof t->relay, "%s", r->relay ? r->relay : "");
	snprintf(t->diagnostic, sizeof t->diagnostic, "%s", r->diagnostic ? r->diagnostic : "");
}

static const char *host_content(struct ost_delivery *d, uint64_t *size)
{
	struct trial *t = (struct trial *)(void *)d;
	*size = t->size;
	return t->in_memory ? t->content : NULL;
}

static int64_t host_content_read(struct ost_delivery *d, uint64_t at, void *p, size_t n)
{
	struct trial *t = (struct trial *)(void *)d;
	if (t->unreadable && at > 0)
		return -1;
	size_t left = at < t->size ? t->size - at : 0, part = n < left ? n : left;
	memcpy(p, t->content + (at < t->size ? at : 0), part);
	return (int64_t)part;
}

static bool host_content_wire_size(struct ost_delivery *d, uint64_t longest, uint64_t *size)
{
	struct trial *t = (struct trial *)(void *)d;
	assert_int_equal(longest, 998);
	*size = t->wire_size;
	return t->wire;
}

static int64_t host_content_wire(struct ost_delivery *d, uint64_t at, const char **p)
{
	struct trial *t = (struct trial *)(void *)d;
	size_t left = t->wire_size - at, part = left < 10000 ? left : 10000;
	*p = t->wire + at;
	return at + part > t->wire_good ? -1 : (int64_t)part;
}

static void host_mark(struct ost_delivery *d)
{
	(void)d;
}

/* The first that waits behind the one that the call began with. */
static struct ost_delivery *host_next(struct ost_delivery *d)
{
	struct trial *t = (struct trial *)(void *)d, *began = t->began ? t->began : t, *next = began->behind;
	assert_false(t->finished);
	if (!next)
		return NULL;
	began->behind = next->behind;
	next->began = began;
	return &next->d;
}

static void host_finish(struct ost_delivery *d)
{
	struct trial *t = (struct trial *)(void *)d;
	assert_false(t->finished);
	t->finished = true;
}

/* "127.0.0.1" alone, or twice for "twice", none for "nowhere" and "later". */
static enum ost_dns host_servers(struct ost_instance *i, const char *domain, unsigned flags, struct ost_mx *list, size_t max,
				 size_t *count, int64_t deadline, struct ost_why *why)
{
	(void)i, (void)flags, (void)max, (void)deadline;
	*count = strcmp(domain, "twice") == 0 ? 2 : 1;
	for (size_t k = 0; k < *count; k++) {
		list[k] = (struct ost_mx){ .preference = (uint16_t)k };
		snprintf(list[k].host, sizeof list[k].host, "%s", domain);
		snprintf(list[k].address, sizeof list[k].address, "127.0.0.1");
	}
	if (strcmp(domain, "nowhere") != 0 && strcmp(domain, "later") != 0)
		return OST_DNS_OK;
	*count = 0;
	host_why(why, "Host or domain name not found.");
	return *domain == 'n' ? OST_DNS_NOTFOUND : OST_DNS_TEMPFAIL;
}

static const struct ost_host host = {
	.size = sizeof host,
	.log = host_log,
	.now = clock_mono,
	.why = host_why,
	.report = host_report,
	.content = host_content,
	.content_read = host_content_read,
	.mark_connected = host_mark,
	.next = host_next,
	.finish = host_finish,
	.content_wire_size = host_content_wire_size,
	.content_wire = host_content_wire,
	.mail_servers = host_servers,
	.tcp_connect = net_tcp_connect,
};

static struct smtp_config default_config(void)
{
	const int64_t t = 2 * second;
	return (struct smtp_config){
		.helo_name = "client.example", .myhostname = "client.example", .tcp_port = "smtp", .known_ports = "smtp=25",
		.fallback_relay = "", .bind4 = "", .bind6 = "", .preference = "any", .host_lookup = "dns",
		.discard_ehlo = "", .tls_level = "", .cache_destinations = "", .cache_on_demand = true,
		.quote_envelope = true, .skip_5xx_greeting = true, .skip_quit_response = true, .address_limit = 5,
		.session_limit = 2, .line_limit = 998, .cache_time = t, .reuse_time = 300 * second, .connect_timeout = t,
		.helo_timeout = t, .mail_timeout = t, .rcpt_timeout = t, .data_init_timeout = t, .data_xfer_timeout = t,
		.data_done_timeout = t, .rset_timeout = t, .quit_timeout = t,
	};
}

/* ---- one delivery to one scripted server ------------------------------------------------------------------------------- */

static const char plain[] = "Subject: x\n\nline\n.dot\n";

struct scene *scene_new(const char *script, uint32_t nrcpts)
{
	struct scene *s = calloc(1, sizeof *s);
	smtp_host = &host;
	s->config = default_config();
	s->smtp = (struct smtp){ .config = &s->config, .port = 25 };
	pthread_mutex_init(&s->smtp.lock, NULL);
	s->server = script ? fake_start(script) : NULL;
	snprintf(s->nexthop, sizeof s->nexthop, "[127.0.0.1]:%u", script ? fake_port(s->server) : 1u);
	for (uint32_t i = 0; i < nrcpts; i++) {
		snprintf(s->addresses[i], sizeof s->addresses[i], "r%u@example.org", i);
		s->rcpts[i] = (struct ost_delivery_rcpt){ .address = s->addresses[i], .original = s->addresses[i] };
	}
	s->trial.content = plain;
	s->trial.size = sizeof plain - 1;
	s->trial.in_memory = true;
	s->trial.d = (struct ost_delivery){ .size = sizeof s->trial.d, .queue_id = "1", .sender = "s@example.com",
					    .nexthop = s->nexthop, .nrcpts = nrcpts, .rcpts = s->rcpts,
					    .content_size = s->trial.size };
	return s;
}

void deliver(struct scene *s)
{
	memset(s->trial.told, 0, sizeof s->trial.told);
	s->trial.finished = false;
	smtp_deliver(&s->smtp, &s->trial.d);
}

void scene_end(struct scene *s)
{
	cache_expire(&s->smtp, true);
	if (s->server)
		s->seen = fake_stop(&s->server, &s->wrong);
	for (uint32_t i = 0; i < s->trial.d.nrcpts; i++)
		assert_true(s->trial.told[i].times <= 1);
}

void scene_free(struct scene *s)
{
	if (s->wrong)
		fail_msg("%s", s->wrong);
	pthread_mutex_destroy(&s->smtp.lock);
	free(s->seen);
	free(s);
}

void scene_behind(struct scene *s, size_t n)
{
	struct trial *before = &s->trial;
	s->one = (struct ost_delivery_rcpt){ .address = "behind@example.org", .original = "behind@example.org" };
	for (size_t i = 0; i < n; i++) {
		struct trial *t = &s->behind[i];
		t->content = s->trial.content;
		t->size = s->trial.size;
		t->in_memory = true;
		t->d = s->trial.d;
		t->d.nrcpts = 1;
		t->d.rcpts = &s->one;
		before->behind = t;
		before = t;
	}
}

void expect(const char *script, enum ost_delivered status, const char *dsn, const char *text)
{
	struct scene *s = scene_new(script, 1);
	deliver(s);
	scene_end(s);
	const struct told *t = &s->trial.told[0];
	assert_int_equal(t->times, 1);
	assert_string_equal(t->dsn, dsn);
	if (!strstr(t->text, text))
		fail_msg("\"%s\" is not in \"%s\"", text, t->text);
	assert_int_equal(t->status, status);
	scene_free(s);
}
