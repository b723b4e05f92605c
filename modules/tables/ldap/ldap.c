/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `ldap`: attributes of entries of a directory, asked for with a filter that holds the key.
 * The file has the parameters of ldap_table(5). Connections are a pool's; every wait has a deadline. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shared/utf8.h"
#include "tables/ldap/directory.h"

static const struct ost_host *host;

static bool ldap_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

/* ---- parameters -------------------------------------------------------------------------------------------------------- */

#define TEXT(name, value, text)                                                                              \
	{                                                                                                    \
#name, OST_PARAM_AT(struct directory_config, name, OST_PARAM_STRING), .defval = value,       \
										      .help = text           \
	}
#define NUMBER(name, value, least, most, text)                                                               \
	{                                                                                                    \
#name, OST_PARAM_AT(struct directory_config, name, OST_PARAM_INT),                           \
			.defval = value, .min = least, .max = most, .help = text                             \
	}
#define SWITCH(name, value, text)                                                                            \
	{                                                                                                    \
#name, OST_PARAM_AT(struct directory_config, name, OST_PARAM_BOOL), .defval = value,         \
										    .help = text             \
	}

static const struct ost_param params[] = {
	TEXT(server_host, "localhost", "servers, tried in this order: names, name:port, LDAP URLs"),
	NUMBER(server_port, "389", 1, 65535, "the port of servers that are named without one"),
	{ "timeout", OST_PARAM_AT(struct directory_config, timeout, OST_PARAM_TIME), .defval = "10s",
	  .min = 1, .max = 3600, .help = "how long a connection, or one search, may take" },
	{ "search_base", OST_PARAM_AT(struct directory_config, search_base, OST_PARAM_STRING),
	  .flags = OST_PARAM_REQUIRED,
	  .help = "the name below which entries are searched for; may have %s, %u, %d …" },
	TEXT(query_filter, "mailacceptinggeneralid=%s",
	     "the filter that entries must match; has %s, %u, %d …"),
	TEXT(result_format, NULL, "what is made of each value that was found (%s)"),
	TEXT(result_filter, "%s", "the old name of result_format"),
	TEXT(domain, "", "of which domains keys are looked up (empty: all keys)"),
	TEXT(result_attribute, "maildrop", "attributes with the values of the answer"),
	TEXT(special_result_attribute, "", "attributes that name other entries, or hold LDAP URLs"),
	TEXT(terminal_result_attribute, "", "attributes that count alone, in entries that have them"),
	TEXT(leaf_result_attribute, "", "attributes that count in entries that do not refer to others"),
	TEXT(scope, "sub", "sub, one or base"),
	TEXT(bind, "yes", "yes or simple, no or none, sasl"),
	TEXT(bind_dn, "", "the name to bind with"),
	{ "bind_pw", OST_PARAM_AT(struct directory_config, bind_pw, OST_PARAM_STRING),
	  .flags = OST_PARAM_SECRET, .defval = "", .help = "the password to bind with" },
	TEXT(sasl_mechs, "", "SASL mechanisms to try"),
	TEXT(sasl_realm, "", "the SASL realm"),
	TEXT(sasl_authz_id, "", "who to act as after a SASL bind"),
	NUMBER(sasl_minssf, "0", 0, 1000, "the least strength that a SASL bind must have"),
	NUMBER(recursion_limit, "1000", 1, 1000000, "how deep entries may refer to entries"),
	NUMBER(expansion_limit, "0", 0, INT_MAX, "most values of an answer; 0: any number"),
	NUMBER(size_limit, "-1", -1, INT_MAX,
	       "most entries of one search; 0: any number; -1: as expansion_limit"),
	NUMBER(dereference, "0", 0, 3,
	       "when the server follows aliases: 0 never, 1 searching, 2 finding the base, 3 always"),
	SWITCH(chase_referrals, "no", "follow references to other servers"),
	NUMBER(version, "3", 2, 3, "the version of the protocol"),
	NUMBER(debuglevel, "0", INT_MIN, INT_MAX, "what the LDAP library logs"),
	SWITCH(start_tls, "no", "encrypt connections to ldap:// servers"),
	TEXT(tls_ca_cert_dir, "", "a folder of certificates of authorities"),
	TEXT(tls_ca_cert_file, "", "a file of certificates of authorities"),
	TEXT(tls_cert, "", "our own certificate"),
	TEXT(tls_key, "", "its private key"),
	SWITCH(tls_require_cert, "no", "the server's certificate must be good"),
	TEXT(tls_random_file, "", "a source of randomness"),
	TEXT(tls_cipher_suite, "", "the ciphers, as the TLS library names them"),
	NUMBER(connections, "4", 1, 100, "most connections of a process at the same time"),
	TEXT(cache, NULL, "no longer supported"),
	TEXT(cache_expiry, NULL, "no longer supported"),
	TEXT(cache_size, NULL, "no longer supported"),
	{ .name = NULL },
};

/* Finds a word's meaning; -1: it has none. */
struct word {
	const char *word;
	int meaning;
};
static int meaning_of(const struct word *words, const char *word)
{
	while (words->word && strcasecmp(words->word, word) != 0)
		words++;
	return words->word ? words->meaning : -1;
}

static const struct word binds[] = {
	{ "yes", BIND_SIMPLE }, { "simple", BIND_SIMPLE }, { "no", BIND_NONE },
	{ "none", BIND_NONE },  { "sasl", BIND_SASL },     { NULL, 0 },
};
static const struct word scopes[] = {
	{ "sub", LDAP_SCOPE_SUBTREE },
	{ "one", LDAP_SCOPE_ONELEVEL },
	{ "base", LDAP_SCOPE_BASE },
	{ NULL, 0 },
};

static bool ldap_config_check(const void *config, struct ost_why *why)
{
	const struct directory_config *c = config;
	if (!*c->search_base)
		return host->why(why, "parameter search_base is required and empty");
	if (meaning_of(binds, c->bind) < 0)
		return host->why(why, "parameter bind: must be no, none, yes, simple or sasl, not \"%s\"",
				 c->bind);
	if (meaning_of(scopes, c->scope) < 0)
		return host->why(why, "parameter scope: must be sub, one or base, not \"%s\"", c->scope);
	if (c->version < 3 && (c->start_tls || meaning_of(binds, c->bind) == BIND_SASL))
		return host->why(why, "parameter version: start_tls and bind = sasl need version 3");
	if (!*c->tls_cert != !*c->tls_key)
		return host->why(why, "parameters tls_cert and tls_key: one needs the other");
	return true;
}

static void warn_of_obsolete(struct ost_instance *instance, const struct directory_config *c)
{
	if (c->cache || c->cache_expiry || c->cache_size)
		host->log(instance, OST_LOG_WARNING,
			  "ldap:%s: parameters cache, cache_expiry and cache_size are no longer supported "
			  "and ignored",
			  host->instance_name(instance));
}

/* ---- opening ----------------------------------------------------------------------------------------------------------- */

static bool parse_patterns(struct directory *d, struct ost_why *why)
{
	const struct directory_config *c = d->c;
	struct expansion_flaw flaw = { "" };
	d->base = expansion_parse("search_base", c->search_base, EXPANSION_OF_KEYS, &d->needs, &flaw);
	d->filter = d->base ? expansion_parse("query_filter", c->query_filter, EXPANSION_OF_KEYS, &d->needs,
					      &flaw)
			    : NULL;
	if (d->filter && c->result_format)
		d->format = expansion_parse("result_format", c->result_format, EXPANSION_OF_VALUES, &d->needs,
					    &flaw);
	else if (d->filter)
		d->format = expansion_parse("result_filter", c->result_filter, EXPANSION_OF_VALUES, &d->needs,
					    &flaw);
	if (!d->format)
		return host->why(why, "%s", flaw.text);
	if (!expansion_varies(d->filter) && !expansion_varies(d->base))
		host->log(d->instance, OST_LOG_WARNING, "ldap:%s: Fixed query_filter %s is probably useless",
			  host->instance_name(d->instance), c->query_filter);
	return true;
}

/* Servers that are not asked by plain LDAP over TCP have the third version. */
static void choose_version(struct directory *d)
{
	d->version = (int)d->c->version;
	for (size_t i = 0; i < d->servers.count && d->version < 3; i++) {
		const char *url = d->servers.urls[i];
		int scheme = (int)strcspn(url, ":");
		if (strncasecmp(url, "ldap:", 5) == 0)
			continue;
		host->log(d->instance, OST_LOG_WARNING, "ldap:%s: URL scheme %.*s requires protocol version 3",
			  host->instance_name(d->instance), scheme, url);
		d->version = 3;
	}
}

static bool parse_lists(struct directory *d, struct ost_why *why)
{
	const struct directory_config *c = d->c;
	const char *const lists[] = {
		[ATTRIBUTE_TERMINAL] = c->terminal_result_attribute,
		[ATTRIBUTE_LEAF] = c->leaf_result_attribute,
		[ATTRIBUTE_PLAIN] = c->result_attribute,
		[ATTRIBUTE_SPECIAL] = c->special_result_attribute,
	};
	struct expansion_flaw flaw = { "" };
	if (!directory_attributes_parse(&d->attributes, lists))
		return host->why(why, "out of memory");
	if (!directory_servers_parse(&d->servers, c->server_host, c->server_port, &flaw))
		return host->why(why, "%s", flaw.text);
	choose_version(d);
	return domain_list_open(host, d->instance, c->domain, &d->domains, why);
}

static bool make_pool(struct directory *d, struct ost_why *why)
{
	struct ost_pool_server *list = calloc(d->servers.count, sizeof *list);
	if (!list)
		return host->why(why, "out of memory");
	for (size_t i = 0; i < d->servers.count; i++)
		list[i] = (struct ost_pool_server){ .name = d->servers.urls[i], .priority = (unsigned)i };
	const struct ost_pool_config config = {
		.size = sizeof config,
		.max = (uint32_t)d->c->connections,
		.servers = list,
		.count = d->servers.count,
		.connect_time = d->c->timeout,
		.ctx = d,
		.connect = directory_connection_open,
		.disconnect = directory_connection_close,
	};
	d->pool = host->pool_new(d->instance, &config, why);
	free(list);
	return d->pool;
}

static void ldap_close(void *self)
{
	struct directory *d = self;
	host->pool_free(d->pool);
	directory_connection_unprepare(d);
	domain_list_close(d->domains);
	expansion_free(d->base);
	expansion_free(d->filter);
	expansion_free(d->format);
	directory_attributes_free(&d->attributes);
	directory_servers_free(&d->servers);
	free(d);
}

static bool ldap_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	const struct directory_config *c = config;
	struct directory *d = calloc(1, sizeof *d);
	if (!d)
		return host->why(why, "out of memory");
	*d = (struct directory){ .host = host, .instance = instance, .c = c };
	d->bind = (enum bind_how)meaning_of(binds, c->bind);
	d->scope = meaning_of(scopes, c->scope);
	d->size_limit = c->size_limit < 0 ? c->expansion_limit : c->size_limit;
	warn_of_obsolete(instance, c);
	directory_connection_debug(host, c->debuglevel);
	*self = d;
	if (parse_patterns(d, why) && parse_lists(d, why) && directory_connection_prepare(d, why) &&
	    make_pool(d, why))
		return true;
	ldap_close(d);
	return false;
}

/* ---- lookups ----------------------------------------------------------------------------------------------------------- */

/* False: the connection was dead already, nothing was learnt. */
static bool ask(struct lookup_state *s, const char *base, const char *filter, bool fresh)
{
	struct entries found = { 0 };
	int result = directory_search_entries(s, base, s->d->scope, filter, s->d->attributes.names, &found);
	if (result == LDAP_SUCCESS)
		directory_values_collect(s, &found);
	else if (result == LDAP_SERVER_DOWN && !fresh)
		return directory_search_free(&found), false;
	else if (result != LDAP_NO_SUCH_OBJECT ||
		 !expansion_varies(s->d->base)) /* a base of the key's own may be missing */
		directory_search_failed(s, result, base);
	directory_search_free(&found);
	return true;
}

/* Asks over a connection of the pool, once more when the first one turns out to be dead. */
static void ask_pool(struct lookup_state *s, const char *base, const char *filter)
{
	struct ost_pool *pool = s->d->pool;
	bool fresh = false, learnt = false;
	for (int tries = 0; tries < 2 && !learnt; tries++) {
		s->link = host->pool_take(pool, s->deadline, &fresh, &s->why);
		if (!s->link) {
			s->failed = true;
			return;
		}
		learnt = ask(s, base, filter, fresh || tries > 0);
		enum ost_pool_state state = !learnt            ? OST_POOL_STALE
					    : s->silent_server ? OST_POOL_FAILED
							       : OST_POOL_GOOD;
		host->pool_give(pool, s->link, state, state == OST_POOL_FAILED ? &s->why : NULL);
	}
}

static enum ost_found tell(struct lookup_state *s, struct ost_answer *answer)
{
	if (s->failed) {
		host->answer_why(answer, "%s", s->why.text);
		return OST_TEMPFAIL;
	}
	if (s->result.text.len == 0)
		return OST_NOTFOUND;
	host->answer(answer, s->result.text.text, s->result.text.len);
	return OST_FOUND;
}

static enum ost_found ldap_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	struct directory *d = self;
	struct expansion_key key;
	if (!expansion_split(&d->needs, query->key, query->klen, &key) ||
	    !utf8_well_formed(query->key, query->klen))
		return OST_NOTFOUND;
	enum ost_found found = domain_list_has(host, d->domains, &key, query->deadline, answer);
	if (found != OST_FOUND)
		return found;
	struct text_buf base = { 0 }, filter = { 0 };
	struct lookup_state s = { .d = d, .key = &key, .deadline = query->deadline };
	s.result.limit = d->c->expansion_limit;
	expansion_of_key(d->base, &key, directory_quote_for_dn, NULL, &base);
	expansion_of_key(d->filter, &key, directory_quote_for_filter, NULL, &filter);
	if (base.spoilt || filter.spoilt) {
		s.failed = true;
		host->why(&s.why, "the query is too long");
	} else {
		ask_pool(&s, text_buf_text(&base), text_buf_text(&filter));
	}
	found = tell(&s, answer);
	text_buf_free(&base);
	text_buf_free(&filter);
	text_buf_free(&s.result.text);
	return found;
}

static const struct ost_table_ops ldap_ops = {
	.ops = {
		.size = sizeof ldap_ops,
		.flags = OST_TABLE_CF_FILE,
		.params = params,
		.config_size = sizeof(struct directory_config),
		.config_check = ldap_config_check,
		.open = ldap_open,
		.close = ldap_close,
	},
	.lookup = ldap_lookup,
};

static const struct ost_provide ldap_provides[] = {
	{ OST_KIND_TABLE, "ldap", &ldap_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(ldap, .version = "1.0", .summary = "entries of an LDAP directory", .license = "Apache-2.0",
	   .provides = ldap_provides, .load = ldap_load);
