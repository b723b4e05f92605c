/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `redis`: GET or HGET of a Redis server (or one that speaks its protocol). The key is an
 * argument of its own, never a part of a command. */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "ostler/host.h"
#include "shared/domain_list.h"
#include "shared/endpoints.h"
#include "shared/expansion.h"

static const struct ost_host *host;

static bool redis_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

struct redis_config {
	const char *hosts, *user, *password, *command, *key_format, *field_format, *result_format, *domain;
	int64_t dbname, timeout, connections, data_size_limit;
	bool tls;
};

struct redis {
	struct ost_instance *instance;
	const struct redis_config *c;
	bool hashes; /* HGET */
	struct endpoints servers;
	struct ost_pool *pool;
	struct expansion_needs needs;
	struct expansion *key, *field, *format;
	struct domain_list *domains;
};

/* ---- parameters -------------------------------------------------------------------------------------------------------- */

#define AT(member, kind) OST_PARAM_AT(struct redis_config, member, OST_PARAM_##kind)

static const struct ost_param params[] = {
	{ "hosts", AT(hosts, STRING), .defval = "inet:localhost:6379",
	  .help = "servers, tried in this order: inet:host:port, unix:/path" },
	{ "user", AT(user, STRING), .defval = "", .help = "the user to log in as (empty: the default one)" },
	{ "password", AT(password, STRING), .flags = OST_PARAM_SECRET, .defval = "",
	  .help = "the password (empty: no log-in)" },
	{ "dbname", AT(dbname, INT), .defval = "0", .min = 0, .max = INT_MAX,
	  .help = "the number of the database" },
	{ "command", AT(command, STRING), .defval = "GET",
	  .help = "GET: values by key; HGET: fields of a hash" },
	{ "key_format", AT(key_format, STRING), .defval = "%s",
	  .help = "the server's key; may have %s, %u, %d …" },
	{ "field_format", AT(field_format, STRING), .defval = "%s",
	  .help = "the field, with HGET; may have %s, %u, %d …" },
	{ "result_format", AT(result_format, STRING), .defval = "%s",
	  .help = "what is made of the value that was found (%s)" },
	{ "domain", AT(domain, STRING), .defval = "",
	  .help = "of which domains keys are looked up (empty: all keys)" },
	{ "data_size_limit", AT(data_size_limit, SIZE), .defval = "102400", .min = 1, .max = INT64_C(1) << 24,
	  .help = "most bytes of a value" },
	{ "timeout", AT(timeout, TIME), .defval = "5s", .min = 1, .max = 3600,
	  .help = "how long a connection, or one command, may take" },
	{ "connections", AT(connections, INT), .defval = "4", .min = 1, .max = 100,
	  .help = "most connections of a process at the same time" },
	{ "tls", AT(tls, BOOL), .defval = "no", .help = "encrypted connections: not supported, must be no" },
	{ .name = NULL },
};

static bool redis_config_check(const void *config, struct ost_why *why)
{
	const struct redis_config *c = config;
	if (strcasecmp(c->command, "GET") != 0 && strcasecmp(c->command, "HGET") != 0)
		return host->why(why, "parameter command: must be GET or HGET, not \"%s\"", c->command);
	if (c->tls)
		return host->why(why, "parameter tls: encrypted connections to Redis are not supported");
	if (*c->user && !*c->password)
		return host->why(why, "parameter user: needs a password");
	return true;
}

/* ---- connections: no call waits, but poll() with a deadline -------------------------------------------------------------- */

enum talk { TALK_OK, TALK_LOST, TALK_LATE, TALK_LONG, TALK_MEMORY };

static const char *const talk_texts[] = {
	[TALK_OK] = "no error",
	[TALK_LOST] = "lost connection",
	[TALK_LATE] = "no answer in time",
	[TALK_LONG] = "answer is longer than data_size_limit",
	[TALK_MEMORY] = "out of memory",
};

static enum talk await(redisContext *c, short events, int64_t deadline)
{
	struct pollfd p = { .fd = c->fd, .events = events };
	int64_t left = deadline - host->now();
	if (left <= 0)
		return TALK_LATE;
	int milliseconds = (int)((left + 999) / 1000 < INT_MAX ? (left + 999) / 1000 : INT_MAX);
	return poll(&p, 1, milliseconds) == 0 ? TALK_LATE : TALK_OK;
}

/* In place of the library's own: a server that has gone is an error, and no signal. */
static enum talk send_all(redisContext *c, const char *text, size_t len, int64_t deadline)
{
	while (len > 0) {
		ssize_t n = send(c->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return TALK_LOST;
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
		enum talk t = len > 0 ? await(c, POLLOUT, deadline) : TALK_OK;
		if (t != TALK_OK)
			return t;
	}
	return TALK_OK;
}

static enum talk receive(redisContext *c, size_t most, int64_t deadline, redisReply **reply)
{
	enum { AROUND = 65536 }; /* beside the value itself; what a read may bring more */
	void *got = NULL;
	for (;;) {
		if (redisGetReplyFromReader(c, &got) != REDIS_OK)
			return TALK_LOST;
		*reply = got;
		if (got)
			return TALK_OK;
		if (c->reader->len > most + AROUND)
			return TALK_LONG;
		enum talk t = await(c, POLLIN, deadline);
		if (t == TALK_OK && redisBufferRead(c) != REDIS_OK)
			t = TALK_LOST;
		if (t != TALK_OK)
			return t;
	}
}

struct command {
	int argc;
	const char *argv[3];
	size_t lens[3];
};

static struct command command(const char *name, const char *first, const char *second)
{
	struct command cmd = { .argv = { name, first, second } };
	while (cmd.argc < 3 && cmd.argv[cmd.argc]) {
		cmd.lens[cmd.argc] = strlen(cmd.argv[cmd.argc]);
		cmd.argc++;
	}
	return cmd;
}

static enum talk talk(redisContext *c, struct command cmd, size_t most, int64_t deadline, redisReply **reply)
{
	*reply = NULL;
	char *text = NULL;
	int len = redisFormatCommandArgv(&text, cmd.argc, cmd.argv, cmd.lens);
	if (len < 0)
		return TALK_MEMORY;
	enum talk t = send_all(c, text, (size_t)len, deadline);
	redisFreeCommand(text);
	return t == TALK_OK ? receive(c, most, deadline, reply) : t;
}

/* A command of the set-up: its answer has no value. */
static bool say(redisContext *c, struct command cmd, int64_t deadline, struct ost_why *why)
{
	redisReply *reply;
	enum talk t = talk(c, cmd, 0, deadline, &reply);
	bool ok = t == TALK_OK && reply->type != REDIS_REPLY_ERROR;
	if (t != TALK_OK)
		host->why(why, "%s: %s", cmd.argv[0], talk_texts[t]);
	else if (!ok)
		host->why(why, "%s: %.150s", cmd.argv[0], reply->str);
	if (reply)
		freeReplyObject(reply);
	return ok;
}

static bool set_up(const struct redis *r, redisContext *c, int64_t deadline, struct ost_why *why)
{
	char number[24];
	int error = 0;
	socklen_t len = sizeof error;
	snprintf(number, sizeof number, "%lld", (long long)r->c->dbname);
	enum talk t = await(c, POLLOUT, deadline);
	if (t != TALK_OK)
		return host->why(why, "connect: %s", talk_texts[t]);
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error)
		return host->why(why, "connect: %s", strerror(error));
	if (*r->c->user && !say(c, command("AUTH", r->c->user, r->c->password), deadline, why))
		return false;
	if (!*r->c->user && *r->c->password && !say(c, command("AUTH", r->c->password, NULL), deadline, why))
		return false;
	return say(c, command("SELECT", number, NULL), deadline, why);
}

static void *redis_connect(void *ctx, size_t server, int64_t deadline, struct ost_why *why)
{
	const struct redis *r = ctx;
	const struct endpoint *e = &r->servers.list[server];
	redisContext *c =
		e->path ? redisConnectUnixNonBlock(e->path) : redisConnectNonBlock(e->host, e->port);
	if (c && !c->err && set_up(r, c, deadline, why))
		return c;
	if (!c)
		host->why(why, "out of memory");
	else if (c->err)
		host->why(why, "connect: %s", c->errstr);
	if (c)
		redisFree(c);
	return NULL;
}

static void redis_disconnect(void *ctx, void *connection)
{
	(void)ctx;
	redisFree(connection);
}

/* ---- opening ----------------------------------------------------------------------------------------------------------- */

static bool parse(struct redis *r, struct ost_why *why)
{
	const struct redis_config *c = r->c;
	struct expansion_flaw flaw = { "" };
	r->key = expansion_parse("key_format", c->key_format, EXPANSION_OF_KEYS, &r->needs, &flaw);
	r->field = r->key ? expansion_parse("field_format", r->hashes ? c->field_format : "",
					    EXPANSION_OF_KEYS, &r->needs, &flaw)
			  : NULL;
	r->format = r->field ? expansion_parse("result_format", c->result_format, EXPANSION_OF_VALUES,
					       &r->needs, &flaw)
			     : NULL;
	if (!r->format || !endpoints_parse(&r->servers, "hosts", c->hosts, 6379, flaw.text, sizeof flaw.text))
		return host->why(why, "%s", flaw.text);
	if (!expansion_varies(r->key) && !expansion_varies(r->field))
		return host->why(why, "parameter %s: the key is nowhere in it",
				 r->hashes ? "field_format" : "key_format");
	return domain_list_open(host, r->instance, c->domain, &r->domains, why);
}

static bool make_pool(struct redis *r, struct ost_why *why)
{
	struct ost_pool_server *list = calloc(r->servers.count, sizeof *list);
	if (!list)
		return host->why(why, "out of memory");
	for (size_t i = 0; i < r->servers.count; i++)
		list[i] =
			(struct ost_pool_server){ .name = r->servers.list[i].name, .priority = (unsigned)i };
	const struct ost_pool_config config = {
		.size = sizeof config,
		.max = (uint32_t)r->c->connections,
		.servers = list,
		.count = r->servers.count,
		.connect_time = r->c->timeout,
		.ctx = r,
		.connect = redis_connect,
		.disconnect = redis_disconnect,
	};
	r->pool = host->pool_new(r->instance, &config, why);
	free(list);
	return r->pool;
}

static void redis_close(void *self)
{
	struct redis *r = self;
	host->pool_free(r->pool);
	domain_list_close(r->domains);
	endpoints_free(&r->servers);
	expansion_free(r->key);
	expansion_free(r->field);
	expansion_free(r->format);
	free(r);
}

static bool redis_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	struct redis *r = calloc(1, sizeof *r);
	if (!r)
		return host->why(why, "out of memory");
	*r = (struct redis){ .instance = instance, .c = config };
	r->hashes = strcasecmp(r->c->command, "HGET") == 0;
	*self = r;
	if (parse(r, why) && make_pool(r, why))
		return true;
	redis_close(r);
	return false;
}

/* ---- lookups ----------------------------------------------------------------------------------------------------------- */

struct asking { /* one lookup */
	struct redis *r;
	const struct expansion_key *key;
	struct text_buf name, field;
	struct expansion_result result;
	int64_t deadline;
	struct ost_why why;
	enum ost_found found;
};

/* Errors of a server that is there, but cannot serve now. */
static bool is_servers_fault(const char *error)
{
	static const char *const words[] = { "LOADING",     "MASTERDOWN", "NOAUTH", "BUSY",
					     "CLUSTERDOWN", "TRYAGAIN",   "OOM" };
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strncmp(error, words[i], strlen(words[i])) == 0)
			return true;
	return false;
}

static enum ost_pool_state take_value(struct asking *q, const redisReply *reply)
{
	q->found = OST_NOTFOUND;
	if (reply->type == REDIS_REPLY_NIL)
		return OST_POOL_GOOD;
	if (reply->type != REDIS_REPLY_STRING || reply->len > (size_t)q->r->c->data_size_limit) {
		bool error = reply->type == REDIS_REPLY_ERROR, text = reply->type == REDIS_REPLY_STRING;
		q->found = OST_TEMPFAIL;
		host->why(&q->why, "%.150s",
			  error  ? reply->str
			  : text ? talk_texts[TALK_LONG]
				 : "an answer of an unexpected kind");
		return error && is_servers_fault(reply->str) ? OST_POOL_FAILED : OST_POOL_GOOD;
	}
	if (reply->len == 0)
		host->log(q->r->instance, OST_LOG_WARNING,
			  "table \"redis:%s\": empty lookup result for: \"%.200s\" -- ignored",
			  host->instance_name(q->r->instance), q->key->whole.text);
	expansion_add(q->r->format, q->key, reply->str, reply->len, &q->result);
	q->found = q->result.text.len > 0 ? OST_FOUND : OST_NOTFOUND;
	return OST_POOL_GOOD;
}

static enum ost_pool_state ask(struct asking *q, redisContext *c, bool fresh)
{
	const struct redis *r = q->r;
	struct command cmd = { .argc = r->hashes ? 3 : 2,
			       .argv = { r->hashes ? "HGET" : "GET", text_buf_text(&q->name),
					 text_buf_text(&q->field) },
			       .lens = { r->hashes ? 4 : 3, q->name.len, q->field.len } };
	int64_t deadline = host->now() + r->c->timeout;
	redisReply *reply;
	enum talk t = talk(c, cmd, (size_t)r->c->data_size_limit,
			   deadline < q->deadline ? deadline : q->deadline, &reply);
	if (t == TALK_OK) {
		enum ost_pool_state state = take_value(q, reply);
		freeReplyObject(reply);
		return state;
	}
	host->why(&q->why, "%s: %s", cmd.argv[0], talk_texts[t]);
	q->found = OST_TEMPFAIL;
	return t == TALK_LOST && !fresh ? OST_POOL_STALE : t == TALK_LONG ? OST_POOL_STALE : OST_POOL_FAILED;
}

/* Asks over a connection of the pool, once more when the first one turns out to be dead. */
static void ask_pool(struct asking *q)
{
	enum ost_pool_state state = OST_POOL_STALE;
	for (int tries = 0; tries < 2 && state == OST_POOL_STALE; tries++) {
		bool fresh = false;
		redisContext *c = host->pool_take(q->r->pool, q->deadline, &fresh, &q->why);
		q->found = OST_TEMPFAIL;
		if (!c)
			return;
		state = ask(q, c, fresh || tries > 0);
		host->pool_give(q->r->pool, c, state, state == OST_POOL_FAILED ? &q->why : NULL);
	}
}

static enum ost_found redis_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	struct redis *r = self;
	struct expansion_key key;
	if (!expansion_split(&r->needs, query->key, query->klen, &key))
		return OST_NOTFOUND;
	enum ost_found found = domain_list_has(host, r->domains, &key, query->deadline, answer);
	if (found != OST_FOUND)
		return found;
	struct asking q = { .r = r, .key = &key, .deadline = query->deadline, .found = OST_TEMPFAIL };
	expansion_of_key(r->key, &key, NULL, NULL, &q.name);
	expansion_of_key(r->field, &key, NULL, NULL, &q.field);
	if (q.name.spoilt || q.field.spoilt)
		host->why(&q.why, "the query is too long");
	else
		ask_pool(&q);
	if (q.found == OST_FOUND && q.result.text.spoilt) {
		host->why(&q.why, "the answer is too long");
		q.found = OST_TEMPFAIL;
	}
	if (q.found == OST_FOUND)
		host->answer(answer, text_buf_text(&q.result.text), q.result.text.len);
	else if (q.found != OST_NOTFOUND)
		host->answer_why(answer, "%s", q.why.text);
	text_buf_free(&q.name);
	text_buf_free(&q.field);
	text_buf_free(&q.result.text);
	return q.found;
}

static const struct ost_table_ops redis_ops = {
	.ops = {
		.size = sizeof redis_ops,
		.flags = OST_TABLE_CF_FILE,
		.params = params,
		.config_size = sizeof(struct redis_config),
		.config_check = redis_config_check,
		.open = redis_open,
		.close = redis_close,
	},
	.lookup = redis_lookup,
};

static const struct ost_provide redis_provides[] = {
	{ OST_KIND_TABLE, "redis", &redis_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(redis, .version = "1.0", .summary = "keys and hashes of a Redis server", .license = "Apache-2.0",
	   .provides = redis_provides, .load = redis_load);
