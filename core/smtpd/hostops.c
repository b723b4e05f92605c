/* SPDX-License-Identifier: Apache-2.0
 * What check modules may ask of a session: the host services of ostler/host.h that this folder provides. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/magic.h"
#include "module/hosts.h"
#include "smtpd/check.h"

static const char *session_field(const struct ost_session *os, const char *name)
{
	CHECK_MAGIC(os, MODULE_SESSION_MAGIC);
	return policy_field(os->check, name);
}

static void set_reply(struct ost_session *os, int code, const char *dsn, const char *text)
{
	CHECK_MAGIC(os, MODULE_SESSION_MAGIC);
	os->code = code;
	snprintf(os->dsn, sizeof os->dsn, "%s", dsn ? dsn : "");
	snprintf(os->text, sizeof os->text, "%s", text ? text : "");
}

static void set_whole_reply(struct ost_session *os, int code, const char *dsn, const char *text)
{
	set_reply(os, code, dsn, text);
	os->whole = true;
}

/* What came back, for the module. */
static void tell_answer(struct arena *a, const struct dns_query *q, struct ost_dns_question *to)
{
	static const enum ost_dns outcomes[] = {
		[DNS_FOUND] = OST_DNS_OK,           [DNS_NO_NAME] = OST_DNS_NOTFOUND, [DNS_NO_DATA] = OST_DNS_NOTFOUND,
		[DNS_TRY_LATER] = OST_DNS_TEMPFAIL, [DNS_BAD] = OST_DNS_TEMPFAIL,
	};
	const char **texts = arena_alloc(a, (q->answer.count + 1) * sizeof *texts);
	to->outcome = outcomes[q->outcome];
	to->count = q->outcome == DNS_FOUND ? q->answer.count : 0;
	for (size_t i = 0; i < to->count; i++)
		texts[i] = q->answer.list[i].text;
	to->texts = texts;
}

static void session_dns(struct ost_session *os, struct ost_dns_question *list, size_t n)
{
	enum { SECONDS = 10 };
	CHECK_MAGIC(os, MODULE_SESSION_MAGIC);
	struct arena *a = os->check->arena;
	struct dns_query *queries = arena_alloc(a, (n + 1) * sizeof *queries);
	for (size_t i = 0; i < n; i++)
		queries[i] = (struct dns_query){ .name = list[i].name, .type = (enum dns_type)list[i].type };
	dns_lookup_all(os->check->r->dns, a, queries, n, clock_mono() + SECONDS * CLOCK_SECOND);
	for (size_t i = 0; i < n; i++)
		tell_answer(a, &queries[i], &list[i]);
}

static enum ost_verdict access_action(struct ost_session *os, const char *action, const char *kind, const char *object)
{
	CHECK_MAGIC(os, MODULE_SESSION_MAGIC);
	switch (access_apply(os->check, action, kind, object)) {
	case OUTCOME_PERMIT:
		return OST_PERMIT;
	case OUTCOME_REJECT:
		os->rejected = true;
		return OST_REJECT;
	case OUTCOME_DUNNO:
		break;
	}
	return OST_DUNNO;
}

static const struct mod_session_ops session_ops = {
	.session_field = session_field,
	.reply = set_reply,
	.access_action = access_action,
	.dns = session_dns,
	.reply_whole = set_whole_reply,
};

void restrict_install_host(void)
{
	mod_host_set_session(&session_ops);
}
