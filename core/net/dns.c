/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unbound.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "net/dns_cache.h"

#define DNS_MAGIC 0x446e7321u
enum { RESOLV_MAX = 65536, CLASS_IN = 1, RCODE_NXDOMAIN = 3 };

struct dns {
	unsigned magic;
	char servers[DNS_SERVERS_MAX][DNS_SERVER_SIZE];
	size_t nservers;
	struct dns_cache *cache;
	pthread_mutex_t lock; /* guards starting: ctx, thread, stop_fd, again_at */
	struct ub_ctx *ctx;   /* NULL until the first lookup */
	pthread_t thread;     /* takes the answers */
	int stop_fd;
	int64_t again_at;     /* clock_mono(): not before this after a start that failed, for want of descriptors or threads */
	pthread_mutex_t questions_lock; /* guards questions, and all in them but their conditions */
	struct question *questions;     /* those without an answer */
};

/* One question under way: the asker's, until it gives it up; then the answering thread's. */
struct question {
	struct dns *dns;
	struct question *next, **at; /* in the list */
	pthread_cond_t answered;
	bool done, abandoned;
	int error;
	struct ub_result *result;
};

static const struct {
	enum dns_type type;
	const char *name;
} types[] = { { DNS_A, "A" }, { DNS_PTR, "PTR" }, { DNS_MX, "MX" }, { DNS_TXT, "TXT" }, { DNS_AAAA, "AAAA" } };

const char *dns_type_name(enum dns_type type)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (types[i].type == type)
			return types[i].name;
	return "?";
}

/* ---- the resolver --------------------------------------------------------------------------------------------------- */

struct dns *dns_new(const char *path)
{
	struct dns *d = MEM_NEW(struct dns);
	size_t len;
	char *text = io_read_file(AT_FDCWD, path, RESOLV_MAX, &len);
	d->magic = DNS_MAGIC;
	d->stop_fd = -1;
	pthread_mutex_init(&d->lock, NULL);
	pthread_mutex_init(&d->questions_lock, NULL);
	d->cache = dns_cache_new();
	d->nservers = text ? dns_parse_resolv(text, d->servers) : 0;
	free(text);
	if (d->nservers == 0) { /* resolv.conf(5): the name server on this machine */
		memcpy(d->servers[0], "127.0.0.1", sizeof "127.0.0.1");
		d->nservers = 1;
	}
	return d;
}

/* Waits for answers, and hands them over, until the resolver ends. */
static void *answering(void *arg)
{
	struct dns *d = arg;
	struct pollfd p[] = { { .fd = ub_fd(d->ctx), .events = POLLIN }, { .fd = d->stop_fd, .events = POLLIN } };
	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			log_fatal("resolver: poll failed");
		if (p[1].revents)
			return NULL;
		if (p[0].revents)
			ub_process(d->ctx);
	}
}

static bool set_options(struct ub_ctx *ctx)
{
	static const char *const options[][2] = {
		{ "module-config:", "iterator" }, { "do-not-query-localhost:", "no" }, { "unblock-lan-zones:", "yes" },
		{ "cache-max-ttl:", "3600" },     { "cache-max-negative-ttl:", "60" }, { "infra-host-ttl:", "30" },
		{ "infra-keep-probing:", "yes" }, { "use-syslog:", "no" },             { "qname-minimisation:", "no" },
	};
	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		if (ub_ctx_set_option(ctx, options[i][0], options[i][1]) != 0)
			return false;
	return true;
}

/* Names that unbound would answer by itself, and that a private name server may well know. */
static bool free_zones(struct ub_ctx *ctx)
{
	return ub_ctx_zone_remove(ctx, "test.") == 0 && ub_ctx_zone_remove(ctx, "home.arpa.") == 0;
}

/* The lock is held. */
static bool start(struct dns *d)
{
	struct ub_ctx *ctx = ub_ctx_create();
	bool ok = ctx && ub_ctx_async(ctx, 1) == 0;
	if (ok) {
		ub_ctx_debugout(ctx, NULL);
		ok = set_options(ctx);
	}
	for (size_t i = 0; ok && i < d->nservers; i++) {
		int error = ub_ctx_set_fwd(ctx, d->servers[i]);
		if (error)
			log_warning("resolver: name server %s: %s", d->servers[i], ub_strerror(error));
	}
	ok = ok && free_zones(ctx);
	d->ctx = ctx;
	d->stop_fd = ok ? eventfd(0, EFD_CLOEXEC) : -1;
	ok = ok && d->stop_fd >= 0 && pthread_create(&d->thread, NULL, answering, d) == 0;
	if (!ok) {
		log_error("resolver: cannot start");
		if (ctx)
			ub_ctx_delete(ctx);
		d->ctx = NULL;
		io_close(&d->stop_fd);
		d->again_at = clock_mono() + CLOCK_SECOND;
	}
	return ok;
}

static bool started(struct dns *d)
{
	pthread_mutex_lock(&d->lock);
	bool ok = d->ctx || (clock_mono() >= d->again_at && start(d));
	pthread_mutex_unlock(&d->lock);
	return ok;
}

/* ---- a question ------------------------------------------------------------------------------------------------------ */

static void question_free(struct question *q)
{
	if (q->result)
		ub_resolve_free(q->result);
	pthread_cond_destroy(&q->answered);
	free(q);
}

/* Off the list. The lock is held. */
static void question_unlink(struct question *q)
{
	*q->at = q->next;
	if (q->next)
		q->next->at = q->at;
}

static void on_answer(void *arg, int error, struct ub_result *result)
{
	struct question *q = arg;
	struct dns *d = q->dns;
	pthread_mutex_lock(&d->questions_lock);
	question_unlink(q);
	q->done = true;
	q->error = error;
	q->result = result;
	bool alone = q->abandoned;
	pthread_cond_signal(&q->answered);
	pthread_mutex_unlock(&d->questions_lock);
	if (alone)
		question_free(q);
}

/* Waits for the answer; NULL: none came in time, and the question is not ours any more. */
static struct question *wait_for(struct dns *d, struct question *q, int64_t deadline)
{
	struct timespec until = { .tv_sec = deadline / CLOCK_SECOND, .tv_nsec = deadline % CLOCK_SECOND * 1000 };
	int error = 0;
	pthread_mutex_lock(&d->questions_lock);
	while (!q->done && error != ETIMEDOUT)
		error = pthread_cond_clockwait(&q->answered, &d->questions_lock, CLOCK_MONOTONIC, &until);
	bool done = q->done;
	q->abandoned = !done;
	pthread_mutex_unlock(&d->questions_lock);
	return done ? q : NULL;
}

/* Sends a question; NULL: it cannot be asked. */
static struct question *ask(struct dns *d, const char *name, enum dns_type type)
{
	struct question *q = MEM_NEW(struct question);
	q->dns = d;
	pthread_cond_init(&q->answered, NULL);
	pthread_mutex_lock(&d->questions_lock);
	q->next = d->questions;
	q->at = &d->questions;
	if (q->next)
		q->next->at = &q->next;
	d->questions = q;
	pthread_mutex_unlock(&d->questions_lock);
	if (ub_resolve_async(d->ctx, name, type, CLASS_IN, q, on_answer, NULL) == 0)
		return q;
	pthread_mutex_lock(&d->questions_lock);
	question_unlink(q);
	pthread_mutex_unlock(&d->questions_lock);
	question_free(q);
	return NULL;
}

/* The resolver has ended: nobody will answer these. */
static void questions_drop(struct dns *d)
{
	while (d->questions) {
		struct question *q = d->questions;
		question_unlink(q);
		question_free(q);
	}
}

void dns_destroy(struct dns **dp)
{
	struct dns *d = *dp;
	if (!d)
		return;
	CHECK_MAGIC(d, DNS_MAGIC);
	if (d->ctx) {
		eventfd_write(d->stop_fd, 1);
		pthread_join(d->thread, NULL);
		ub_ctx_delete(d->ctx);
		io_close(&d->stop_fd);
	}
	questions_drop(d);
	pthread_mutex_destroy(&d->questions_lock);
	dns_cache_destroy(&d->cache);
	pthread_mutex_destroy(&d->lock);
	d->magic = 0;
	free(d);
	*dp = NULL;
}

/* ---- the answer ------------------------------------------------------------------------------------------------------ */

/* One record; false: malformed. */
static bool take_record(struct arena *a, enum dns_type type, const uint8_t *data, size_t len, struct dns_record *r)
{
	char text[256];
	switch (type) {
	case DNS_A:
	case DNS_AAAA:
		if (len != (type == DNS_A ? 4u : 16u) ||
		    !inet_ntop(type == DNS_A ? AF_INET : AF_INET6, data, text, sizeof text))
			return false;
		break;
	case DNS_MX:
		if (len < 3 || !dns_wire_name(data + 2, len - 2, text))
			return false;
		r->preference = (uint16_t)(data[0] << 8 | data[1]);
		break;
	case DNS_PTR:
		if (!dns_wire_name(data, len, text))
			return false;
		break;
	case DNS_TXT:
		r->text = dns_wire_text(a, data, len);
		return r->text != NULL;
	}
	r->text = arena_strdup(a, text);
	return true;
}

static enum dns_outcome failure(struct ost_why *why, enum dns_outcome outcome, const char *text)
{
	why_set(why, "%s", text);
	return outcome;
}

static enum dns_outcome read_result(struct arena *a, const struct ub_result *u, enum dns_type type, struct dns_answer *answer,
				    struct ost_why *why)
{
	if (u->bogus || (u->rcode != 0 && u->rcode != RCODE_NXDOMAIN))
		return failure(why, DNS_TRY_LATER, "Host not found, try again");
	if (u->nxdomain)
		return failure(why, DNS_NO_NAME, "Host not found");
	if (!u->havedata)
		return failure(why, DNS_NO_DATA, "Host found but no data record of requested type");
	size_t n = 0;
	while (n < DNS_RECORDS_MAX && u->data[n])
		n++;
	answer->list = arena_alloc(a, (n + 1) * sizeof(struct dns_record));
	answer->canonical = arena_strdup(a, u->canonname ? u->canonname : u->qname);
	for (size_t i = 0; i < n; i++)
		answer->count += take_record(a, type, (const uint8_t *)u->data[i], u->len[i] < 0 ? 0 : (size_t)u->len[i],
					     &answer->list[answer->count]);
	if (answer->count == 0)
		return failure(why, DNS_BAD, "Malformed or unexpected name server reply");
	return DNS_FOUND;
}

/* A name that may be asked for: labels and length, and no byte that a server or a log line could stumble over. */
static bool askable(const char *name)
{
	size_t len = strlen(name), label = 0;
	if (len == 0 || len > 253)
		return false;
	for (const char *p = name; *p; p++) {
		label = *p == '.' ? 0 : label + 1;
		if (label > 63 || (*p == '.' && (p == name || p[1] == '.')) || (unsigned char)*p <= ' ' ||
		    (unsigned char)*p >= 0x7f || *p == '\\')
			return false;
	}
	return true;
}

/* What is known at once: of the cache, or that it cannot be asked. */
static bool answered_at_once(struct dns *d, struct arena *a, struct dns_query *q)
{
	q->answer = (struct dns_answer){ 0 };
	if (!askable(q->name)) {
		q->outcome = failure(&q->why, DNS_BAD, "Invalid host name");
		return true;
	}
	return dns_cache_find(d->cache, a, q->name, q->type, &q->answer, &q->outcome, &q->why);
}

/* Takes the answer to what was sent; NULL: nothing was. */
static void finish(struct dns *d, struct arena *a, struct dns_query *q, struct question *sent, int64_t deadline)
{
	sent = sent ? wait_for(d, sent, deadline) : NULL;
	if (!sent || sent->error || !sent->result)
		q->outcome = failure(&q->why, DNS_TRY_LATER, "Host not found, try again");
	else
		q->outcome = read_result(a, sent->result, q->type, &q->answer, &q->why);
	if (q->outcome != DNS_TRY_LATER)
		dns_cache_add(d->cache, q->name, q->type, &q->answer, q->outcome, &q->why, sent->result->ttl);
	if (sent)
		question_free(sent);
}

void dns_lookup_all(struct dns *d, struct arena *a, struct dns_query *list, size_t n, int64_t deadline)
{
	CHECK_MAGIC(d, DNS_MAGIC);
	struct question **sent = mem_zalloc((n + 1) * sizeof *sent);
	bool *open = mem_zalloc((n + 1) * sizeof *open);
	for (size_t i = 0; i < n; i++) {
		open[i] = !answered_at_once(d, a, &list[i]);
		sent[i] = open[i] && started(d) ? ask(d, list[i].name, list[i].type) : NULL;
	}
	for (size_t i = 0; i < n; i++)
		if (open[i])
			finish(d, a, &list[i], sent[i], deadline);
	free(sent);
	free(open);
}

enum dns_outcome dns_lookup(struct dns *d, struct arena *a, const char *name, enum dns_type type, int64_t deadline,
			    struct dns_answer *answer, struct ost_why *why)
{
	struct dns_query q = { .name = name, .type = type };
	dns_lookup_all(d, a, &q, 1, deadline);
	*answer = q.answer;
	if (why && q.outcome != DNS_FOUND)
		*why = q.why;
	return q.outcome;
}
