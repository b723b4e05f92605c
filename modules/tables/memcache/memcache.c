/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `memcache`: values of memcached servers, and behind them a table that knows better, whose
 * answers are put there. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tables/memcache/servers.h"

enum { LONGEST_KEY = 250 }; /* the protocol's */

static const struct ost_host *host;

static bool memcache_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

/* ---- parameters -------------------------------------------------------------------------------------------------------- */

#define AT(member, kind) OST_PARAM_AT(struct memcache_config, member, OST_PARAM_##kind)

static const struct ost_param params[] = {
	{ "memcache", AT(memcache, STRING), .defval = "inet:localhost:11211",
	  .help = "the server: inet:host:port, unix:/path; of several each has its share of the keys" },
	{ "backup", AT(backup, STRING), .defval = "",
	  .help = "a table (type:name) that is asked when the server does not have the key" },
	{ "flags", AT(flags, INT), .defval = "0", .min = 0, .max = UINT32_MAX,
	  .help = "stored with each value" },
	{ "ttl", AT(ttl, INT), .defval = "3600", .min = 0, .max = INT_MAX,
	  .help = "seconds after which the server forgets a value" },
	{ "key_format", AT(key_format, STRING), .defval = "%s",
	  .help = "the server's key; may have %s, %u, %d …" },
	{ "domain", AT(domain, STRING), .defval = "",
	  .help = "of which domains keys are looked up (empty: all keys)" },
	{ "data_size_limit", AT(data_size_limit, INT), .defval = "10240", .min = 1, .max = 1 << 24,
	  .help = "most bytes of a value" },
	{ "line_size_limit", AT(line_size_limit, INT), .defval = "1024", .min = 1, .max = 1 << 24,
	  .help = "most bytes of a line of an answer" },
	{ "max_try", AT(max_try, INT), .defval = "2", .min = 1, .max = 100,
	  .help = "how often a command is tried" },
	{ "retry_pause", AT(retry_pause, TIME), .defval = "1s", .max = 3600,
	  .help = "how long to wait before the next try" },
	{ "timeout", AT(timeout, TIME), .defval = "2s", .min = 1, .max = 3600,
	  .help = "how long a connection, or one command, may take" },
	{ "connections", AT(connections, INT), .defval = "4", .min = 1, .max = 100,
	  .help = "most connections of a process to a server at the same time" },
	{ .name = NULL },
};

/* ---- keys -------------------------------------------------------------------------------------------------------------- */

/* The server's key. False: there can be none, because the table's key lacks something, or the protocol has no
 * place for it. */
static bool make_name(struct asking *q, const struct expansion_key *key)
{
	expansion_of_key(q->m->key, key, NULL, NULL, &q->name);
	if (q->name.spoilt || q->name.len == 0 || q->name.len > LONGEST_KEY)
		return false;
	for (size_t i = 0; i < q->name.len; i++)
		if ((unsigned char)q->name.text[i] <= ' ' || q->name.text[i] == 0x7f)
			return false;
	return true;
}

/* ---- lookups ------------------------------------------------------------------------------------------------------------- */

static enum ost_found tell(struct asking *q, enum ost_found found, struct ost_answer *answer)
{
	if (found == OST_FOUND)
		host->answer(answer, q->value ? q->value : "", q->vlen);
	else if (found != OST_NOTFOUND)
		host->answer_why(answer, "%s", q->why.text);
	return found;
}

/* What the backup has, goes to the server, unless it could not even be asked. */
static enum ost_found ask_backup(struct asking *q, const struct ost_query *query, bool keep,
				 struct ost_answer *answer)
{
	enum ost_found found = q->m->changed ? host->cache_ask(q->m->changed, query, answer)
					     : host->table_ask(q->m->backup, query, answer);
	if (found != OST_FOUND || !keep)
		return found;
	q->new_value = host->answer_value(answer, &q->new_len);
	q->vlen = 0;
	if (q->new_len <= (size_t)q->m->c->data_size_limit && memcache_set(q) == OST_TEMPFAIL)
		host->log(q->m->instance, OST_LOG_WARNING,
			  "memcache:%s: an answer of the backup is not kept: %s",
			  host->instance_name(q->m->instance), q->why.text);
	return found;
}

static bool has_backup(const struct memcache *m)
{
	return m->backup || m->changed;
}

static enum ost_found memcache_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	struct memcache *m = self;
	struct expansion_key key;
	if (!expansion_split(&m->needs, query->key, query->klen, &key))
		return OST_NOTFOUND;
	enum ost_found found = domain_list_has(host, m->domains, &key, query->deadline, answer);
	if (found != OST_FOUND)
		return found;
	struct asking q = { .m = m, .deadline = query->deadline };
	if (make_name(&q, &key)) {
		found = memcache_get(&q);
		if (found == OST_FOUND || !has_backup(m))
			tell(&q, found, answer);
		else
			found = ask_backup(&q, query, found == OST_NOTFOUND, answer);
	} else {
		found = has_backup(m) ? ask_backup(&q, query, false, answer) : OST_NOTFOUND;
	}
	free(q.value);
	text_buf_free(&q.name);
	return found;
}

/* ---- changes ----------------------------------------------------------------------------------------------------------- */

typedef enum ost_found command_fn(struct asking *);

/* Changes memcached's entry. OST_NOTFOUND also where a key cannot have one. */
static enum ost_found change_entry(struct memcache *m, const struct expansion_key *key, command_fn *command,
				   const char *value, size_t vlen, struct ost_why *why)
{
	struct asking q = { .m = m,
			    .new_value = value,
			    .new_len = vlen,
			    .deadline = host->now() + m->c->max_try * (m->c->timeout + m->c->retry_pause) };
	enum ost_found found = make_name(&q, key) ? command(&q) : OST_NOTFOUND;
	if (found < OST_NOTFOUND)
		host->why(why, "%s", q.why.text);
	text_buf_free(&q.name);
	return found;
}

/* May this key be changed here? False with the reason. */
static bool take_key(struct memcache *m, const char *text, size_t len, struct expansion_key *key,
		     struct ost_why *why)
{
	if (m->backup)
		return host->why(why, "the table is not opened for changes, and has a backup");
	if (!expansion_split(&m->needs, text, len, key))
		return host->why(why, "the key lacks what key_format needs");
	int64_t deadline = host->now() + m->c->timeout;
	return domain_list_has(host, m->domains, key, deadline, NULL) == OST_FOUND ||
	       host->why(why, "the key is not of a domain that `domain` names");
}

/* Where the backup has what is right, an entry that could not be changed is only told. */
static void tell_stale(struct memcache *m, enum ost_found found, const struct ost_why *why)
{
	if (found < OST_NOTFOUND)
		host->log(m->instance, OST_LOG_WARNING, "memcache:%s: changed in the backup alone: %s",
			  host->instance_name(m->instance), why->text);
}

static enum ost_found memcache_update(void *self, const char *text, size_t len, const char *value,
				      size_t vlen, struct ost_why *why)
{
	struct memcache *m = self;
	struct expansion_key key;
	struct ost_why inner = { "" };
	if (!take_key(m, text, len, &key, why))
		return OST_TEMPFAIL;
	enum ost_found kept =
		m->changed ? host->cache_update(m->changed, text, len, value, vlen, why) : OST_NOTFOUND;
	if (m->changed && kept != OST_FOUND)
		return kept;
	enum ost_found found = change_entry(m, &key, memcache_set, value, vlen, &inner);
	if (m->changed) {
		tell_stale(m, found, &inner);
		return kept;
	}
	host->why(why, "%s", found == OST_NOTFOUND ? "the key cannot be one of memcached's" : inner.text);
	return found == OST_FOUND ? OST_FOUND : OST_TEMPFAIL;
}

static enum ost_found memcache_remove(void *self, const char *text, size_t len, struct ost_why *why)
{
	struct memcache *m = self;
	struct expansion_key key;
	struct ost_why inner = { "" };
	if (!take_key(m, text, len, &key, why))
		return OST_TEMPFAIL;
	enum ost_found kept = m->changed ? host->cache_remove(m->changed, text, len, why) : OST_NOTFOUND;
	if (kept < OST_NOTFOUND)
		return kept;
	enum ost_found found = change_entry(m, &key, memcache_delete, NULL, 0, &inner);
	if (m->changed) {
		tell_stale(m, found, &inner);
		return kept;
	}
	host->why(why, "%s", inner.text);
	return found;
}

/* memcached cannot tell what it has; the backup can. */
static enum ost_found memcache_walk(void *self, struct ost_cursor **cursor, struct ost_answer *key,
				    struct ost_answer *value)
{
	const struct memcache *m = self;
	if (m->changed)
		return host->cache_walk(m->changed, cursor, key, value);
	host->answer_why(key, "cannot be listed without a backup");
	return OST_BADTABLE;
}

static void memcache_cursor_free(void *self, struct ost_cursor *cursor)
{
	const struct memcache *m = self;
	if (m->changed)
		host->cache_cursor_free(m->changed, cursor);
}

/* ---- opening ----------------------------------------------------------------------------------------------------------- */

/* A backup that cannot be opened is no reason to fail: it answers "try again". One that is to be changed must
 * be there. */
static bool open_backup(struct memcache *m, struct ost_why *why)
{
	struct ost_why inner = { "" };
	if (!*m->c->backup)
		return true;
	if (host->is_cache(m->instance)) {
		m->changed = host->cache_open(m->instance, m->c->backup, &inner);
		return m->changed || host->why(why, "parameter backup: %s", inner.text);
	}
	m->backup = host->table_open(m->instance, m->c->backup, &inner);
	if (!m->backup)
		return host->why(why, "parameter backup: %s", inner.text);
	if (inner.text[0])
		host->log(m->instance, OST_LOG_WARNING, "memcache:%s: parameter backup: %s",
			  host->instance_name(m->instance), inner.text);
	return true;
}

static bool parse(struct memcache *m, struct ost_why *why)
{
	struct expansion_flaw flaw = { "" };
	m->key = expansion_parse("key_format", m->c->key_format, EXPANSION_OF_KEYS, &m->needs, &flaw);
	if (!m->key ||
	    !endpoints_parse(&m->endpoints, "memcache", m->c->memcache, 11211, flaw.text, sizeof flaw.text))
		return host->why(why, "%s", flaw.text);
	return domain_list_open(host, m->instance, m->c->domain, &m->domains, why);
}

static void memcache_close(void *self)
{
	struct memcache *m = self;
	memcache_servers_close(m);
	host->cache_close(m->changed);
	domain_list_close(m->domains);
	endpoints_free(&m->endpoints);
	expansion_free(m->key);
	free(m);
}

static bool memcache_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	struct memcache *m = calloc(1, sizeof *m);
	if (!m)
		return host->why(why, "out of memory");
	*m = (struct memcache){ .host = host, .instance = instance, .c = config };
	*self = m;
	if (parse(m, why) && memcache_servers_open(m, why) && open_backup(m, why))
		return true;
	memcache_close(m);
	return false;
}

static const struct ost_table_ops memcache_ops = {
	.ops = {
		.size = sizeof memcache_ops,
		.flags = OST_TABLE_CF_FILE | OST_TABLE_UNSAFE,
		.params = params,
		.config_size = sizeof(struct memcache_config),
		.open = memcache_open,
		.close = memcache_close,
	},
	.lookup = memcache_lookup,
	.update = memcache_update,
	.remove = memcache_remove,
	.walk = memcache_walk,
	.cursor_free = memcache_cursor_free,
};

static const struct ost_provide memcache_provides[] = {
	{ OST_KIND_TABLE, "memcache", &memcache_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(memcache, .version = "1.0", .summary = "values of memcached servers", .license = "Apache-2.0",
	   .provides = memcache_provides, .load = memcache_load);
