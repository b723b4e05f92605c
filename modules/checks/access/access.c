/* SPDX-License-Identifier: Apache-2.0
 *
 * Restrictions that ask an access table: check_client_access and its kin. The search orders and the meaning of the
 * right-hand sides are the core's (access(5)); which field is asked, and how, is in the table below. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ostler/host.h"

enum {
	ANY_STAGE = OST_STAGE_CONNECT | OST_STAGE_HELO | OST_STAGE_MAIL | OST_STAGE_RCPT | OST_STAGE_DATA |
		    OST_STAGE_END_OF_DATA | OST_STAGE_ETRN,
};

/* A field of the session and the order in which it is searched. */
struct question {
	const char *field;
	enum ost_access_order order;
};

struct what {
	const char *name;
	const char *kind; /* for replies */
	struct question questions[2]; /* asked one after the other; the second may be missing */
};

/* In the order of access_restrictions. */
static const struct what whats[] = {
	{ "check_client_access", "Client host",
	  { { "client_name", OST_ACCESS_HOST }, { "client_address", OST_ACCESS_ADDRESS } } },
	{ "check_helo_access", "Helo command", { { "helo_name", OST_ACCESS_HOST } } },
	{ "check_sender_access", "Sender address", { { "sender", OST_ACCESS_MAIL } } },
	{ "check_recipient_access", "Recipient address", { { "recipient", OST_ACCESS_MAIL } } },
};

static const struct ost_restriction access_restrictions[] = {
	{ "check_client_access", 1, ANY_STAGE, "search the table for the client's name, parent domains, address and networks" },
	{ "check_helo_access", 1, ANY_STAGE, "search the table for the HELO name and its parent domains" },
	{ "check_sender_access", 1, ANY_STAGE, "search the table for the sender's address, domain, parent domains and localpart@" },
	{ "check_recipient_access", 1, ANY_STAGE,
	  "search the table for the recipient's address, domain, parent domains and localpart@" },
	{ NULL, 0, 0, NULL },
};

struct prepared {
	const struct what *what;
	const struct ost_tables *tables;
};

static const struct ost_host *host;

static bool access_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

static bool access_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	(void)why;
	*self = instance; /* all that prepare() needs */
	return true;
}

static bool access_prepare(void *self, const char *name, const char *const argv[], void **prepared, struct ost_why *why)
{
	const struct what *what = whats;
	while (what < whats + sizeof whats / sizeof *whats && strcmp(what->name, name) != 0)
		what++;
	if (what == whats + sizeof whats / sizeof *whats)
		return host->why(why, "%s is no restriction of this module", name);
	struct prepared *p = calloc(1, sizeof *p);
	if (!p)
		return host->why(why, "out of memory");
	p->what = what;
	p->tables = host->tables_open(self, argv[0], why);
	if (!p->tables) {
		free(p);
		return host->why(why, "%s: a table is missing", name);
	}
	*prepared = p;
	return true;
}

static void access_unprepare(void *self, void *prepared)
{
	(void)self;
	free(prepared);
}

/* What the reply names: the address, or for clients name[address]. */
static const char *object_of(const struct what *what, const struct ost_session *session, char *text, size_t size)
{
	const char *first = host->session_field(session, what->questions[0].field);
	if (!what->questions[1].field)
		return first;
	const char *second = host->session_field(session, what->questions[1].field);
	snprintf(text, size, "%s[%s]", first ? first : "unknown", second ? second : "unknown");
	return text;
}

static enum ost_verdict access_run(void *self, void *state, void *prepared, enum ost_stage stage, struct ost_session *session)
{
	(void)self;
	(void)state;
	(void)stage;
	const struct prepared *p = prepared;
	char text[512];
	for (size_t i = 0; i < 2 && p->what->questions[i].field; i++) {
		const struct question *q = &p->what->questions[i];
		const char *asked = host->session_field(session, q->field), *action;
		struct ost_why why;
		if (!asked)
			continue;
		enum ost_found found = host->access_search(p->tables, q->order, asked, &action, &why);
		if (found == OST_NOTFOUND)
			continue;
		if (found != OST_FOUND)
			action = "451 4.3.5 Server configuration error";
		return host->access_action(session, action, p->what->kind, object_of(p->what, session, text, sizeof text));
	}
	return OST_DUNNO;
}

static const struct ost_check_ops access_ops = {
	.ops = {
		.size = sizeof access_ops,
		.open = access_open,
	},
	.restrictions = access_restrictions,
	.prepare = access_prepare,
	.unprepare = access_unprepare,
	.run = access_run,
};

static const struct ost_provide access_provides[] = {
	{ OST_KIND_CHECK, "access", &access_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(access, .version = "1.0", .summary = "restrictions that ask an access table", .license = "Apache-2.0",
	   .provides = access_provides, .load = access_load);
