/* SPDX-License-Identifier: Apache-2.0
 * Connections to memcached servers, and commands over them in memcached's text protocol (its protocol.txt).
 * No library: what is there answers "not found" when a server does not answer at all. */
#include "tables/memcache/servers.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/stream.h"

/* ---- talking ------------------------------------------------------------------------------------------------------------ */

struct talk { /* one command over one connection */
	struct asking *q;
	struct stream *s;
	int64_t deadline;
	enum stream_state state; /* not STREAM_OK: the connection is of no use any more */
	bool out_of_step;        /* nor is it when this is set */
	bool lost_at_once;       /* it broke before anything was answered */
};

static const char *const state_texts[] = {
	[STREAM_OK] = "no error",
	[STREAM_LOST] = "lost connection",
	[STREAM_TIMEOUT] = "no answer in time",
	[STREAM_LONG] = "an answer's line is longer than line_size_limit",
};

static enum ost_found broken(struct talk *t, const char *why)
{
	t->out_of_step = true;
	t->q->m->host->why(&t->q->why, "%.200s", why);
	return OST_TEMPFAIL;
}

static bool read_line(struct talk *t, char **line)
{
	size_t len;
	t->state = stream_line(t->s, line, &len, t->deadline);
	if (t->state == STREAM_OK && len > (size_t)t->q->m->c->line_size_limit)
		t->state = STREAM_LONG;
	if (t->state != STREAM_OK)
		broken(t, state_texts[t->state]);
	return t->state == STREAM_OK;
}

static bool send_command(struct talk *t, const struct text_buf *command)
{
	if (command->spoilt) {
		broken(t, "out of memory");
		return false;
	}
	t->state = stream_write(t->s, command->text, command->len, t->deadline, false);
	if (t->state != STREAM_OK)
		broken(t, state_texts[t->state]);
	return t->state == STREAM_OK;
}

/* Sends a command and reads the first line of its answer. */
static bool ask(struct talk *t, const struct text_buf *command, char **line)
{
	bool ok = send_command(t, command) && read_line(t, line);
	t->lost_at_once = !ok && t->state == STREAM_LOST;
	return ok;
}

/* What is no answer to the command. An error of the server itself leaves the connection in step. */
static enum ost_found unexpected(struct talk *t, const char *line)
{
	enum ost_found found = broken(t, line);
	t->out_of_step = strncmp(line, "SERVER_ERROR", 12) != 0;
	return found;
}

/* ---- commands ------------------------------------------------------------------------------------------------------------ */

/* The value behind "VALUE key flags length". */
static enum ost_found read_value(struct talk *t, const char *line)
{
	struct asking *q = t->q;
	uint64_t flags, length;
	char end[2];
	size_t klen = q->name.len;
	if (strncmp(line + 6, q->name.text, klen) != 0 ||
	    sscanf(line + 6 + klen, " %" SCNu64 " %" SCNu64, &flags, &length) != 2)
		return broken(t, "an answer to something else");
	if (length > (uint64_t)q->m->c->data_size_limit)
		return broken(t, "a value of more than data_size_limit bytes");
	q->value = malloc(length + 1);
	if (!q->value)
		return broken(t, "out of memory");
	q->vlen = length;
	q->value[length] = '\0';
	t->state = stream_bytes(t->s, q->value, length, t->deadline);
	if (t->state == STREAM_OK)
		t->state = stream_bytes(t->s, end, sizeof end, t->deadline);
	char *last;
	if (t->state != STREAM_OK)
		return broken(t, state_texts[t->state]);
	if (!read_line(t, &last))
		return OST_TEMPFAIL;
	return memcmp(end, "\r\n", 2) == 0 && strcmp(last, "END") == 0
		       ? OST_FOUND
		       : broken(t, "a value of another length");
}

static enum ost_found get(struct talk *t, struct text_buf *command)
{
	char *line;
	text_buf_puts(command, "get ");
	text_buf_add(command, t->q->name.text, t->q->name.len);
	text_buf_puts(command, "\r\n");
	if (!ask(t, command, &line))
		return OST_TEMPFAIL;
	if (strcmp(line, "END") == 0)
		return OST_NOTFOUND;
	return strncmp(line, "VALUE ", 6) == 0 ? read_value(t, line) : unexpected(t, line);
}

static enum ost_found set(struct talk *t, struct text_buf *command)
{
	const struct asking *q = t->q;
	char numbers[80], *line;
	snprintf(numbers, sizeof numbers, " %" PRId64 " %" PRId64 " %zu\r\n", q->m->c->flags, q->m->c->ttl,
		 q->new_len);
	text_buf_puts(command, "set ");
	text_buf_add(command, q->name.text, q->name.len);
	text_buf_puts(command, numbers);
	text_buf_add(command, q->new_value, q->new_len);
	text_buf_puts(command, "\r\n");
	if (!ask(t, command, &line))
		return OST_TEMPFAIL;
	return strcmp(line, "STORED") == 0 ? OST_FOUND : unexpected(t, line);
}

static enum ost_found delete (struct talk *t, struct text_buf *command) {
	char *line; text_buf_puts(command, "delete "); text_buf_add(command, t->q->name.text, t->q->name.len);
	text_buf_puts(command, "\r\n");
	if (!ask(t, command, &line)) return OST_TEMPFAIL;
	if (strcmp(line, "NOT_FOUND") == 0) return OST_NOTFOUND;
	return strcmp(line, "DELETED") == 0 ? OST_FOUND : unexpected(t, line);
}

typedef enum ost_found command_fn(struct talk *, struct text_buf *);

/* ---- connections ---------------------------------------------------------------------------------------------------------- */

static void memcache_disconnect(void *ctx, void *connection)
{
	(void)ctx;
	stream_close(connection);
	free(connection);
}

/* It connects, and has the server say which version it is. */
static void *memcache_connect(void *ctx, size_t i, int64_t deadline, struct ost_why *why)
{
	const struct server *server = ctx;
	const struct ost_host *host = server->m->host;
	static const char command[] = "version\r\n";
	struct stream *s = malloc(sizeof *s);
	char *line = NULL;
	size_t len;
	(void)i;
	int fd = s ? endpoint_connect(host, server->endpoint, deadline, why) : -1;
	if (fd < 0) {
		free(s);
		return NULL;
	}
	stream_init(s, fd, host->now);
	enum stream_state state = stream_write(s, command, sizeof command - 1, deadline, false);
	if (state == STREAM_OK)
		state = stream_line(s, &line, &len, deadline);
	if (state == STREAM_OK && strncmp(line, "VERSION ", 8) == 0)
		return s;
	host->why(why, "version: %.150s", state == STREAM_OK ? line : state_texts[state]);
	memcache_disconnect(NULL, s);
	return NULL;
}

/* One try. *again: another one may help. */
static enum ost_found try_once(struct asking *q, struct server *server, command_fn *run, bool *again)
{
	const struct ost_host *host = q->m->host;
	struct text_buf command = { 0 };
	struct talk t = { .q = q, .deadline = host->now() + q->m->c->timeout };
	bool fresh;
	*again = false;
	t.s = host->pool_take(server->pool, q->deadline, &fresh, &q->why);
	if (!t.s)
		return OST_TEMPFAIL;
	if (t.deadline > q->deadline)
		t.deadline = q->deadline;
	enum ost_found found = run(&t, &command);
	bool stale = (t.lost_at_once && !fresh) || (t.out_of_step && t.state == STREAM_OK);
	enum ost_pool_state state = !t.out_of_step ? OST_POOL_GOOD : stale ? OST_POOL_STALE : OST_POOL_FAILED;
	*again = t.state == STREAM_LOST || t.state == STREAM_TIMEOUT;
	host->pool_give(server->pool, t.s, state, state == OST_POOL_FAILED ? &q->why : NULL);
	text_buf_free(&command);
	if (found != OST_FOUND) {
		free(q->value);
		q->value = NULL;
	}
	return found;
}

/* ---- which server --------------------------------------------------------------------------------------------------------- */

/* FNV-1a, and a finish that spreads its bits. */
static uint64_t hash(uint64_t h, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
	h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return h ^ h >> 32;
}

/* Of all servers the one whose name gives the highest number together with the key: where one goes or comes,
 * only its own keys move. */
static struct server *find_server(const struct memcache *m, const struct text_buf *name)
{
	size_t best = 0;
	uint64_t highest = 0;
	for (size_t i = 0; i < m->endpoints.count; i++) {
		const char *server = m->endpoints.list[i].name;
		uint64_t h = hash(hash(UINT64_C(0xcbf29ce484222325), server, strlen(server)), name->text,
				  name->len);
		if (h >= highest) {
			highest = h;
			best = i;
		}
	}
	return &m->servers[best];
}

static void pause_until(const struct ost_host *host, int64_t when)
{
	int64_t left = when - host->now();
	if (left > 0)
		poll(NULL, 0, (int)((left + 999) / 1000));
}

static enum ost_found run(struct asking *q, command_fn *command)
{
	const struct ost_host *host = q->m->host;
	int64_t pause = q->m->c->retry_pause;
	struct server *server = find_server(q->m, &q->name);
	bool again = false;
	enum ost_found found = try_once(q, server, command, &again);
	for (int64_t tries = 1; again && tries < q->m->c->max_try && host->now() + pause < q->deadline;
	     tries++) {
		pause_until(host, host->now() + pause);
		found = try_once(q, server, command, &again);
	}
	return found;
}

enum ost_found memcache_get(struct asking *q)
{
	return run(q, get);
}

enum ost_found memcache_set(struct asking *q)
{
	return run(q, set);
}

enum ost_found memcache_delete(struct asking *q)
{
	return run(q, delete);
}

/* ---- opening -------------------------------------------------------------------------------------------------------------- */

bool memcache_servers_open(struct memcache *m, struct ost_why *why)
{
	m->servers = calloc(m->endpoints.count, sizeof *m->servers);
	if (!m->servers)
		return m->host->why(why, "out of memory");
	for (size_t i = 0; i < m->endpoints.count; i++) {
		struct server *s = &m->servers[i];
		*s = (struct server){ .m = m, .endpoint = &m->endpoints.list[i] };
		const struct ost_pool_server server = { .name = s->endpoint->name };
		const struct ost_pool_config config = {
			.size = sizeof config,
			.max = (uint32_t)m->c->connections,
			.servers = &server,
			.count = 1,
			.connect_time = m->c->timeout,
			.ctx = s,
			.connect = memcache_connect,
			.disconnect = memcache_disconnect,
		};
		s->pool = m->host->pool_new(m->instance, &config, why);
		if (!s->pool)
			return false;
	}
	return true;
}

void memcache_servers_close(struct memcache *m)
{
	for (size_t i = 0; m->servers && i < m->endpoints.count; i++)
		m->host->pool_free(m->servers[i].pool);
	free(m->servers);
}
