/* SPDX-License-Identifier: Apache-2.0
 * One connection to a directory server: options, TLS, who we are. */
#include <inttypes.h>
#include <sasl/sasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tables/ldap/directory.h"

/* ---- waiting --------------------------------------------------------------------------------------------------------- */

static struct timeval time_left(const struct ost_host *host, int64_t deadline)
{
	int64_t left = deadline - host->now();
	if (left < 0)
		left = 0;
	return (struct timeval){ .tv_sec = left / 1000000, .tv_usec = left % 1000000 };
}

int directory_connection_await(struct link *link, int request, int all, LDAPMessage **answer)
{
	struct timeval left = time_left(link->host, link->deadline);
	int error = LDAP_SERVER_DOWN;
	*answer = NULL;
	int type = ldap_result(link->ld, request, all, &left, answer);
	if (type > 0)
		return LDAP_SUCCESS;
	if (type < 0 && link->host->now() < link->deadline) {
		ldap_get_option(link->ld, LDAP_OPT_RESULT_CODE, &error);
		return error == LDAP_SUCCESS ? LDAP_SERVER_DOWN : error;
	}
	if (type == 0)
		ldap_abandon_ext(link->ld, request, NULL, NULL);
	return LDAP_TIMEOUT;
}

/* What the server answered to one request. */
static int await_result(struct link *link, int request)
{
	LDAPMessage *answer;
	int result = LDAP_OTHER, error = directory_connection_await(link, request, LDAP_MSG_ALL, &answer);
	if (error == LDAP_SUCCESS)
		error = ldap_parse_result(link->ld, answer, &result, NULL, NULL, NULL, NULL, 1);
	return error == LDAP_SUCCESS ? result : error;
}

/* ---- TLS ------------------------------------------------------------------------------------------------------------- */

static bool is_ldaps(const char *url)
{
	return strncasecmp(url, "ldaps:", 6) == 0;
}

static bool uses_tls(const struct directory *d)
{
	bool any = d->c->start_tls;
	for (size_t i = 0; i < d->servers.count; i++)
		any = any || is_ldaps(d->servers.urls[i]);
	return any;
}

/* Certificates, keys and lists of authorities are read here, while files may be read. */
static bool prepare_tls(struct directory *d, LDAP *ld, struct ost_why *why)
{
	const struct {
		int option;
		const char *name, *value;
	} texts[] = {
		{ LDAP_OPT_X_TLS_CACERTDIR, "tls_ca_cert_dir", d->c->tls_ca_cert_dir },
		{ LDAP_OPT_X_TLS_CACERTFILE, "tls_ca_cert_file", d->c->tls_ca_cert_file },
		{ LDAP_OPT_X_TLS_CERTFILE, "tls_cert", d->c->tls_cert },
		{ LDAP_OPT_X_TLS_KEYFILE, "tls_key", d->c->tls_key },
		{ LDAP_OPT_X_TLS_RANDOM_FILE, "tls_random_file", d->c->tls_random_file },
		{ LDAP_OPT_X_TLS_CIPHER_SUITE, "tls_cipher_suite", d->c->tls_cipher_suite },
	};
	int demand = d->c->tls_require_cert ? LDAP_OPT_X_TLS_DEMAND : LDAP_OPT_X_TLS_NEVER, client = 0;
	ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (*texts[i].value &&
		    ldap_set_option(ld, texts[i].option, texts[i].value) != LDAP_OPT_SUCCESS &&
		    texts[i].option !=
			    LDAP_OPT_X_TLS_RANDOM_FILE) /* not every TLS library has a use for it */
			return d->host->why(why, "parameter %s: %s: is not accepted", texts[i].name,
					    texts[i].value);
	if (ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &client) != LDAP_OPT_SUCCESS)
		return d->host->why(
			why, "TLS cannot be set up: a file of tls_ca_cert_file, tls_ca_cert_dir, tls_cert or "
			     "tls_key "
			     "cannot be read or holds no such thing, or tls_cipher_suite is not known");
	ldap_get_option(ld, LDAP_OPT_X_TLS_CTX, &d->tls);
	return true;
}

bool directory_connection_prepare(struct directory *d, struct ost_why *why)
{
	LDAP *ld = NULL;
	int error = ldap_initialize(&ld, d->servers.urls[0]);
	if (error != LDAP_SUCCESS)
		return d->host->why(why, "parameter server_host: %s: %s", d->servers.urls[0],
				    ldap_err2string(error));
	if (d->bind == BIND_SASL)
		d->has_sasl = sasl_client_init(NULL) ==
			      SASL_OK; /* mechanisms are loaded now: later it is too late */
	bool ok = !uses_tls(d) || prepare_tls(d, ld, why);
	ldap_unbind_ext(ld, NULL, NULL);
	return ok;
}

/* The library has no public way to give a context back. */
extern void ldap_pvt_tls_ctx_free(void *context) __attribute__((weak));

void directory_connection_unprepare(struct directory *d)
{
	if (d->tls && ldap_pvt_tls_ctx_free)
		ldap_pvt_tls_ctx_free(d->tls);
	if (d->has_sasl)
		sasl_client_done();
}

static int start_tls(const struct directory *d, struct link *link)
{
	int request, error = ldap_start_tls(link->ld, NULL, NULL, &request);
	if (error == LDAP_SUCCESS)
		error = await_result(link, request);
	return error == LDAP_SUCCESS ? ldap_install_tls(link->ld) : error;
}

/* ---- who we are -------------------------------------------------------------------------------------------------------- */

static _Thread_local bool secret; /* the library may print what it sends */

static int bind_simple(const struct directory *d, struct link *link)
{
	char *password = strdup(d->c->bind_pw);
	struct berval credentials = { .bv_val = password, .bv_len = password ? strlen(password) : 0 };
	int request, error = LDAP_NO_MEMORY;
	if (password)
		error = ldap_sasl_bind(link->ld, d->c->bind_dn, LDAP_SASL_SIMPLE, &credentials, NULL, NULL,
				       &request);
	if (password)
		explicit_bzero(password, credentials.bv_len);
	free(password);
	return error == LDAP_SUCCESS ? await_result(link, request) : error;
}

/* Answers what a mechanism wants to know. */
static int interact(LDAP *ld, unsigned flags, void *ctx, void *questions)
{
	const struct directory_config *c = ctx;
	(void)ld;
	(void)flags;
	for (sasl_interact_t *q = questions; q->id != SASL_CB_LIST_END; q++) {
		const char *answer = q->id == SASL_CB_USER       ? c->sasl_authz_id
				     : q->id == SASL_CB_AUTHNAME ? c->bind_dn
				     : q->id == SASL_CB_PASS     ? c->bind_pw
				     : q->id == SASL_CB_GETREALM ? c->sasl_realm
								 : "";
		if (!*answer && q->defresult && q->id != SASL_CB_PASS)
			answer = q->defresult;
		q->result = answer;
		q->len = (unsigned)strlen(answer);
	}
	return LDAP_SUCCESS;
}

static int bind_sasl(const struct directory *d, struct link *link)
{
	LDAPMessage *answer = NULL;
	const char *mechanism = NULL;
	const char *mechanisms = *d->c->sasl_mechs ? d->c->sasl_mechs : NULL;
	char properties[64];
	int request, error;
	snprintf(properties, sizeof properties, "minssf=%" PRId64, d->c->sasl_minssf);
	error = d->c->sasl_minssf ? ldap_set_option(link->ld, LDAP_OPT_X_SASL_SECPROPS, properties)
				  : LDAP_OPT_SUCCESS;
	if (error != LDAP_OPT_SUCCESS)
		return LDAP_PARAM_ERROR;
	do {
		error = ldap_sasl_interactive_bind(link->ld, NULL, mechanisms, NULL, NULL, LDAP_SASL_QUIET,
						   interact, (void *)(uintptr_t)d->c, answer, &mechanism,
						   &request);
		ldap_msgfree(answer);
		answer = NULL;
		if (error != LDAP_SASL_BIND_IN_PROGRESS)
			return error;
		error = directory_connection_await(link, request, LDAP_MSG_ALL, &answer);
	} while (error == LDAP_SUCCESS);
	ldap_msgfree(answer);
	return error;
}

static int bind_none(const struct directory *d, struct link *link)
{
	(void)d;
	(void)link;
	return LDAP_SUCCESS;
}

static int bind_as(const struct directory *d, struct link *link)
{
	static int (*const how[])(const struct directory *, struct link *) = {
		[BIND_NONE] = bind_none,
		[BIND_SIMPLE] = bind_simple,
		[BIND_SASL] = bind_sasl,
	};
	secret = true;
	int error = how[d->bind](d, link);
	secret = false;
	return error;
}

/* ---- a connection ------------------------------------------------------------------------------------------------------ */

static void set_options(const struct directory *d, struct link *link)
{
	const struct directory_config *c = d->c;
	LDAP *ld = link->ld;
	int version = d->version, dereference = (int)c->dereference;
	int demand = c->tls_require_cert ? LDAP_OPT_X_TLS_DEMAND : LDAP_OPT_X_TLS_NEVER;
	struct timeval left = time_left(link->host, link->deadline);
	ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version);
	ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &left);
	ldap_set_option(ld, LDAP_OPT_TIMEOUT, &left);
	ldap_set_option(ld, LDAP_OPT_DEREF, &dereference);
	ldap_set_option(ld, LDAP_OPT_REFERRALS, c->chase_referrals ? LDAP_OPT_ON : LDAP_OPT_OFF);
	if (!d->tls)
		return;
	ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand);
	ldap_set_option(ld, LDAP_OPT_X_TLS_CTX, d->tls);
}

static int set_up(const struct directory *d, struct link *link, const char *url, const char **step)
{
	*step = "connect";
	int error = ldap_initialize(&link->ld, url);
	if (error != LDAP_SUCCESS)
		return error;
	set_options(d, link);
	directory_link_guard(link);
	error = ldap_connect(link->ld);
	if (error == LDAP_SUCCESS && d->c->start_tls && !is_ldaps(url)) {
		*step = "STARTTLS";
		error = start_tls(d, link);
	}
	if (error != LDAP_SUCCESS)
		return error;
	*step = d->bind == BIND_SASL ? "SASL bind" : "bind";
	return bind_as(d, link);
}

/* What the server or the TLS library said beside the number, if anything. */
static void tell(const struct link *link, const char *step, int error, struct ost_why *why)
{
	char *more = NULL;
	bool late = link->host->now() >= link->deadline;
	if (link->ld)
		ldap_get_option(link->ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &more);
	link->host->why(why, "%s: %s%s%s", step, ldap_err2string(late ? LDAP_TIMEOUT : error),
			more && *more ? ": " : "", more ? more : "");
	ldap_memfree(more);
}

void *directory_connection_open(void *directory, size_t server, int64_t deadline, struct ost_why *why)
{
	const struct directory *d = directory;
	struct link *link = calloc(1, sizeof *link);
	const char *step;
	if (!link) {
		d->host->why(why, "out of memory");
		return NULL;
	}
	link->host = d->host;
	link->deadline = d->host->now() + d->c->timeout;
	if (link->deadline > deadline)
		link->deadline = deadline;
	int error = set_up(d, link, d->servers.urls[server], &step);
	if (error == LDAP_SUCCESS)
		return link;
	tell(link, step, error, why);
	directory_connection_close(directory, link);
	return NULL;
}

void directory_connection_close(void *directory, void *connection)
{
	struct link *link = connection;
	(void)directory;
	link->deadline = link->host->now(); /* no waiting for a good-bye */
	if (link->ld)
		ldap_unbind_ext(link->ld, NULL, NULL);
	free(link);
}

/* ---- debuglevel -------------------------------------------------------------------------------------------------------- */

static const struct ost_host *debug_host; /* set in open(), while there is one thread */

static void print(const char *text)
{
	if (!secret)
		debug_host->log(NULL, OST_LOG_INFO, "libldap: %s", text);
}

void directory_connection_debug(const struct ost_host *host, int64_t level)
{
	enum { SHOWS_BYTES = 0x0002 | 0x0010 }; /* packets, BER: passwords are among them */
	int old = 0, wanted = (int)level & ~SHOWS_BYTES;
	if (wanted == 0)
		return;
	debug_host = host;
	ber_set_option(NULL, LBER_OPT_LOG_PRINT_FN, (void *)(uintptr_t)print);
	ldap_get_option(NULL, LDAP_OPT_DEBUG_LEVEL, &old);
	wanted |= old;
	ldap_set_option(NULL, LDAP_OPT_DEBUG_LEVEL, &wanted);
	ber_set_option(NULL, LBER_OPT_DEBUG_LEVEL, &wanted);
}
