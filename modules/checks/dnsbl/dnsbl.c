/* SPDX-License-Identifier: Apache-2.0
 *
 * Restrictions that ask lists in the DNS about addresses and domains (RFC 5782): reject_rbl_client and its kin. What all lists of
 * a stage have to say is asked for at once, before the first of them decides. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "checks/dnsbl/listing.h"
#include "checks/dnsbl/reply.h"
#include "ostler/host.h"
#include "shared/text_buf.h"

static const struct ost_host *host;

struct dnsbl { /* the instance */
	struct ost_instance *instance;
	const struct dnsbl_config *config;
};

static bool dnsbl_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

static bool dnsbl_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	struct dnsbl *d = malloc(sizeof *d);
	if (!d)
		return host->why(why, "out of memory");
	*d = (struct dnsbl){ .instance = instance, .config = config };
	*self = d;
	return true;
}

static void dnsbl_close(void *self)
{
	free(self);
}

/* ---- in the configuration ---------------------------------------------------------------------------------------- */

static void dnsbl_unprepare(void *self, void *prepared)
{
	(void)self;
	listing_free(prepared);
}

static bool dnsbl_prepare(void *self, const char *name, const char *const argv[], void **prepared, struct ost_why *why)
{
	const struct dnsbl *d = self;
	char flaw[200];
	const char *lists = argv[0] ? argv[0] : d->config->maps_rbl_domains;
	struct listing *l = listing_parse(name, lists ? lists : "", flaw, sizeof flaw);
	if (!l)
		return host->why(why, "%s", flaw);
	*prepared = l;
	return true;
}

/* ---- answers of the lists, for one command ----------------------------------------------------------------------- */

enum { ADDRESSES_MAX = 16, ADDRESS_SIZE = 16 };

struct answer {
	char query[DNSBL_QUERY_SIZE];
	enum ost_dns outcome;
	size_t count;
	char addresses[ADDRESSES_MAX][ADDRESS_SIZE];
};

struct answers { /* what the session has been told; those of the last list alone */
	struct answer *list;
	size_t count;
};

static bool dnsbl_session_begin(void *self, struct ost_session *session, void **state)
{
	(void)self;
	(void)session;
	*state = calloc(1, sizeof(struct answers));
	return *state;
}

static void dnsbl_session_end(void *self, void *state)
{
	struct answers *a = state;
	(void)self;
	free(a->list);
	free(a);
}

static const struct answer *find_answer(const struct answers *a, const char *query)
{
	for (size_t i = 0; a && i < a->count; i++)
		if (strcasecmp(a->list[i].query, query) == 0)
			return &a->list[i];
	return NULL;
}

static void take_answer(struct answer *a, const struct ost_dns_question *q)
{
	a->outcome = q->outcome;
	a->count = 0;
	for (size_t i = 0; i < q->count && a->count < ADDRESSES_MAX; i++)
		snprintf(a->addresses[a->count++], ADDRESS_SIZE, "%s", q->texts[i]);
}

/* Asks all that a has no outcome of. False: no memory, and nothing is known. */
static bool ask_all(struct ost_session *session, struct answers *a)
{
	struct ost_dns_question *questions = calloc(a->count + 1, sizeof *questions);
	for (size_t i = 0; questions && i < a->count; i++)
		questions[i] = (struct ost_dns_question){ .name = a->list[i].query, .type = OST_RECORD_A };
	if (questions && a->count > 0)
		host->session_dns(session, questions, a->count);
	for (size_t i = 0; questions && i < a->count; i++)
		take_answer(&a->list[i], &questions[i]);
	free(questions);
	return questions;
}

/* Adds the questions of one restriction, each once. */
static void add_questions(struct answers *a, const struct listing *l, const struct ost_session *session)
{
	const char *object = listing_object(l, host, session);
	for (size_t i = 0; object && i < l->count; i++) {
		char query[DNSBL_QUERY_SIZE];
		if (!listing_query(l, i, object, query) || find_answer(a, query))
			continue;
		struct answer *more = realloc(a->list, (a->count + 1) * sizeof *more);
		if (!more)
			return;
		a->list = more;
		a->list[a->count].outcome = OST_DNS_TEMPFAIL;
		memcpy(a->list[a->count++].query, query, sizeof query);
	}
}

static void forget(struct answers *a)
{
	free(a->list);
	*a = (struct answers){ 0 };
}

static void dnsbl_foresee(void *self, void *state, void *const prepared[], size_t n, struct ost_session *session)
{
	struct answers *a = state;
	(void)self;
	if (!a)
		return;
	forget(a);
	for (size_t i = 0; i < n; i++)
		add_questions(a, prepared[i], session);
	if (!ask_all(session, a))
		forget(a);
}

/* ---- a decision -------------------------------------------------------------------------------------------------- */

struct decision {
	const struct dnsbl *dnsbl;
	const struct listing *listing;
	struct ost_session *session;
	const char *object;           /* what is asked about */
	const struct dnsbl_zone *hit; /* the first that speaks against it (for it: permit_*) */
	char query[DNSBL_QUERY_SIZE]; /* under which it does */
	long score;
	bool unsure;                  /* a list did not answer */
};

static bool counts(const struct decision *d, const struct dnsbl_zone *zone, const struct answer *a)
{
	bool yes = false;
	for (size_t i = 0; i < a->count; i++) {
		enum dnsbl_match match = dnsbl_zone_matches(zone, a->addresses[i]);
		if (match == DNSBL_ODD)
			host->log(d->dnsbl->instance, OST_LOG_WARNING, "%s: ignored, as no list answers so: %s", a->query,
				  a->addresses[i]);
		yes = yes || match == DNSBL_YES;
	}
	return yes;
}

static void weigh(struct decision *d, size_t i, const struct answers *answers)
{
	const struct dnsbl_zone *zone = &d->listing->zones[i];
	char query[DNSBL_QUERY_SIZE];
	const struct answer *a = listing_query(d->listing, i, d->object, query) ? find_answer(answers, query) : NULL;
	if (!a)
		return;
	if (a->outcome == OST_DNS_TEMPFAIL) {
		host->log(d->dnsbl->instance, OST_LOG_WARNING, "%s: RBL lookup error: Host not found, try again", query);
		d->unsure = true;
	}
	if (a->outcome != OST_DNS_OK || !counts(d, zone, a))
		return;
	d->score += zone->weight;
	if (!d->hit && zone->weight > 0) {
		d->hit = zone;
		memcpy(d->query, query, sizeof query);
	}
}

/* What the list says about it, " / " between several. */
static void ask_reason(const struct decision *d, struct text_buf *reason)
{
	enum { REASON_MAX = 1000 };
	struct ost_dns_question q = { .name = d->query, .type = OST_RECORD_TXT };
	host->session_dns(d->session, &q, 1);
	for (size_t i = 0; q.outcome == OST_DNS_OK && i < q.count && reason->len < REASON_MAX; i++) {
		size_t room = REASON_MAX - reason->len, len = strlen(q.texts[i]);
		text_buf_puts(reason, i > 0 ? " / " : "");
		text_buf_add(reason, q.texts[i], len < room ? len : room);
	}
}

static enum ost_verdict reject(const struct decision *d)
{
	struct text_buf reason = { 0 };
	ask_reason(d, &reason);
	const struct dnsbl_reply reply = {
		.config = d->dnsbl->config,
		.zone = d->hit,
		.class = d->listing->kind->class,
		.what = d->object,
		.reason = text_buf_text(&reason),
	};
	enum ost_verdict v = dnsbl_reply_set(&reply, host, d->dnsbl->instance, d->session);
	text_buf_free(&reason);
	return v;
}

/* Never a way to relay: only for recipients that this system takes mail for. */
static enum ost_verdict permit(const struct decision *d)
{
	if (host->session_field(d->session, "recipient") && !host->session_field(d->session, "recipient_authorized"))
		return OST_DUNNO;
	if (d->hit)
		return OST_PERMIT;
	return d->unsure ? host->access_action(d->session, "DEFER_IF_REJECT", d->listing->kind->class, d->object) : OST_DUNNO;
}

static enum ost_verdict dnsbl_run(void *self, void *state, void *prepared, enum ost_stage stage, struct ost_session *session)
{
	const struct listing *l = prepared;
	struct decision d = { .dnsbl = self, .listing = l, .session = session, .object = listing_object(l, host, session) };
	struct answers own = { 0 };
	const struct answers *answers = state;
	char query[DNSBL_QUERY_SIZE];
	(void)stage;
	if (!d.object)
		return OST_DUNNO;
	for (size_t i = 0; i < l->count; i++) {
		if (!listing_query(l, i, d.object, query) || find_answer(answers, query))
			continue;
		add_questions(&own, l, session); /* not foreseen: from an access table, or in a class */
		answers = ask_all(session, &own) ? &own : NULL;
		break;
	}
	for (size_t i = 0; i < l->count; i++)
		weigh(&d, i, answers);
	forget(&own);
	if (l->kind->permits)
		return permit(&d);
	return d.hit && d.score >= l->threshold ? reject(&d) : OST_DUNNO;
}

/* ---- the module -------------------------------------------------------------------------------------------------- */

#define AT(member, kind) OST_PARAM_AT(struct dnsbl_config, member, OST_PARAM_##kind)
static const struct ost_param dnsbl_params[] = {
	{ .name = "default_rbl_reply", AT(default_reply, STRING), .help = "The reply to who is listed, with macros." },
	{ .name = "maps_rbl_domains", AT(maps_rbl_domains, STRING), .defval = "", .help = "The lists of reject_maps_rbl." },
	{ .name = "maps_rbl_reject_code", AT(reject_code, INT), .defval = "554", .min = 400, .max = 599,
	  .help = "The reply code for who is listed: $rbl_code." },
	{ .name = "rbl_reply_maps", AT(reply_maps, TABLES), .defval = "", .help = "Replies by list, instead of the default." },
	{ 0 },
};

#define ROW(name, args, help) { name, args, LISTING_STAGES, help }
static const struct ost_restriction dnsbl_restrictions[] = {
	ROW("reject_rbl_client", 1, "refuse clients whose address a list has"),
	ROW("reject_rbl", 1, "reject_rbl_client"),
	ROW("reject_maps_rbl", 0, "refuse clients whose address a list of maps_rbl_domains has"),
	ROW("reject_rhsbl_client", 1, "refuse clients whose name a list has"),
	ROW("reject_rhsbl_reverse_client", 1, "the same for the name that was not confirmed"),
	ROW("reject_rhsbl_helo", 1, "refuse HELO names that a list has"),
	ROW("reject_rhsbl_sender", 1, "refuse senders whose domain a list has"),
	ROW("reject_rhsbl_recipient", 1, "refuse recipients whose domain a list has"),
	ROW("permit_dnswl_client", 1, "permit clients whose address a list has"),
	ROW("permit_rhswl_client", 1, "permit clients whose name a list has"),
	ROW("reject_dnsbl_score", 1, "refuse clients whose address has a score in several lists"),
	{ NULL, 0, 0, NULL },
};

static const struct ost_check_ops dnsbl_ops = {
	.ops = {
		.size = sizeof dnsbl_ops,
		.params = dnsbl_params,
		.config_size = sizeof(struct dnsbl_config),
		.open = dnsbl_open,
		.close = dnsbl_close,
	},
	.restrictions = dnsbl_restrictions,
	.prepare = dnsbl_prepare,
	.unprepare = dnsbl_unprepare,
	.session_begin = dnsbl_session_begin,
	.session_end = dnsbl_session_end,
	.run = dnsbl_run,
	.foresee = dnsbl_foresee,
};

static const struct ost_provide dnsbl_provides[] = {
	{ OST_KIND_CHECK, "dnsbl", &dnsbl_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(dnsbl, .version = "1.0", .summary = "restrictions that ask lists in the DNS", .license = "Apache-2.0",
	   .provides = dnsbl_provides, .load = dnsbl_load);
