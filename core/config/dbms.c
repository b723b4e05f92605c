/* SPDX-License-Identifier: Apache-2.0 */
#include "config/dbms.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct dbms {
	const char *type;
	const char *params; /* separated by single spaces */
};

#define OLD_SQL      " table select_field select_function where_field additional_conditions"
#define COMMON       "query result_format domain expansion_limit"
#define CLIENT_TLS   " tls_cert_file tls_key_file tls_CAfile tls_CApath tls_ciphers tls_verify_cert"
#define SERVER_TIMES " idle_interval retry_interval"

static const struct dbms clients[] = {
	{ "ldap", COMMON
	  " server_host server_port search_base timeout query_filter result_filter result_attribute "
	  "special_result_attribute leaf_result_attribute terminal_result_attribute scope bind bind_dn "
	  "bind_pw version debuglevel chase_referrals dereference size_limit recursion_limit cache "
	  "cache_expiry cache_size sasl_mechs sasl_realm sasl_authz_id sasl_minssf start_tls "
	  "tls_require_cert tls_ca_cert_file tls_ca_cert_dir tls_cert tls_key tls_random_file "
	  "tls_cipher_suite" },
	{ "memcache",
	  "memcache backup flags key_format line_size_limit data_size_limit max_try retry_pause timeout ttl "
	  "domain" },
	{ "mongodb", COMMON " uri dbname collection filter projection result_attribute" },
	{ "mysql", COMMON
	  " hosts user password dbname option_file option_group require_result_set charset" SERVER_TIMES
		  CLIENT_TLS OLD_SQL },
	{ "pgsql", COMMON " hosts user password dbname encoding" SERVER_TIMES OLD_SQL },
	{ "sqlite", COMMON " dbpath" OLD_SQL },
};

const char *dbms_type(const struct dbms *d)
{
	return d->type;
}

bool dbms_is_file(const char *name)
{
	return *name == '/' || *name == '.';
}

bool dbms_knows(const struct dbms *d, const char *param)
{
	size_t len = strlen(param);
	for (const char *at = d->params; *at;) {
		size_t n = strcspn(at, " ");
		if (n == len && !memcmp(at, param, n))
			return true;
		at += n + strspn(at + n, " ");
	}
	return false;
}

/* The client whose type a word starts with; *name is behind the colon. */
static const struct dbms *client_of(const char *word, const char **name)
{
	for (size_t i = 0; i < sizeof clients / sizeof *clients; i++) {
		size_t n = strlen(clients[i].type);
		if (!strncmp(word, clients[i].type, n) && word[n] == ':' && word[n + 1]) {
			*name = word + n + 1;
			return &clients[i];
		}
	}
	return NULL;
}

void dbms_each(const char *value, void (*each)(void *ctx, const struct dbms *, const char *name), void *ctx)
{
	static const char separators[] = ", \t\r\n{}";
	for (const char *at = value + strspn(value, separators); *at; at += strspn(at, separators)) {
		size_t n = strcspn(at, separators);
		char *word = mem_strndup(at, n);
		const char *plain = strncmp(word, "proxy:", 6) ? word : word + 6, *name;
		const struct dbms *d = client_of(plain, &name);
		if (d)
			each(ctx, d, name);
		free(word);
		at += n;
	}
}
