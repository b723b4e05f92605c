/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `socketmap`: a server of many tables that speaks netstrings (socketmap_table(5)). */
#include <stdlib.h>
#include <string.h>

#include "shared/dialogue.h"
#include "tables/socketmap/socketmap_reply.h"

enum { CONNECTIONS = 10 };
static const int64_t second = 1000000, idle_seconds = 10, life_seconds = 100; /* Postfix's limits */

static const struct ost_host *host;

struct socketmap_config {
	int64_t max_reply;
};

struct socketmap {
	struct dialogue *dialogue;
	const struct socketmap_config *config;
	char *server; /* "inet:host:port" or "unix:/path", in pieces */
	const char *map;
};

static bool socketmap_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

/* ---- one reply ----------------------------------------------------------------------------------------------------- */

struct socketmap_question {
	const struct socketmap *map;
	struct ost_answer *answer;
	enum socketmap_reply outcome;
};

/* What the server says of its trouble. */
static void tell_trouble(struct ost_answer *answer, const char *status, const char *text)
{
	static const struct {
		const char *status, *kind;
	} kinds[] = { { "TEMP", "temporary" }, { "TIMEOUT", "timeout" }, { "PERM", "permanent" } };
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strcmp(status, kinds[i].status) == 0)
			host->answer_why(answer, "socketmap server %s error%s%.200s", kinds[i].kind,
					 *text ? ": " : "", text);
}

static enum stream_state read_reply(void *ctx, struct stream *s, int64_t deadline, bool *any,
				    struct ost_why *why)
{
	struct socketmap_question *question = ctx;
	char *text;
	const char *status, *value;
	size_t len, vlen;
	enum stream_state state =
		socketmap_read(host, s, question->map->config->max_reply, deadline, &text, &len, any, why);
	if (state != STREAM_OK)
		return state;
	question->outcome = socketmap_parse(text, len, &status, &value, &vlen);
	if (question->outcome == SOCKETMAP_FOUND)
		host->answer(question->answer, value, vlen);
	else if (question->outcome == SOCKETMAP_UNKNOWN)
		host->why(why, "unexpected reply: %.100s", status);
	else
		tell_trouble(question->answer, status, value);
	free(text);
	return question->outcome == SOCKETMAP_UNKNOWN ? STREAM_LONG : STREAM_OK;
}

/* ---- the table ----------------------------------------------------------------------------------------------------- */

/* "inet:host:port", "unix:/path": in pieces. */
static bool split_server(char *text, const char *shown, const char **name, const char **port,
			 struct ost_why *why)
{
	bool is_unix = strncmp(text, "unix:", 5) == 0;
	if (!is_unix && strncmp(text, "inet:", 5) != 0)
		return host->why(why, "socketmap:%s: the server has to be inet:host:port or unix:/path",
				 shown);
	text += 5;
	*name = text;
	*port = "";
	if (is_unix)
		return *text == '/' ||
		       host->why(why, "socketmap:%s: a socket's path starts with a slash", shown);
	char *colon = strrchr(text, ':');
	if (!colon || colon == text || !colon[1] || *text == '/')
		return host->why(why, "socketmap:%s: the server has to be inet:host:port or unix:/path",
				 shown);
	*colon = '\0';
	*port = colon + 1;
	return true;
}

static void socketmap_close(void *self)
{
	struct socketmap *m = self;
	dialogue_close(m->dialogue);
	free(m->server);
	free(m);
}

/* The table's name is what follows the last colon. */
static bool open_server(struct socketmap *m, struct ost_instance *instance, const char *name,
			struct ost_why *why)
{
	struct dialogue_config to = {
		.connections = CONNECTIONS,
		.idle_time = idle_seconds * second,
		.life_time = life_seconds * second,
		.name = name,
		.read = read_reply,
	};
	char *colon = strrchr(m->server, ':');
	if (!colon)
		return host->why(why, "socketmap requires server:socketmap argument");
	*colon = '\0';
	m->map = colon + 1;
	if (split_server(m->server, name, &to.host, &to.port, why))
		m->dialogue = dialogue_open(host, instance, &to, why);
	return m->dialogue;
}

static bool socketmap_open(struct ost_instance *instance, const void *config, void **self,
			   struct ost_why *why)
{
	const char *name = host->instance_name(instance);
	struct socketmap *m = calloc(1, sizeof *m);
	if (!m || !(m->server = strdup(name))) {
		free(m);
		return host->why(why, "out of memory");
	}
	m->config = config;
	if (!open_server(m, instance, name, why)) {
		socketmap_close(m);
		return false;
	}
	*self = m;
	return true;
}

static enum ost_found socketmap_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	static const enum ost_found results[] = {
		[SOCKETMAP_FOUND] = OST_FOUND,
		[SOCKETMAP_NOT_FOUND] = OST_NOTFOUND,
		[SOCKETMAP_TRY_AGAIN] = OST_TEMPFAIL,
		[SOCKETMAP_BROKEN] = OST_BADTABLE,
	};
	struct socketmap *m = self;
	struct socketmap_question question = { .map = m, .answer = answer, .outcome = SOCKETMAP_TRY_AGAIN };
	struct ost_why why = { "" };
	size_t n;
	char *request = socketmap_request(m->map, query->key, query->klen, &n);
	if (!request) {
		host->answer_why(answer, "out of memory");
		return OST_TEMPFAIL;
	}
	bool ok = dialogue_ask(m->dialogue, request, n, &question, query->deadline, &why);
	free(request);
	if (ok)
		return results[question.outcome];
	host->answer_why(answer, "%s", why.text);
	return OST_TEMPFAIL;
}

static const struct ost_param socketmap_params[] = {
	{ .name = "socketmap_max_reply_size",
	  OST_PARAM_AT(struct socketmap_config, max_reply, OST_PARAM_INT),
	  .defval = "100000",
	  .min = 1,
	  .max = 100000000,
	  .help = "The longest reply of a socketmap server, in bytes." },
	{ 0 },
};

static const struct ost_table_ops socketmap_ops = {
	.ops = {
		.size = sizeof socketmap_ops,
		.flags = OST_TABLE_WHOLE_KEYS | OST_TABLE_UNSAFE,
		.params = socketmap_params,
		.config_size = sizeof(struct socketmap_config),
		.open = socketmap_open,
		.close = socketmap_close,
	},
	.lookup = socketmap_lookup,
};

static const struct ost_provide socketmap_provides[] = {
	{ OST_KIND_TABLE, "socketmap", &socketmap_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(socketmap, .version = "1.0", .summary = "a server of tables that speaks netstrings",
	   .license = "Apache-2.0", .provides = socketmap_provides, .load = socketmap_load);
