/* SPDX-License-Identifier: Apache-2.0
 *
 * The SASL back end `cyrus`: libsasl2, with whatever its configuration file says.
 *
 * Threads: the library is given mutexes of this process, and a connection is one thread's at a time, which is what it asks for.
 * Making and freeing connections is done under a lock of our own: they look into the library's common lists. */
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sasl/sasl.h>
#include <sasl/saslutil.h>

#include "ostler/host.h"

static const struct ost_host *host;
static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER; /* guards the library's common lists, and users */
static unsigned users;                                      /* instances that are open */

struct cyrus_config {
	const char *config_path;
};

struct cyrus {
	struct ost_instance *instance;
	sasl_callback_t callbacks[2];
	char *application;
};

struct exchange {
	sasl_conn_t *conn;
};

/* ---- the library ------------------------------------------------------------------------------------------------------ */

static void *mutex_alloc(void)
{
	pthread_mutex_t *m = malloc(sizeof *m);
	if (m)
		pthread_mutex_init(m, NULL);
	return m;
}

static int mutex_lock(void *m)
{
	return pthread_mutex_lock(m) == 0 ? SASL_OK : SASL_FAIL;
}

static int mutex_unlock(void *m)
{
	return pthread_mutex_unlock(m) == 0 ? SASL_OK : SASL_FAIL;
}

static void mutex_free(void *m)
{
	pthread_mutex_destroy(m);
	free(m);
}

static bool cyrus_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	sasl_set_mutex(mutex_alloc, mutex_lock, mutex_unlock, mutex_free);
	return true;
}

/* What the library has to say: failures of its own. That a password was wrong is told by who asked. */
static int on_log(void *context, int level, const char *message)
{
	const struct cyrus *c = context;
	if (level == SASL_LOG_ERR || level == SASL_LOG_WARN)
		host->log(c->instance, OST_LOG_WARNING, "SASL: %s", message);
	return SASL_OK;
}

static void cyrus_close(void *self)
{
	struct cyrus *c = self;
	pthread_mutex_lock(&library);
	if (--users == 0)
		sasl_done();
	pthread_mutex_unlock(&library);
	free(c->application);
	free(c);
}

/* Plug-ins are loaded here, once per process. */
static bool start_library(struct cyrus *c, const struct cyrus_config *config, struct ost_why *why)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s", config->config_path ? config->config_path : "");
	if (*path && users == 0 && sasl_set_path(SASL_PATH_TYPE_CONFIG, path) != SASL_OK)
		return host->why(why, "cyrus_sasl_config_path = %s: not taken", path);
	int got = users == 0 ? sasl_server_init(c->callbacks, c->application) : SASL_OK;
	users += got == SASL_OK;
	return got == SASL_OK || host->why(why, "libsasl2 cannot be started: %s", sasl_errstring(got, NULL, NULL));
}

static bool cyrus_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	struct cyrus *c = calloc(1, sizeof *c);
	if (!c || !(c->application = strdup(host->instance_name(instance)))) {
		free(c);
		return host->why(why, "out of memory");
	}
	c->instance = instance;
	c->callbacks[0] = (sasl_callback_t){ SASL_CB_LOG, (int (*)(void))(void (*)(void))on_log, c };
	c->callbacks[1] = (sasl_callback_t){ SASL_CB_LIST_END, NULL, NULL };
	pthread_mutex_lock(&library);
	bool ok = start_library(c, config, why);
	pthread_mutex_unlock(&library);
	if (!ok) {
		free(c->application);
		free(c);
		return false;
	}
	*self = c;
	return true;
}

/* ---- connections -------------------------------------------------------------------------------------------------------- */

static unsigned security_flags(const struct ost_auth_session *s)
{
	static const struct {
		uint32_t property;
		unsigned flag;
	} without[] = {
		{ OST_AUTH_PLAINTEXT, SASL_SEC_NOPLAINTEXT },
		{ OST_AUTH_ACTIVE, SASL_SEC_NOACTIVE },
		{ OST_AUTH_DICTIONARY, SASL_SEC_NODICTIONARY },
		{ OST_AUTH_ANONYMOUS, SASL_SEC_NOANONYMOUS },
	};
	unsigned flags = 0;
	for (size_t i = 0; i < sizeof without / sizeof *without; i++)
		if (s->without & without[i].property)
			flags |= without[i].flag;
	return flags | (s->with & OST_AUTH_FORWARD_SECRECY ? SASL_SEC_FORWARD_SECRECY : 0u) |
	       (s->with & OST_AUTH_MUTUAL ? SASL_SEC_MUTUAL_AUTH : 0u);
}

/* "192.0.2.1;25", as the library wants it; NULL: not known. */
static const char *end_point(char *text, size_t size, const char *address, const char *port)
{
	if (!*address || !*port)
		return NULL;
	snprintf(text, size, "%s;%s", address, port);
	return text;
}

/* NULL: the reason is in *status. */
static sasl_conn_t *new_connection(const struct cyrus *c, const struct ost_auth_session *s, int *status)
{
	char local[80], remote[80];
	sasl_conn_t *conn = NULL;
	sasl_security_properties_t properties = { .security_flags = security_flags(s) }; /* max_ssf 0: no layer of its own */
	pthread_mutex_lock(&library);
	*status = sasl_server_new(s->service, s->server_name, *s->realm ? s->realm : NULL,
				  end_point(local, sizeof local, s->server_address, s->server_port),
				  end_point(remote, sizeof remote, s->client_address, s->client_port), c->callbacks, 0, &conn);
	if (*status == SASL_OK)
		*status = sasl_setprop(conn, SASL_SEC_PROPS, &properties);
	if (*status != SASL_OK && conn)
		sasl_dispose(&conn);
	pthread_mutex_unlock(&library);
	return *status == SASL_OK ? conn : NULL;
}

static void free_connection(sasl_conn_t *conn)
{
	pthread_mutex_lock(&library);
	sasl_dispose(&conn);
	pthread_mutex_unlock(&library);
}

/* ---- answers -------------------------------------------------------------------------------------------------------------- */

/* Failures that are not the client's: it is asked to come again. */
static bool temporary(int status)
{
	static const int theirs[] = { SASL_BADPROT, SASL_NOMECH, SASL_BADAUTH, SASL_NOAUTHZ, SASL_TOOWEAK, SASL_ENCRYPT, SASL_EXPIRED,
				      SASL_DISABLED, SASL_NOUSER, SASL_WEAKPASS, SASL_NOUSERPASS, SASL_NOVERIFY, SASL_PWLOCK,
				      SASL_BADSERV };
	for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++)
		if (status == theirs[i])
			return false;
	return true;
}

static enum ost_auth failure(int status, struct ost_answer *answer)
{
	/* Which logins there are is not told. */
	bool unknown = status == SASL_NOUSER || status == SASL_NOUSERPASS || status == SASL_NOVERIFY;
	host->answer_why(answer, "%s", sasl_errstring(unknown ? SASL_BADAUTH : status, NULL, NULL));
	return temporary(status) ? OST_AUTH_TEMPFAIL : OST_AUTH_FAILED;
}

static enum ost_auth challenge(const char *out, unsigned len, struct ost_answer *answer)
{
	unsigned size = (len + 2) / 3 * 4 + 1, used = 0;
	char *text = malloc(size);
	if (!text || sasl_encode64(out, len, text, size, &used) != SASL_OK) {
		free(text);
		return failure(SASL_NOMEM, answer);
	}
	host->answer(answer, text, used);
	free(text);
	return OST_AUTH_CONTINUE;
}

/* What a step has led to. */
static enum ost_auth outcome(sasl_conn_t *conn, int status, const char *out, unsigned len, struct ost_answer *answer)
{
	const void *user = NULL;
	if (status == SASL_CONTINUE)
		return challenge(out ? out : "", out ? len : 0, answer);
	if (status != SASL_OK)
		return failure(status, answer);
	if (sasl_getprop(conn, SASL_USERNAME, &user) != SASL_OK || !user)
		return failure(SASL_FAIL, answer);
	host->answer(answer, user, strlen(user));
	return OST_AUTH_DONE;
}

/* Base64 into *text, which is free()d; false: it is none. */
static bool decode(const char *base64, char **text, unsigned *len)
{
	unsigned n = (unsigned)strlen(base64);
	*text = malloc(n + 1);
	*len = 0;
	return *text && (n == 0 || sasl_decode64(base64, n, *text, n + 1, len) == SASL_OK);
}

static void wipe(char *text, size_t len)
{
	if (text)
		explicit_bzero(text, len);
	free(text);
}

/* ---- the back end ------------------------------------------------------------------------------------------------------------ */

static enum ost_auth cyrus_mechanisms(void *self, const struct ost_auth_session *s, int64_t deadline, struct ost_answer *answer)
{
	const char *list = "";
	unsigned len = 0;
	int status, count;
	(void)deadline;
	sasl_conn_t *conn = new_connection(self, s, &status);
	if (!conn)
		return failure(status, answer);
	status = sasl_listmech(conn, NULL, "", " ", "", &list, &len, &count);
	enum ost_auth got = OST_AUTH_DONE;
	if (status == SASL_OK)
		host->answer(answer, list, len);
	else if (status == SASL_NOMECH)
		host->answer(answer, "", 0);
	else
		got = failure(status, answer);
	free_connection(conn);
	return got;
}

static enum ost_auth cyrus_begin(void *self, const struct ost_auth_session *s, const char *mechanism, const char *initial,
				 int64_t deadline, void **exchange, struct ost_answer *answer)
{
	int status;
	unsigned len = 0, out_len = 0;
	char *text = NULL;
	const char *out = NULL;
	(void)deadline;
	struct exchange *x = malloc(sizeof *x);
	if (!x)
		return failure(SASL_NOMEM, answer);
	x->conn = new_connection(self, s, &status);
	if (!x->conn) {
		free(x);
		return failure(status, answer);
	}
	*exchange = x;
	if (initial && !decode(initial, &text, &len)) {
		wipe(text, len);
		return failure(SASL_BADPROT, answer);
	}
	status = sasl_server_start(x->conn, mechanism, text, len, &out, &out_len);
	enum ost_auth got = outcome(x->conn, status, out, out_len, answer);
	wipe(text, len);
	return got;
}

static enum ost_auth cyrus_step(void *self, void *exchange, const char *response, int64_t deadline, struct ost_answer *answer)
{
	struct exchange *x = exchange;
	unsigned len = 0, out_len = 0;
	char *text = NULL;
	const char *out = NULL;
	enum ost_auth got;
	(void)self;
	(void)deadline;
	if (decode(response, &text, &len))
		got = outcome(x->conn, sasl_server_step(x->conn, text, len, &out, &out_len), out, out_len, answer);
	else
		got = failure(SASL_BADPROT, answer);
	wipe(text, len);
	return got;
}

static void cyrus_end(void *self, void *exchange)
{
	struct exchange *x = exchange;
	(void)self;
	free_connection(x->conn);
	free(x);
}

/* ---- the module ----------------------------------------------------------------------------------------------------------------- */

static const struct ost_param cyrus_params[] = {
	{ .name = "cyrus_sasl_config_path", OST_PARAM_AT(struct cyrus_config, config_path, OST_PARAM_STRING), .defval = "",
	  .help = "Folders with the configuration of libsasl2; empty: the library's own." },
	{ .name = NULL },
};

static const struct ost_auth_ops cyrus_ops = {
	.ops = {
		.size = sizeof cyrus_ops,
		.params = cyrus_params,
		.config_size = sizeof(struct cyrus_config),
		.open = cyrus_open,
		.close = cyrus_close,
	},
	.mechanisms = cyrus_mechanisms,
	.begin = cyrus_begin,
	.step = cyrus_step,
	.end = cyrus_end,
};

static const struct ost_provide cyrus_provides[] = {
	{ OST_KIND_AUTH, "cyrus", &cyrus_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(cyrus, .version = "1.0", .summary = "Cyrus SASL (libsasl2)", .license = "Apache-2.0", .provides = cyrus_provides,
	   .load = cyrus_load);
