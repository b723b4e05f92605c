/* SPDX-License-Identifier: Apache-2.0
 *
 * The SASL back end `dovecot`: Dovecot's authentication server, over a socket of the file system or TCP. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/dovecot/link.h"
#include "shared/stream.h"
#include "shared/text_buf.h"

enum { CONNECTIONS = 4, TRIES = 3 };

static const struct ost_host *host;

struct dovecot_config {
	const char *queue_directory;
};

struct dovecot {
	struct ost_instance *instance;
	struct ost_pool *pool;
	char *server;            /* the parts below point into it */
	const char *name, *port; /* a host and a port, or a path and "" */
	char *path, *jail_path;  /* of the socket; as a jail in queue_directory shows it, or NULL */
	pthread_mutex_t lock;    /* guards what follows */
	struct mechanisms mechanisms; /* as of the last handshake; none: there was none yet */
};

struct exchange { /* between challenge and response */
	struct link *link;
	uint32_t id;
	bool over; /* Dovecot has said its last word */
};

static bool dovecot_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

/* ---- connections ----------------------------------------------------------------------------------------------------- */

static void *connect_to(void *ctx, size_t i, int64_t deadline, struct ost_why *why)
{
	struct dovecot *d = ctx;
	struct mechanisms found;
	(void)i;
	int fd = host->connect(d->instance, d->path ? d->path : d->name, d->port, deadline, why);
	if (fd < 0 && d->jail_path) {
		struct ost_why inner;
		fd = host->connect(d->instance, d->jail_path, d->port, deadline, &inner);
	}
	if (fd < 0)
		return NULL;
	struct link *l = link_new(host, fd, &found, deadline, why);
	if (l) {
		pthread_mutex_lock(&d->lock);
		d->mechanisms = found;
		pthread_mutex_unlock(&d->lock);
	}
	return l;
}

static void disconnect(void *ctx, void *connection)
{
	(void)ctx;
	link_unref(connection);
}

/* A connection that works, as far as one can tell; the caller owns a reference. The pool has it back already: others use it, too. */
static struct link *take_link(struct dovecot *d, int64_t deadline, bool *fresh, struct ost_why *why)
{
	for (int i = 0; i <= CONNECTIONS; i++) {
		struct ost_why dead = { "" };
		bool failed;
		struct link *l = host->pool_take(d->pool, deadline, fresh, why);
		if (!l)
			return NULL;
		if (!link_dead(l, &failed, &dead)) {
			link_ref(l);
			host->pool_give(d->pool, l, OST_POOL_GOOD, NULL);
			return l;
		}
		host->pool_give(d->pool, l, failed ? OST_POOL_FAILED : OST_POOL_STALE, failed ? &dead : NULL);
	}
	host->why(why, "Connection lost to authentication server");
	return NULL;
}

/* ---- opening ----------------------------------------------------------------------------------------------------------- */

/* "inet:host:port", "unix:path", or a path, which is below queue_directory unless it starts with a slash. */
static bool split_server(struct dovecot *d, const struct dovecot_config *c, const char *shown, struct ost_why *why)
{
	char *text = d->server;
	d->port = "";
	if (strncmp(text, "inet:", 5) == 0) {
		char *colon = strrchr(text += 5, ':');
		if (!colon || colon == text || !colon[1])
			return host->why(why, "smtpd_sasl_path = %s: inet:host:port is wanted", shown);
		*colon = '\0';
		d->name = text;
		d->port = colon + 1;
		return true;
	}
	if (strncmp(text, "unix:", 5) == 0)
		text += 5;
	if (!*text)
		return host->why(why, "smtpd_sasl_path = %s: the path of a socket is wanted", shown);
	int n = *text == '/' ? asprintf(&d->path, "%s", text) : asprintf(&d->path, "%s/%s", c->queue_directory, text);
	if (n < 0) {
		d->path = NULL;
		return host->why(why, "out of memory");
	}
	if (*text != '/' && asprintf(&d->jail_path, "/%s", text) < 0) {
		d->jail_path = NULL;
		return host->why(why, "out of memory");
	}
	return true;
}

static bool open_pool(struct dovecot *d, struct ost_why *why)
{
	char shown[200];
	if (d->path)
		snprintf(shown, sizeof shown, "unix:%s", d->path);
	else
		snprintf(shown, sizeof shown, "%s:%s", d->name, d->port);
	const struct ost_pool_server server = { .name = shown };
	const struct ost_pool_config pool = {
		.size = sizeof pool,
		.max = CONNECTIONS,
		.servers = &server,
		.count = 1,
		.ctx = d,
		.connect = connect_to,
		.disconnect = disconnect,
	};
	d->pool = host->pool_new(d->instance, &pool, why);
	return d->pool != NULL;
}

static void dovecot_close(void *self)
{
	struct dovecot *d = self;
	if (d->pool)
		host->pool_free(d->pool);
	pthread_mutex_destroy(&d->lock);
	free(d->server);
	free(d->path);
	free(d->jail_path);
	free(d);
}

static bool dovecot_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	const char *name = host->instance_name(instance);
	struct dovecot *d = calloc(1, sizeof *d);
	if (!d)
		return host->why(why, "out of memory");
	d->instance = instance;
	pthread_mutex_init(&d->lock, NULL);
	d->server = strdup(name);
	bool ok = d->server ? split_server(d, config, name, why) && open_pool(d, why) : host->why(why, "out of memory");
	if (!ok) {
		dovecot_close(d);
		return false;
	}
	*self = d;
	return true;
}

/* ---- mechanisms ---------------------------------------------------------------------------------------------------------- */

static struct mechanisms known_mechanisms(struct dovecot *d)
{
	pthread_mutex_lock(&d->lock);
	struct mechanisms m = d->mechanisms;
	pthread_mutex_unlock(&d->lock);
	return m;
}

static enum ost_auth dovecot_mechanisms(void *self, const struct ost_auth_session *session, int64_t deadline, struct ost_answer *answer)
{
	struct dovecot *d = self;
	struct ost_why why = { "" };
	bool fresh;
	struct mechanisms m = known_mechanisms(d);
	if (m.count == 0) {
		struct link *l = take_link(d, deadline, &fresh, &why);
		if (!l) {
			host->answer_why(answer, "%s", why.text);
			return OST_AUTH_TEMPFAIL;
		}
		link_unref(l);
		m = known_mechanisms(d);
	}
	char list[LINK_MECHS * (LINK_NAME + 1)];
	size_t len = 0;
	for (size_t i = 0; i < m.count; i++)
		if (!(m.list[i].properties & session->without) && (m.list[i].properties & session->with) == session->with)
			len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", len ? " " : "", m.list[i].name);
	host->answer(answer, list, len);
	return OST_AUTH_DONE;
}

/* ---- exchanges ------------------------------------------------------------------------------------------------------------ */

/* "\tname=value"; what means something in the protocol is escaped. */
static void add_field(struct text_buf *b, const char *name, const char *value)
{
	if (!*value)
		return;
	text_buf_puts(b, "\t");
	text_buf_puts(b, name);
	text_buf_puts(b, "=");
	for (const char *p = value; *p; p++) {
		const char *escaped = *p == '\t' ? "\001t" : *p == '\n' ? "\001n" : *p == '\r' ? "\001r" : *p == '\001' ? "\0011" : NULL;
		if (escaped)
			text_buf_puts(b, escaped);
		else
			text_buf_add(b, p, 1);
	}
}

static void compose(struct text_buf *b, uint32_t id, const struct ost_auth_session *s, const char *mechanism, const char *initial)
{
	char start[24];
	snprintf(start, sizeof start, "AUTH\t%u\t", id);
	text_buf_puts(b, start);
	text_buf_puts(b, mechanism);
	add_field(b, "service", s->service);
	text_buf_puts(b, "\tnologin");
	add_field(b, "lip", s->server_address);
	add_field(b, "rip", s->client_address);
	add_field(b, "lport", s->server_port);
	add_field(b, "rport", s->client_port);
	if (s->encrypted)
		text_buf_puts(b, "\tsecured");
	if (s->client_cert) {
		text_buf_puts(b, "\tvalid-client-cert");
		add_field(b, "cert_username", s->client_cert);
	}
	if (initial) { /* has to be the last one */
		text_buf_puts(b, "\tresp=");
		text_buf_puts(b, initial);
	}
	text_buf_puts(b, "\n");
}

static void wipe(struct text_buf *b)
{
	if (b->text)
		explicit_bzero(b->text, b->len);
	text_buf_free(b);
}

/* What Dovecot says, as the core wants to hear it. */
static enum ost_auth answer_of(const struct auth_reply *r, struct ost_answer *answer)
{
	switch (r->kind) {
	case LINE_OK:
		if (!*r->user) {
			host->answer_why(answer, "Authentication backend error");
			return OST_AUTH_TEMPFAIL;
		}
		host->answer(answer, r->user, strlen(r->user));
		return OST_AUTH_DONE;
	case LINE_CONT:
		host->answer(answer, r->challenge, strlen(r->challenge));
		return OST_AUTH_CONTINUE;
	default:
		break;
	}
	if (*r->user)
		host->answer(answer, r->user, strlen(r->user));
	if (*r->reason)
		host->answer_why(answer, "%s", r->reason);
	return r->temporary ? OST_AUTH_TEMPFAIL : OST_AUTH_FAILED;
}

static enum ost_auth take_reply(struct link_reply *got, struct ost_answer *answer)
{
	enum ost_auth outcome = answer_of(&got->reply, answer);
	free(got->line);
	return outcome;
}

static enum ost_auth cannot_tell(struct ost_answer *answer, const struct ost_why *why)
{
	host->answer_why(answer, "%s", why->text);
	return OST_AUTH_TEMPFAIL;
}

static enum ost_auth dovecot_begin(void *self, const struct ost_auth_session *session, const char *mechanism, const char *initial,
				   int64_t deadline, void **exchange, struct ost_answer *answer)
{
	struct dovecot *d = self;
	struct ost_why why = { "" };
	struct link_reply got;
	bool lost = true;
	if (strcspn(mechanism, "\t\r\n\001") != strlen(mechanism) || (initial && strcspn(initial, "\t\r\n\001") != strlen(initial)))
		return cannot_tell(answer, &(struct ost_why){ "a request that Dovecot's protocol cannot carry" });
	for (int i = 0; i < TRIES && lost; i++) { /* it may have been started anew */
		struct text_buf line = { 0 };
		bool fresh, ok = false;
		struct link *l = take_link(d, deadline, &fresh, &why);
		if (!l)
			break;
		uint32_t id = link_next_id(l);
		compose(&line, id, session, mechanism, initial);
		if (!line.spoilt)
			ok = link_ask(l, id, line.text, line.len, deadline, &got, &lost, &why);
		wipe(&line);
		struct exchange *x = ok && got.reply.kind == LINE_CONT ? malloc(sizeof *x) : NULL;
		if (x) {
			*x = (struct exchange){ l, id, false };
			*exchange = x;
		} else {
			link_unref(l);
		}
		if (ok && (x || got.reply.kind != LINE_CONT))
			return take_reply(&got, answer);
		if (ok) {
			free(got.line);
			return cannot_tell(answer, &(struct ost_why){ "out of memory" });
		}
	}
	return cannot_tell(answer, &why);
}

static enum ost_auth dovecot_step(void *self, void *exchange, const char *response, int64_t deadline, struct ost_answer *answer)
{
	struct exchange *x = exchange;
	struct text_buf line = { 0 };
	struct link_reply got;
	struct ost_why why = { "out of memory" };
	char start[24];
	bool lost, ok = false;
	(void)self;
	if (strcspn(response, "\t\r\n\001") != strlen(response))
		return cannot_tell(answer, &(struct ost_why){ "a response that Dovecot's protocol cannot carry" });
	snprintf(start, sizeof start, "CONT\t%u\t", x->id);
	text_buf_puts(&line, start);
	text_buf_puts(&line, response);
	text_buf_puts(&line, "\n");
	if (!line.spoilt)
		ok = link_ask(x->link, x->id, line.text, line.len, deadline, &got, &lost, &why);
	wipe(&line);
	x->over = ok && got.reply.kind != LINE_CONT;
	return ok ? take_reply(&got, answer) : cannot_tell(answer, &why);
}

static void dovecot_end(void *self, void *exchange)
{
	struct exchange *x = exchange;
	char line[24];
	(void)self;
	int n = snprintf(line, sizeof line, "CANCEL\t%u\n", x->id);
	if (!x->over)
		link_tell(x->link, line, (size_t)n, host->now());
	link_unref(x->link);
	free(x);
}

/* ---- the module -------------------------------------------------------------------------------------------------------------- */

static const struct ost_param dovecot_params[] = {
	{ .name = "queue_directory", OST_PARAM_AT(struct dovecot_config, queue_directory, OST_PARAM_STRING), .defval = "",
	  .help = "Where a path of smtpd_sasl_path without a slash in front begins." },
	{ .name = NULL },
};

static const struct ost_auth_ops dovecot_ops = {
	.ops = {
		.size = sizeof dovecot_ops,
		.params = dovecot_params,
		.config_size = sizeof(struct dovecot_config),
		.open = dovecot_open,
		.close = dovecot_close,
	},
	.mechanisms = dovecot_mechanisms,
	.begin = dovecot_begin,
	.step = dovecot_step,
	.end = dovecot_end,
};

static const struct ost_provide dovecot_provides[] = {
	{ OST_KIND_AUTH, "dovecot", &dovecot_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(dovecot, .version = "1.0", .summary = "Dovecot's authentication server", .license = "Apache-2.0",
	   .provides = dovecot_provides, .load = dovecot_load);
