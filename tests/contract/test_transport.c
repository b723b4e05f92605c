/* SPDX-License-Identifier: Apache-2.0
 * What every transport module must do. Network and users are the test's own: they fail in every way that they can. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "module/hosts.h"
#include "module/module.h"
#include "tests/support/fixture.h"

struct transport_case {
	const char *name, *nexthop;
};
static struct transport_case cases[] = {
	{ "error", "5.1.2 no such place" },    { "error", "" },
	{ "discard", "thrown away" },	       { "smtp", "example.org" },
	{ "smtp", "[192.0.2.1]:1" },	       { "smtp", "\x01' or []" },
	{ "virtual", "virtual.example.org" },  { "local", "example.org" },
};

enum { MAX_RCPTS = 64 };

/* A delivery and what was reported for it. The members of one delivery belong to the thread that makes it. */
struct delivery {
	struct ost_delivery pub; /* the first member */
	unsigned reported[MAX_RCPTS];
	struct ost_delivery_rcpt rcpts[MAX_RCPTS];
};

static const char message[] = "From: a@example.org\nTo: b@example.org\nSubject: test\n\nHello\n.\n..\nFrom here\n";

/* ---- the host -------------------------------------------------------------------------------------------------------- */

static atomic_uint bad_reports; /* threads other than the test's cannot fail an assertion */

static bool sane(const struct ost_report *r)
{
	static const char classes[] = { [OST_SENT] = '2', [OST_DEFERRED] = '4', [OST_BOUNCED] = '5' };
	return r->status >= OST_SENT && r->status <= OST_BOUNCED && r->dsn && r->dsn[0] == classes[r->status] && r->dsn[1] == '.' &&
	       r->text;
}

static void report(struct ost_delivery *pub, uint32_t rcpt, const struct ost_report *r)
{
	struct delivery *d = (struct delivery *)pub;
	if (rcpt >= pub->nrcpts || !sane(r)) {
		fprintf(stderr, "# recipient %u: status %d, dsn %s, text %s\n", rcpt, r->status, r->dsn ? r->dsn : "-",
			r->text ? r->text : "-");
		atomic_fetch_add(&bad_reports, 1);
	} else {
		d->reported[rcpt]++;
	}
}

static int64_t content_read(struct ost_delivery *d, uint64_t at, void *p, size_t n)
{
	(void)d;
	size_t left = at < sizeof message - 1 ? sizeof message - 1 - (size_t)at : 0;
	if (n > left)
		n = left;
	memcpy(p, message + (left ? at : 0), n);
	return (int64_t)n;
}

static const char *content(struct ost_delivery *d, uint64_t *size)
{
	(void)d;
	*size = sizeof message - 1;
	return message;
}

static void mark_connected(struct ost_delivery *d)
{
	(void)d;
}

static void as_user(struct ost_delivery *d, const struct ost_user_request *requests, struct ost_user_done *done, size_t n)
{
	(void)d;
	for (size_t i = 0; i < n; i++) {
		if (requests[i].size == 0) /* args may be too long: the core refuses them */
			atomic_fetch_add(&bad_reports, 1);
		done[i].status = OST_DEFERRED;
		snprintf(done[i].dsn, sizeof done[i].dsn, "4.3.0");
		snprintf(done[i].text, sizeof done[i].text, "no users here");
	}
}

static bool forward(struct ost_delivery *d, const struct ost_forward *f, char queue_id[24], struct ost_why *why)
{
	(void)d;
	(void)f;
	(void)queue_id;
	snprintf(why->text, sizeof why->text, "nothing is stored here");
	return false;
}

static struct ost_delivery *next(struct ost_delivery *d)
{
	(void)d;
	return NULL;
}

static bool content_wire_size(struct ost_delivery *d, uint64_t longest, uint64_t *size)
{
	(void)d, (void)longest, (void)size;
	return false;
}

static const struct mod_delivery_ops delivery_ops = { .report = report, .content_read = content_read, .content = content,
						      .content_wire_size = content_wire_size,
						      .mark_connected = mark_connected, .as_user = as_user,
						      .forward = forward, .next = next, .finish = mark_connected };

static atomic_uint lookups;

/* Each outcome in turn. */
static enum ost_dns mail_servers(struct ost_instance *instance, const char *domain, unsigned flags, struct ost_mx *list,
				 size_t max, size_t *count, int64_t deadline, struct ost_why *why)
{
	static const enum ost_dns outcomes[] = { OST_DNS_TEMPFAIL, OST_DNS_NOTFOUND, OST_DNS_NULLMX, OST_DNS_LOOP, OST_DNS_OK };
	enum ost_dns outcome = outcomes[atomic_fetch_add(&lookups, 1) % (sizeof outcomes / sizeof *outcomes)];
	(void)instance;
	(void)domain;
	(void)flags;
	(void)deadline;
	*count = 0;
	snprintf(why->text, sizeof why->text, "outcome %d", outcome);
	if (outcome == OST_DNS_OK && max > 0) {
		list[0] = (struct ost_mx){ .host = "mx.example.org", .address = "192.0.2.1", .preference = 10 };
		*count = 1;
	}
	return outcome;
}

static int tcp_connect(const char *address, uint16_t port, const char *bind, int64_t deadline, struct ost_why *why)
{
	(void)address;
	(void)port;
	(void)bind;
	(void)deadline;
	snprintf(why->text, sizeof why->text, "connection refused");
	return -1;
}

static const struct mod_net_ops net_ops = { mail_servers, tcp_connect };

/* ---- the module -------------------------------------------------------------------------------------------------------- */

static struct fixture fix;
static const struct transport_case *tc; /* tests run one after the other */

static struct mod_instance *open_module(void)
{
	struct ost_why why = { "" };
	const struct mod_provider *p = mod_find(OST_KIND_TRANSPORT, tc->name, &why);
	assert_string_equal(why.text, "");
	struct mod_instance *in = mod_open(p, fix.view, tc->name, &why);
	assert_string_equal(why.text, "");
	return in;
}

static void deliver(struct mod_instance *in, struct delivery *d, const char *const *addresses, size_t n)
{
	*d = (struct delivery){ .pub = { .size = sizeof d->pub, .queue_id = "4F1A2B3C4D", .sender = "sender@example.org",
					 .nexthop = tc->nexthop, .nrcpts = (uint32_t)n, .rcpts = d->rcpts,
					 .content_size = sizeof message - 1, .arrival = clock_utc(),
					 .deadline = clock_mono() + 30 * CLOCK_SECOND, .instance = mod_handle(in) } };
	for (size_t i = 0; i < n; i++)
		d->rcpts[i] = (struct ost_delivery_rcpt){ .address = addresses[i], .original = addresses[i] };
	mod_enter(in, "deliver", d->pub.deadline);
	((const struct ost_transport_ops *)mod_ops(in))->deliver(mod_self(in), &d->pub);
	mod_leave(in);
}

/* ---- the suite ---------------------------------------------------------------------------------------------------------- */

static const char *const ordinary[] = { "one@example.org", "two+ext@example.org", "three@example.org" };

static void each_recipient_is_reported_once_at_most(void **state)
{
	tc = *state;
	struct mod_instance *in = open_module();
	struct delivery *d = MEM_NEW(struct delivery);
	atomic_store(&bad_reports, 0);
	for (int round = 0; round < 10; round++) {
		deliver(in, d, ordinary, 3);
		for (int i = 0; i < 3; i++)
			assert_in_range(d->reported[i], 0, 1);
	}
	assert_int_equal(atomic_load(&bad_reports), 0);
	free(d);
	mod_close(&in);
}

static void hostile_addresses_do_no_harm(void **state)
{
	static const char *const hostile[] = {
		"", "@", "nobody", "a@b\nRCPT TO:<c@d>", "a b@c", "\"@x", "../../../etc/passwd@example.org", "/etc/passwd@example.org",
		"|/bin/sh@example.org", ":include:/etc/passwd@example.org", "\xff\xfe@example.org", "a@\xff", "root@example.org",
		".@.", "..", "%s%n@example.org", "a@[IPv6:zz]", "'; drop table x@example.org",
	};
	enum { N = sizeof hostile / sizeof *hostile };
	tc = *state;
	struct mod_instance *in = open_module();
	struct delivery *d = MEM_NEW(struct delivery);
	char *big = mem_alloc(65537);
	memset(big, 'a', 65536);
	memcpy(big + 65000, "@example.org", 13);
	const char *const bigs[] = { big };
	atomic_store(&bad_reports, 0);
	deliver(in, d, hostile, N);
	for (size_t i = 0; i < N; i++)
		assert_in_range(d->reported[i], 0, 1);
	deliver(in, d, bigs, 1);
	assert_in_range(d->reported[0], 0, 1);
	assert_int_equal(atomic_load(&bad_reports), 0);
	free(big);
	free(d);
	mod_close(&in);
}

static void *deliver_often(void *arg)
{
	struct delivery *d = MEM_NEW(struct delivery);
	uintptr_t wrong = 0;
	for (int i = 0; i < 20; i++) {
		deliver(arg, d, ordinary, 3);
		for (int k = 0; k < 3; k++)
			wrong += d->reported[k] > 1;
	}
	free(d);
	return (void *)wrong;
}

static void many_threads_deliver_at_once(void **state)
{
	enum { THREADS = 8 };
	tc = *state;
	pthread_t threads[THREADS];
	struct mod_instance *in = open_module();
	atomic_store(&bad_reports, 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, deliver_often, in), 0);
	for (int i = 0; i < THREADS; i++) {
		void *wrong;
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	assert_int_equal(atomic_load(&bad_reports), 0);
	mod_close(&in);
}

static void opens_closes_and_idles(void **state)
{
	tc = *state;
	for (int i = 0; i < 20; i++) {
		struct mod_instance *in = open_module();
		const struct ost_transport_ops *ops = (const struct ost_transport_ops *)mod_ops(in);
		if (ops->idle)
			ops->idle(mod_self(in));
		mod_close(&in);
	}
}

int main(void)
{
	static const struct CMUnitTest suite[] = {
		cmocka_unit_test(each_recipient_is_reported_once_at_most),
		cmocka_unit_test(hostile_addresses_do_no_harm),
		cmocka_unit_test(many_threads_deliver_at_once),
		cmocka_unit_test(opens_closes_and_idles),
	};
	enum { TESTS = sizeof suite / sizeof *suite, CASES = sizeof cases / sizeof *cases };
	static struct CMUnitTest tests[CASES * TESTS];
	size_t n = 0;
	fixture_open(&fix,
		     "virtual_mailbox_base = /nonexistent\nvirtual_mailbox_maps = static:box/\nvirtual_uid_maps = static:5000\n"
		     "virtual_gid_maps = static:5000\nalias_maps =\nmydestination = example.org\nrecipient_delimiter = +\n",
		     NULL);
	mod_host_set_delivery(&delivery_ops);
	mod_host_set_net(&net_ops);
	for (size_t i = 0; i < CASES; i++) {
		struct ost_why why;
		if (!mod_find(OST_KIND_TRANSPORT, cases[i].name, &why)) {
			fprintf(stderr, "# %s is not built: %s\n", cases[i].name, why.text);
			continue;
		}
		for (size_t k = 0; k < TESTS; k++) {
			tests[n] = suite[k];
			tests[n].name = mem_printf("%s %zu: %s", cases[i].name, i, suite[k].name);
			tests[n++].initial_state = &cases[i];
		}
	}
	int failures = _cmocka_run_group_tests("transports", tests, n, NULL, NULL);
	fixture_close(&fix);
	return failures;
}
