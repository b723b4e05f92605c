/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `tcp`: a server that answers one line for one line (tcp_table(5)). */
#include <stdlib.h>
#include <string.h>

#include "shared/dialogue.h"
#include "tables/tcp/tcp_reply.h"

enum { CONNECTIONS = 10 };
_Static_assert((int)STREAM_BUFFER >= (int)TCP_LINE_MAX, "a reply fits into the buffer");

static const struct ost_host *host;

struct tcp {
	struct dialogue *dialogue;
	char *server; /* "host" and "port" in one piece, the colon a NUL */
};

static bool tcp_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

/* ---- one reply ----------------------------------------------------------------------------------------------------- */

struct tcp_question {
	struct ost_answer *answer;
	enum tcp_reply outcome;
};

static enum stream_state read_reply(void *ctx, struct stream *s, int64_t deadline, bool *any,
				    struct ost_why *why)
{
	struct tcp_question *question = ctx;
	char *line, shown[128];
	const char *value = "";
	size_t len, vlen = 0;
	enum stream_state state = stream_line(s, &line, &len, deadline);
	*any = state == STREAM_OK || stream_unread(s);
	if (state == STREAM_LOST)
		host->why(why, "unexpected EOF");
	if (state == STREAM_LONG)
		host->why(why, "text longer than %d", TCP_LINE_MAX);
	if (state != STREAM_OK)
		return state;
	size_t show = len < sizeof shown - 1 ? len : sizeof shown - 1;
	memcpy(shown, line, show);
	shown[show] = '\0';
	question->outcome = s->nul ? TCP_MALFORMED : tcp_parse_reply(line, len, &value, &vlen);
	switch (question->outcome) {
	case TCP_FOUND:
		host->answer(question->answer, value, vlen);
		return STREAM_OK;
	case TCP_TRY_AGAIN:
		host->answer_why(question->answer, "%s", shown);
		return STREAM_OK;
	case TCP_NOT_FOUND:
		return STREAM_OK;
	case TCP_BAD_CODE:
		host->why(why, "bad status code: %.100s", shown);
		return STREAM_LONG;
	case TCP_MALFORMED:
		break;
	}
	host->why(why, "malformed reply: %.100s", shown);
	return STREAM_LONG;
}

/* ---- the table ----------------------------------------------------------------------------------------------------- */

/* "host:port", "[address]:port"; splits the text at its last colon. */
static bool split_server(char *text, const char **name, const char **port, struct ost_why *why)
{
	char *colon = strrchr(text, ':');
	if (!colon || colon == text || !colon[1] || text[0] == '/')
		return host->why(why, "tcp:%s: expecting \"host:port\"", text);
	*colon = '\0';
	*name = text;
	*port = colon + 1;
	return true;
}

static void tcp_close(void *self)
{
	struct tcp *t = self;
	dialogue_close(t->dialogue);
	free(t->server);
	free(t);
}

static bool tcp_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	const char *name = host->instance_name(instance);
	struct tcp *t = calloc(1, sizeof *t);
	struct dialogue_config to = { .name = name, .connections = CONNECTIONS, .read = read_reply };
	if (!t || !(t->server = strdup(name))) {
		free(t);
		return host->why(why, "out of memory");
	}
	if (split_server(t->server, &to.host, &to.port, why))
		t->dialogue = dialogue_open(host, instance, &to, why);
	if (!t->dialogue) {
		tcp_close(t);
		return false;
	}
	*self = t;
	return true;
}

static enum ost_found tcp_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	static const enum ost_found results[] = {
		[TCP_FOUND] = OST_FOUND,
		[TCP_TRY_AGAIN] = OST_TEMPFAIL,
		[TCP_NOT_FOUND] = OST_NOTFOUND,
	};
	struct tcp *t = self;
	struct tcp_question question = { .answer = answer, .outcome = TCP_NOT_FOUND };
	struct ost_why why = { "" };
	char request[TCP_LINE_MAX];
	size_t n = tcp_request(request, query->key, query->klen);
	if (n == 0)
		return OST_NOTFOUND; /* no server can have a key that the protocol cannot carry */
	if (!dialogue_ask(t->dialogue, request, n, &question, query->deadline, &why)) {
		host->answer_why(answer, "%s", why.text);
		return OST_TEMPFAIL;
	}
	return results[question.outcome];
}

static const struct ost_table_ops tcp_ops = {
	.ops = {
		.size = sizeof tcp_ops,
		.flags = OST_TABLE_WHOLE_KEYS | OST_TABLE_UNSAFE,
		.open = tcp_open,
		.close = tcp_close,
	},
	.lookup = tcp_lookup,
};

static const struct ost_provide tcp_provides[] = {
	{ OST_KIND_TABLE, "tcp", &tcp_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(tcp, .version = "1.0", .summary = "a server that answers line by line", .license = "Apache-2.0",
	   .provides = tcp_provides, .load = tcp_load);
