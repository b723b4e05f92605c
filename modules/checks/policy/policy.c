/* SPDX-License-Identifier: Apache-2.0
 *
 * check_policy_service: asks a policy server and does what it answers, which is an action of access(5). Connections are
 * kept and shared by all sessions of the process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "checks/policy/protocol.h"
#include "checks/policy/settings.h"
#include "ostler/host.h"
#include "shared/stream.h"

enum {
	ANY_STAGE = OST_STAGE_CONNECT | OST_STAGE_HELO | OST_STAGE_MAIL | OST_STAGE_RCPT | OST_STAGE_DATA |
		    OST_STAGE_END_OF_DATA | OST_STAGE_ETRN,
};
static const int64_t second = 1000000;

static const struct ost_host *host;

struct policy_config {
	const char *default_action, *context, *compatibility_level, *mail_version, *queue_directory;
	int64_t timeout, max_idle, max_ttl, retry_delay, request_limit, try_limit, connections;
};

struct policy { /* the instance */
	struct ost_instance *instance;
	const struct policy_config *config;
};

struct service { /* one mention in the configuration */
	const struct policy *policy;
	struct policy_settings settings;
	struct ost_pool *pool;
};

struct link { /* a connection; fd -1: it is to be made anew */
	struct stream stream;
	int64_t requests;
};

static bool policy_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

static bool policy_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	struct policy *p = malloc(sizeof *p);
	if (!p)
		return host->why(why, "out of memory");
	*p = (struct policy){ .instance = instance, .config = config };
	*self = p;
	return true;
}

static void policy_close(void *self)
{
	free(self);
}

/* ---- connections ------------------------------------------------------------------------------------------------- */

/* A socket below queue_directory; in a jail that folder is the root. */
static int dial_below_queue(const struct service *s, int64_t deadline, struct ost_why *why)
{
	struct ost_why inner = { "" };
	char path[256];
	snprintf(path, sizeof path, "%s/%s", s->policy->config->queue_directory, s->settings.host);
	int fd = host->connect(s->policy->instance, path, "", deadline, why);
	if (fd >= 0)
		return fd;
	snprintf(path, sizeof path, "/%s", s->settings.host);
	return host->connect(s->policy->instance, path, "", deadline, &inner);
}

static bool dial(const struct service *s, struct link *link, int64_t deadline, struct ost_why *why)
{
	int fd = s->settings.below_queue
			 ? dial_below_queue(s, deadline, why)
			 : host->connect(s->policy->instance, s->settings.host, s->settings.port, deadline, why);
	link->requests = 0;
	link->stream.fd = -1;
	if (fd >= 0)
		stream_init(&link->stream, fd, host->now);
	return fd >= 0;
}

static void *connect_to(void *ctx, size_t i, int64_t deadline, struct ost_why *why)
{
	(void)i;
	struct link *link = malloc(sizeof *link);
	if (!link) {
		host->why(why, "out of memory");
		return NULL;
	}
	if (dial(ctx, link, deadline, why))
		return link;
	free(link);
	return NULL;
}

static void disconnect(void *ctx, void *connection)
{
	struct link *link = connection;
	(void)ctx;
	stream_close(&link->stream);
	free(link);
}

static bool make_pool(struct service *s, struct ost_why *why)
{
	const struct ost_pool_server server = { .name = s->settings.server };
	const struct ost_pool_config config = {
		.size = sizeof config,
		.max = (uint32_t)s->policy->config->connections,
		.servers = &server,
		.count = 1,
		.idle_time = s->settings.max_idle,
		.life_time = s->settings.max_ttl,
		.retry_max = s->settings.retry_delay < 2 * second ? s->settings.retry_delay : 2 * second,
		.ctx = s,
		.connect = connect_to,
		.disconnect = disconnect,
	};
	s->pool = host->pool_new(s->policy->instance, &config, why);
	return s->pool;
}

/* ---- in the configuration ---------------------------------------------------------------------------------------- */

static void policy_unprepare(void *self, void *prepared)
{
	struct service *s = prepared;
	(void)self;
	host->pool_free(s->pool);
	free(s->settings.text);
	free(s);
}

static bool policy_prepare(void *self, const char *name, const char *const argv[], void **prepared, struct ost_why *why)
{
	struct policy *p = self;
	const struct policy_config *c = p->config;
	char flaw[160];
	if (strcmp(name, "check_policy_service") != 0)
		return host->why(why, "%s is no restriction of this module", name);
	struct service *s = calloc(1, sizeof *s);
	if (!s)
		return host->why(why, "out of memory");
	s->policy = p;
	s->settings = (struct policy_settings){
		.default_action = c->default_action,
		.context = c->context,
		.timeout = c->timeout,
		.max_idle = c->max_idle,
		.max_ttl = c->max_ttl,
		.retry_delay = c->retry_delay,
		.request_limit = c->request_limit,
		.try_limit = c->try_limit,
	};
	if (!policy_settings_parse(&s->settings, argv[0], flaw, sizeof flaw))
		host->why(why, "%s", flaw);
	else if (make_pool(s, why)) {
		*prepared = s;
		return true;
	}
	policy_unprepare(self, s);
	return false;
}

/* ---- a question -------------------------------------------------------------------------------------------------- */

/* Reads a reply. STREAM_LONG: it is none. */
static enum stream_state read_reply(struct stream *stream, int64_t deadline, struct policy_reply *reply, struct ost_why *why)
{
	*reply = (struct policy_reply){ 0 };
	while (!reply->over) {
		char *line;
		size_t len;
		enum stream_state state = stream_line(stream, &line, &len, deadline);
		if (state != STREAM_OK)
			return state;
		if (stream->nul) {
			host->why(why, "a NUL byte in the reply");
			return STREAM_LONG;
		}
		if (!policy_take_line(reply, host, line, why))
			return STREAM_LONG;
	}
	return STREAM_OK;
}

/* A connection that is alive, and has not served enough. */
static bool refresh(const struct service *s, struct link *link, int64_t deadline, struct ost_why *why)
{
	bool used_up = s->settings.request_limit > 0 && link->requests >= s->settings.request_limit;
	if (link->stream.fd >= 0 && !used_up && (link->requests == 0 || stream_quiet(&link->stream)))
		return true;
	stream_close(&link->stream);
	return dial(s, link, deadline, why);
}

/* One attempt. */
static bool ask(const struct service *s, const struct text_buf *request, struct policy_reply *reply, struct ost_why *why)
{
	static const char *const texts[] = {
		[STREAM_OK] = "",
		[STREAM_LOST] = "the server closed the connection",
		[STREAM_TIMEOUT] = "Connection timed out",
		[STREAM_LONG] = "the reply is too long",
	};
	int64_t deadline = host->now() + s->settings.timeout;
	struct link *link = host->pool_take(s->pool, deadline, NULL, why);
	if (!link)
		return false;
	if (!refresh(s, link, deadline, why)) {
		host->pool_give(s->pool, link, OST_POOL_FAILED, why);
		return false;
	}
	link->requests++;
	enum stream_state state = stream_write(&link->stream, request->text, request->len, deadline, false);
	if (state == STREAM_OK)
		state = read_reply(&link->stream, deadline, reply, why);
	if (state != STREAM_OK && !why->text[0])
		host->why(why, "%s", texts[state]);
	if (state != STREAM_OK)
		stream_close(&link->stream);
	/* One that spoke, and spoke rubbish, or closed, may well answer the next one: no pause for everybody. */
	host->pool_give(s->pool, link, state == STREAM_TIMEOUT ? OST_POOL_FAILED : OST_POOL_GOOD,
			state == STREAM_TIMEOUT ? why : NULL);
	return state == STREAM_OK;
}

static void pause_for(int64_t time)
{
	const struct timespec t = { time / second, time % second * 1000 };
	nanosleep(&t, NULL);
}

static bool ask_until_answered(const struct service *s, const struct text_buf *request, struct policy_reply *reply)
{
	for (int64_t i = 1; !request->spoilt; i++) {
		struct ost_why why = { "" };
		if (ask(s, request, reply, &why))
			return true;
		host->log(s->policy->instance, OST_LOG_WARNING, "problem talking to server %s: %s", s->settings.server,
			  why.text);
		if (i >= s->settings.try_limit)
			return false;
		pause_for(s->settings.retry_delay);
	}
	return false;
}

static enum ost_verdict policy_run(void *self, void *state, void *prepared, enum ost_stage stage, struct ost_session *session)
{
	const struct policy *p = self;
	const struct service *s = prepared;
	struct text_buf request = { 0 };
	struct policy_reply reply = { 0 };
	(void)state;
	(void)stage;
	policy_request(&request, host, session, s->settings.context, p->config->compatibility_level, p->config->mail_version);
	bool answered = ask_until_answered(s, &request, &reply);
	text_buf_free(&request);
	const char *object = host->session_field(session, "checked_object"), *kind = host->session_field(session, "checked_kind");
	return host->access_action(session, answered ? reply.action : s->settings.default_action, kind ? kind : "Policy query",
				   object ? object : "");
}

/* All attempts, and as much again for connecting. */
static int64_t policy_longest(void *self, void *prepared)
{
	const struct policy_settings *s = &((const struct service *)prepared)->settings;
	(void)self;
	int64_t once = s->timeout + s->retry_delay;
	return s->try_limit < INT64_MAX / 2 / once ? s->try_limit * once + second : INT64_MAX / 2;
}

/* ---- the module -------------------------------------------------------------------------------------------------- */

#define AT(member, kind) OST_PARAM_AT(struct policy_config, member, OST_PARAM_##kind)
static const struct ost_param policy_params[] = {
	{ .name = "smtpd_policy_service_default_action", AT(default_action, STRING),
	  .defval = "451 4.3.5 Server configuration problem", .help = "What is done when a policy server gives no answer." },
	{ .name = "smtpd_policy_service_max_idle", AT(max_idle, TIME), .defval = "300s", .min = 1, .max = 100000000,
	  .help = "How long an unused connection to a policy server is kept." },
	{ .name = "smtpd_policy_service_max_ttl", AT(max_ttl, TIME), .defval = "1000s", .min = 1, .max = 100000000,
	  .help = "How long any connection to a policy server is kept." },
	{ .name = "smtpd_policy_service_policy_context", AT(context, STRING), .defval = "",
	  .help = "A text for the policy server, which tells the services that ask it apart." },
	{ .name = "smtpd_policy_service_request_limit", AT(request_limit, INT), .defval = "0", .max = INT32_MAX,
	  .help = "How many questions go over one connection (0: no limit)." },
	{ .name = "smtpd_policy_service_retry_delay", AT(retry_delay, TIME), .defval = "1s", .min = 1, .max = 100000000,
	  .help = "The pause before a policy server is asked again after a failure." },
	{ .name = "smtpd_policy_service_timeout", AT(timeout, TIME), .defval = "100s", .min = 1, .max = 100000000,
	  .help = "The time for one attempt to get an answer." },
	{ .name = "smtpd_policy_service_try_limit", AT(try_limit, INT), .defval = "2", .min = 1, .max = INT32_MAX,
	  .help = "How many attempts are made to get an answer." },
	{ .name = "policy_connections", AT(connections, INT), .defval = "20", .min = 1, .max = 10000,
	  .help = "Most connections of one process to one policy server." },
	{ .name = "compatibility_level", AT(compatibility_level, STRING), .defval = "", .help = "Told to policy servers." },
	{ .name = "mail_version", AT(mail_version, STRING), .defval = "", .help = "Told to policy servers." },
	{ .name = "queue_directory", AT(queue_directory, STRING), .defval = "", .help = "Where unix:private/name is." },
	{ 0 },
};

static const struct ost_restriction policy_restrictions[] = {
	{ "check_policy_service", 1, ANY_STAGE, "ask a policy server, and do what it answers" },
	{ NULL, 0, 0, NULL },
};

static const struct ost_check_ops policy_ops = {
	.ops = {
		.size = sizeof policy_ops,
		.params = policy_params,
		.config_size = sizeof(struct policy_config),
		.open = policy_open,
		.close = policy_close,
	},
	.restrictions = policy_restrictions,
	.prepare = policy_prepare,
	.unprepare = policy_unprepare,
	.run = policy_run,
	.longest = policy_longest,
};

static const struct ost_provide policy_provides[] = {
	{ OST_KIND_CHECK, "policy", &policy_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(policy, .version = "1.0", .summary = "restrictions that ask a policy server", .license = "Apache-2.0",
	   .provides = policy_provides, .load = policy_load);
