/* SPDX-License-Identifier: Apache-2.0
 * What the parts of the module share: one opened table, its connections, one lookup. */
#ifndef LDAP_DIRECTORY_H
#define LDAP_DIRECTORY_H

#include <ldap.h>

#include "ostler/host.h"
#include "shared/domain_list.h"
#include "shared/expansion.h"

/* ---- the .cf file (ldap.c) ------------------------------------------------------------------------------------------- */

struct directory_config {
	const char *server_host, *search_base, *query_filter, *result_format, *result_filter, *domain;
	const char *result_attribute, *special_result_attribute, *terminal_result_attribute,
		*leaf_result_attribute;
	const char *scope, *bind, *bind_dn, *bind_pw;
	const char *sasl_mechs, *sasl_realm, *sasl_authz_id;
	const char *tls_ca_cert_dir, *tls_ca_cert_file, *tls_cert, *tls_key, *tls_random_file,
		*tls_cipher_suite;
	const char *cache, *cache_expiry, *cache_size;
	int64_t server_port, timeout, recursion_limit, expansion_limit, size_limit, dereference, version,
		debuglevel;
	int64_t sasl_minssf, connections;
	bool chase_referrals, start_tls, tls_require_cert;
};

/* ---- attributes (attributes.c) --------------------------------------------------------------------------------------- */

enum attribute_kind {
	ATTRIBUTE_TERMINAL,
	ATTRIBUTE_LEAF,
	ATTRIBUTE_PLAIN,
	ATTRIBUTE_SPECIAL,
	ATTRIBUTE_KINDS
};

struct attributes {   /* in the order of their kinds; what stands in two lists is of the first */
	char **names; /* ends with NULL: as a search wants it */
	enum attribute_kind *kinds;
	size_t count;
	size_t of_kind[ATTRIBUTE_KINDS];
};

/* The lists, with commas or white space between names, by kind. False: no memory. */
bool directory_attributes_parse(struct attributes *, const char *const lists[ATTRIBUTE_KINDS]);
void directory_attributes_free(struct attributes *);
/* The place of an attribute that an entry has, which may be a subtype ("mail;lang-en" of "mail"); count: not
 * asked for. */
size_t directory_attributes_find(const struct attributes *, const char *name);
/* Those that an LDAP URL selects: NULL for all. Free it with free(); the names are the URL's and the table's.
 * NULL: no memory. */
char **directory_attributes_select(const struct attributes *, char **of_url);

/* ---- quoting (quote.c) ----------------------------------------------------------------------------------------------- */

/* For expansion_of_key(): a value in a filter (RFC 4515), in a distinguished name (RFC 4514). The texts of a
 * directory are UTF-8: it is not asked for others, and its values must be. */
void directory_quote_for_filter(void *ctx, struct text_buf *, const char *text, size_t len);
void directory_quote_for_dn(void *ctx, struct text_buf *, const char *text, size_t len);

/* ---- servers and connections (servers.c, connection.c) ---------------------------------------------------------------- */

struct servers {
	char **urls; /* "ldap://host:port" */
	size_t count;
};
/* Hosts, hosts with a port, LDAP URLs. False: flaw says which one makes no sense. */
bool directory_servers_parse(struct servers *, const char *server_host, int64_t server_port,
			     struct expansion_flaw *);
void directory_servers_free(struct servers *);

enum bind_how { BIND_NONE, BIND_SIMPLE, BIND_SASL };

struct directory {
	const struct ost_host *host;
	struct ost_instance *instance;
	const struct directory_config *c;
	struct servers servers;
	struct ost_pool *pool;
	void *tls; /* the library's context: reads its files once, before the process is sealed */
	bool has_sasl;
	enum bind_how bind;
	int version; /* of the protocol */
	int scope;
	int64_t size_limit;
	struct attributes attributes;
	struct expansion_needs needs;
	struct expansion *base, *filter, *format;
	struct domain_list *domains;
};

struct link { /* a connection */
	const struct ost_host *host;
	LDAP *ld;
	int64_t deadline; /* of what is done with it now */
	struct ldap_conncb callbacks;
};
/* No read or write of it goes beyond its deadline (io.c). */
void directory_link_guard(struct link *);

/* Reads certificates, loads what the library loads later otherwise. */
bool directory_connection_prepare(struct directory *, struct ost_why *);
void directory_connection_unprepare(struct directory *);
void *directory_connection_open(void *directory, size_t server, int64_t deadline, struct ost_why *);
void directory_connection_close(void *directory, void *link);
/* What the library says in debuglevel, without what it says about passwords. */
void directory_connection_debug(const struct ost_host *, int64_t level);
/* The answer to one request, before the link's deadline; else it is abandoned, and the result is
 * LDAP_TIMEOUT. all: LDAP_MSG_ALL, _ONE. */
int directory_connection_await(struct link *, int request, int all, LDAPMessage **answer);

/* ---- searching (search.c, values.c) ------------------------------------------------------------------------------------ */

struct lookup_state { /* one lookup */
	struct directory *d;
	struct link *link;
	const struct expansion_key *key;
	struct expansion_result result;
	int64_t deadline;
	int depth;          /* of searches: 1 is the first one */
	bool failed;        /* why says why */
	bool silent_server; /* it is the server's fault: it is gone, busy, or too late */
	struct ost_why why;
};

struct entries {
	LDAPMessage **list;
	size_t count, room;
};

/* One search; the result is LDAP_SUCCESS or what the library or server says. Free the entries in any case. */
int directory_search_entries(struct lookup_state *, const char *base, int scope, const char *filter,
			     char **attributes, struct entries *);
void directory_search_free(struct entries *);
/* Notes that the lookup has failed. */
void directory_search_failed(struct lookup_state *, int result, const char *what);
/* Adds what entries hold, and what they refer to. They are taken away. */
void directory_values_collect(struct lookup_state *, struct entries *);

#endif
