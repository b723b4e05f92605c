/* SPDX-License-Identifier: Apache-2.0
 *
 * Restrictions that ask an access table: check_client_access and its kin. The search orders and the meaning of the
 * right-hand sides are the core's (access(5)); which field is asked, and how, is in the table below. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ostler/host.h"

enum {
	ANY_STAGE = OST_STAGE_CONNECT | OST_STAGE_HELO | OST_STAGE_MAIL | OST_STAGE_RCPT | OST_STAGE_DATA |
		    OST_STAGE_END_OF_DATA | OST_STAGE_ETRN,
	ADDRESSES_MAX = 50, /* of one server */
	SECONDS = 30,       /* for a server's addresses */
};

enum search { /* which key is looked up, and what else when that is not there */
	BY_HOST,            /* a name and its parent domains */
	BY_HOST_OR_ADDRESS, /* the same, then the client's address and networks */
	BY_MAIL,            /* a mail address, its domain, its local part */
	BY_WORD,            /* the key alone */
	BY_ADDRESSES,       /* the addresses of the name */
	BY_MAIL_SERVERS,    /* names and addresses of its mail servers */
	BY_NAME_SERVERS,    /* names and addresses of its name servers */
};

/* X(restriction, kind, object, field, search, strict, help). kind and object: the fields that a reply names. strict: a yes in
 * the table is a mistake, since the client chooses the name. */
#define SERVERS(X, what, kind, object, field)                                                                               \
	X("check_" what "_a_access", kind, object, field, BY_ADDRESSES, true, "search the table for the addresses of the name")  \
	X("check_" what "_mx_access", kind, object, field, BY_MAIL_SERVERS, true,                                                \
	  "search the table for the name's mail servers and their addresses")                                                    \
	X("check_" what "_ns_access", kind, object, field, BY_NAME_SERVERS, true,                                                \
	  "search the table for the name's name servers and their addresses")

#define RESTRICTIONS(X)                                                                                                      \
	X("check_client_access", "Client host", "client", "client_name", BY_HOST_OR_ADDRESS, false,                              \
	  "search the table for the client's name, parent domains, address and networks")                                        \
	X("check_reverse_client_hostname_access", "Unverified Client host", "reverse_client_name", "reverse_client_name",        \
	  BY_HOST_OR_ADDRESS, true, "the same with the client's unconfirmed name")                                               \
	X("check_helo_access", "Helo command", "helo_name", "helo_name", BY_HOST, false,                                         \
	  "search the table for the HELO name and its parent domains")                                                           \
	X("check_sender_access", "Sender address", "sender", "sender", BY_MAIL, false,                                           \
	  "search the table for the sender's address, domain, parent domains and localpart@")                                    \
	X("check_recipient_access", "Recipient address", "recipient", "recipient", BY_MAIL, false,                               \
	  "search the table for the recipient's address, domain, parent domains and localpart@")                                 \
	X("check_etrn_access", "Etrn command", "etrn_domain", "etrn_domain", BY_HOST, false,                                     \
	  "search the table for the domain that ETRN names and its parent domains")                                              \
	X("check_sasl_access", "SASL login name", "sasl_username", "sasl_username", BY_WORD, false,                              \
	  "search the table for the name that the client has logged in with")                                                    \
	SERVERS(X, "client", "Client host", "client", "client_name")                                                             \
	SERVERS(X, "reverse_client_hostname", "Unverified Client host", "reverse_client_name", "reverse_client_name")            \
	SERVERS(X, "helo", "Helo command", "helo_name", "helo_name")                                                             \
	SERVERS(X, "sender", "Sender address", "sender", "sender")                                                               \
	SERVERS(X, "recipient", "Recipient address", "recipient", "recipient")

struct what {
	const char *name, *kind, *object, *field;
	enum search search;
	bool strict;
};

#define AS_WHAT(name, kind, object, field, search, strict, help) { name, kind, object, field, search, strict },
#define AS_RESTRICTION(name, kind, object, field, search, strict, help) { name, 1, ANY_STAGE, help },
static const struct what whats[] = { RESTRICTIONS(AS_WHAT) };
static const struct ost_restriction access_restrictions[] = { RESTRICTIONS(AS_RESTRICTION) { NULL, 0, 0, NULL } };

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

/* One run of a restriction. */
struct asked {
	const struct prepared *p;
	struct ost_instance *instance;
	struct ost_session *session;
	const char *object; /* what a reply names */
};

/* Applies what a lookup has found; false: nothing. */
static bool apply(const struct asked *q, enum ost_found found, const char *action, enum ost_verdict *verdict)
{
	if (found == OST_NOTFOUND)
		return false;
	if (found != OST_FOUND)
		action = "451 4.3.5 Server configuration error";
	*verdict = host->access_action(q->session, action, q->p->what->kind, q->object);
	return true;
}

static bool search(const struct asked *q, enum ost_access_order order, const char *key, enum ost_verdict *verdict)
{
	const char *action = NULL;
	struct ost_why why;
	enum ost_found found = host->access_search(q->p->tables, order, key, &action, &why);
	return apply(q, found, action, verdict);
}

static bool search_word(const struct asked *q, const char *key, enum ost_verdict *verdict)
{
	const char *action = NULL;
	struct ost_why why;
	enum ost_found found = host->tables_lookup(q->p->tables, key, &action, &why);
	return apply(q, found, action, verdict);
}

/* ---- servers of a name ---- */

static const char *record_name(enum search search)
{
	return search == BY_MAIL_SERVERS ? "MX" : "NS";
}

static bool is_address(const char *text)
{
	unsigned char address[16];
	return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

/* The addresses of one server. */
static bool search_addresses(const struct asked *q, const char *server, enum ost_verdict *verdict)
{
	const struct what *what = q->p->what;
	struct ost_address list[ADDRESSES_MAX];
	struct ost_why why = { "" };
	size_t count = 0;
	if (!host->addresses(q->instance, server, list, ADDRESSES_MAX, &count, host->now() + SECONDS * INT64_C(1000000), &why)) {
		const char *reason = strrchr(why.text, ':');
		if (what->search != BY_ADDRESSES)
			host->log(q->instance, OST_LOG_WARNING, "Unable to look up %s host %s for %s %s:%s%s",
				  record_name(what->search), server, what->kind, q->object, reason ? "" : " ",
				  reason ? reason + 1 : why.text);
		return false;
	}
	for (size_t i = 0; i < count; i++)
		if (search(q, OST_ACCESS_ADDRESS, list[i].text, verdict))
			return true;
	return false;
}

static bool search_server(const struct asked *q, const char *server, enum ost_verdict *verdict)
{
	if (is_address(server))
		return search(q, OST_ACCESS_ADDRESS, server, verdict);
	if (q->p->what->search != BY_ADDRESSES && search(q, OST_ACCESS_HOST, server, verdict))
		return true;
	return search_addresses(q, server, verdict);
}

/* "[192.0.2.1]" is its own address and mail server, and has no other. */
static bool search_literal(const struct asked *q, const char *literal, enum ost_verdict *verdict)
{
	char address[64];
	size_t len = strlen(literal), skip = strncasecmp(literal + 1, "IPv6:", 5) == 0 ? 6 : 1;
	if (q->p->what->search == BY_NAME_SERVERS || literal[len - 1] != ']' || len - skip > sizeof address)
		return false;
	snprintf(address, sizeof address, "%.*s", (int)(len - skip - 1), literal + skip);
	return is_address(address) && search(q, OST_ACCESS_ADDRESS, address, verdict);
}

/* name: a host, or an address with its domain. */
static bool search_servers(const struct asked *q, const char *name, enum ost_verdict *verdict)
{
	enum search how = q->p->what->search;
	const char *at = strrchr(name, '@'), *domain = at ? at + 1 : name;
	const char *alone[] = { domain, NULL }, *const *servers = alone;
	struct ost_why why = { "" };
	if (!*domain || strcmp(domain, "unknown") == 0)
		return false;
	if (*domain == '[')
		return search_literal(q, domain, verdict);
	if (how != BY_ADDRESSES) {
		enum ost_servers kind = how == BY_MAIL_SERVERS ? OST_SERVERS_OF_MAIL : OST_SERVERS_OF_NAMES;
		enum ost_dns got = host->session_servers(q->session, domain, kind, &servers, &why);
		if (got != OST_DNS_OK && got != OST_DNS_NULLMX)
			host->log(q->instance, OST_LOG_WARNING, "Unable to look up %s host for %s: %s", record_name(how),
				  how == BY_NAME_SERVERS && got == OST_DNS_NOTFOUND ? name : domain, why.text);
		if (got != OST_DNS_OK)
			return false;
	}
	for (; *servers; servers++)
		if (search_server(q, *servers, verdict))
			return true;
	return false;
}

/* ---- running ---- */

static enum ost_verdict decide(const struct asked *q, const char *key)
{
	const struct what *what = q->p->what;
	enum ost_verdict verdict = OST_DUNNO;
	switch (what->search) {
	case BY_HOST:
	case BY_HOST_OR_ADDRESS:
		if (search(q, OST_ACCESS_HOST, key, &verdict) || what->search == BY_HOST)
			break;
		key = host->session_field(q->session, "client_address");
		if (key)
			search(q, OST_ACCESS_ADDRESS, key, &verdict);
		break;
	case BY_MAIL:
		search(q, OST_ACCESS_MAIL, key, &verdict);
		break;
	case BY_WORD:
		search_word(q, key, &verdict);
		break;
	case BY_ADDRESSES:
	case BY_MAIL_SERVERS:
	case BY_NAME_SERVERS:
		search_servers(q, key, &verdict);
		break;
	}
	return verdict;
}

/* A yes to what everybody can claim to be. */
static enum ost_verdict forbid(const struct asked *q, const char *key)
{
	host->log(q->instance, OST_LOG_WARNING, "restriction %s returns OK for %s", q->p->what->name, key);
	host->log(q->instance, OST_LOG_WARNING, "this is not allowed for security reasons");
	host->log(q->instance, OST_LOG_WARNING, "use DUNNO instead of OK if you want to make an exception");
	host->reply(q->session, 451, "4.3.5", "Server configuration error");
	return OST_CHECK_FAILED;
}

static enum ost_verdict access_run(void *self, void *state, void *prepared, enum ost_stage stage, struct ost_session *session)
{
	(void)state;
	(void)stage;
	const struct prepared *p = prepared;
	struct asked q = { .p = p, .instance = self, .session = session };
	const char *key = host->session_field(session, p->what->field);
	if (!key)
		return OST_DUNNO;
	q.object = host->session_field(session, p->what->object);
	if (!q.object)
		q.object = key;
	enum ost_verdict verdict = decide(&q, key);
	if (verdict == OST_PERMIT && p->what->strict)
		return forbid(&q, key);
	/* user%host@here, host!user@here: where such an address leads to is not what the table was asked for. */
	if (verdict == OST_PERMIT && strcmp(p->what->field, "recipient") == 0 && host->session_field(session, "recipient_routed"))
		return OST_DUNNO;
	return verdict;
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
