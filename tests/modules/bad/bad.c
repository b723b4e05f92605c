/* SPDX-License-Identifier: Apache-2.0
 *
 * A module that is wrong on purpose, in the way that a word asks for: a table by its key, a check by its argument or the HELO
 * name, a transport by the recipient's local part; or, in any entry point, in the way that a file of orders asks for (deeds.h).
 * For tests of what the core does about it; never installed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deeds.h"
#include "ostler/host.h"

static const struct ost_host *host;

/* Is the text the word, alone or followed by something that ends a word? */
static bool is_word(const char *text, const char *word)
{
	size_t len = strlen(word);
	return strncmp(text, word, len) == 0 && (text[len] == '\0' || strchr("@.+ ", text[len]));
}

/* Does what the text's first word asks for, when it is a deed. */
static void act(const char *text)
{
	char word[32];
	struct tried tried;
	snprintf(word, sizeof word, "%.*s", (int)strcspn(text, "@.+ "), text);
	deed_do(word, &tried);
}

/* Does what is ordered for this entry point, and tells what came of it. false with the reason in text: something was ordered. */
static bool obey(const char *kind, const char *entry, char *text, size_t size)
{
	char word[32];
	struct tried tried;
	text[0] = '\0';
	if (!deed_ordered(kind, entry, word))
		return true;
	deed_do(word, &tried);
	snprintf(text, size, "bad %s %s: %s tried %d times, let %d times%s%s", kind, entry, word, tried.times, tried.succeeded,
		 tried.succeeded ? ": " : "", tried.first);
	return false;
}

/* The same where the log can be written to. */
static bool obey_here(const char *kind, const char *entry)
{
	char text[200];
	if (obey(kind, entry, text, sizeof text))
		return true;
	host->log(NULL, OST_LOG_INFO, "%s", text);
	return false;
}

/* ---- the table --------------------------------------------------------------------------------------------------------- */

static const struct wrong_answer {
	const char *word;
	int result;        /* of enum ost_found, or none of it */
	const char *value; /* NULL: none is given */
} wrong_answers[] = {
	{ "novalue", OST_FOUND, NULL },	    { "rubbish", 42, NULL },
	{ "minus", -17, "value" },	    { "tempfail", OST_TEMPFAIL, NULL },
	{ "badtable", OST_BADTABLE, NULL }, { "control", OST_FOUND, "one\r\ntwo\x1b[2J\xff" },
	{ "empty", OST_FOUND, "" },	    { "quiet", OST_NOTFOUND, "a value although nothing was found" },
	{ "good", OST_FOUND, "good" },
};

static enum ost_found bad_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	(void)self;
	obey_here("table", "lookup");
	act(query->key);
	if (is_word(query->key, "huge")) {
		size_t size = 10u << 20;
		char *text = malloc(size);
		memset(text, 'x', size);
		host->answer(answer, text, size);
		free(text);
		return OST_FOUND;
	}
	for (size_t i = 0; i < sizeof wrong_answers / sizeof *wrong_answers; i++) {
		const struct wrong_answer *w = &wrong_answers[i];
		if (!is_word(query->key, w->word))
			continue;
		if (w->value)
			host->answer(answer, w->value, strlen(w->value));
		if (w->result < 0)
			host->answer_why(answer, "asked for: %s\r\n\x1b[2J", w->word);
		return (enum ost_found)w->result;
	}
	return OST_NOTFOUND;
}

static void *never_connect(void *ctx, size_t i, int64_t deadline, struct ost_why *why)
{
	(void)ctx;
	(void)i;
	(void)deadline;
	host->why(why, "asked not to");
	return NULL;
}

static void never_disconnect(void *ctx, void *connection)
{
	(void)ctx;
	(void)connection;
}

/* bad:socket:/run/x: a table that would connect to that socket. */
static bool open_socket(struct ost_instance *instance, const char *path, void **self, struct ost_why *why)
{
	char name[300];
	snprintf(name, sizeof name, "unix:%s", path);
	const struct ost_pool_server server = { .name = name };
	const struct ost_pool_config pool = {
		.size = sizeof pool, .servers = &server, .count = 1, .connect = never_connect, .disconnect = never_disconnect,
	};
	*self = host->pool_new(instance, &pool, why);
	return *self != NULL;
}

/* bad:open-crash, bad:open-fails …: the deed is done when the table is opened. bad:/FILE reads FILE, so that its change is a
 * reason to reopen. */
static bool bad_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	const char *name = host->instance_name(instance);
	*self = NULL;
	obey_here("table", "open");
	if (strncmp(name, "socket:", 7) == 0)
		return open_socket(instance, name + 7, self, why);
	if (name[0] == '/') {
		int fd = host->file_open(instance, name, "", why);
		if (fd < 0)
			return false;
		close(fd);
	}
	if (strncmp(name, "open-", 5) == 0) {
		act(name + 5);
		return !is_word(name, "open-fails") || host->why(why, "asked to fail");
	}
	return true;
}

static void bad_close(void *self)
{
	host->pool_free(self);
	obey_here("table", "close");
}

static bool bad_reopen(void *self, struct ost_why *why)
{
	(void)self;
	(void)why;
	obey_here("table", "reopen");
	return true;
}

static bool bad_config_check(const void *config, struct ost_why *why)
{
	(void)config;
	(void)why;
	obey_here("any", "config_check");
	return true;
}

static const struct ost_table_ops table_ops = {
	.ops = { .size = sizeof table_ops,
		 .flags = OST_TABLE_IMMEDIATE,
		 .config_check = bad_config_check,
		 .open = bad_open,
		 .close = bad_close },
	.lookup = bad_lookup,
	.reopen = bad_reopen,
};

/* The same without reopen(): it is closed and opened anew. */
static const struct ost_table_ops plain_table_ops = {
	.ops = { .size = sizeof plain_table_ops, .flags = OST_TABLE_IMMEDIATE, .open = bad_open, .close = bad_close },
	.lookup = bad_lookup,
};

/* ---- the check --------------------------------------------------------------------------------------------------------- */

/* bad_check WORD does the deed or gives the wrong verdict that WORD asks for; bad_helo takes the word from the HELO name. */
static const struct ost_restriction restrictions[] = {
	{ "bad_check", 1, 0x7f, "does what the word asks for" },
	{ "bad_helo", 0, 0x7f, "does what the HELO name asks for" },
	{ "bad_orders", 0, 0x7f, "does what is ordered" },
	{ NULL, 0, 0, NULL },
};

static bool bad_prepare(void *self, const char *name, const char *const argv[], void **prepared, struct ost_why *why)
{
	(void)self;
	(void)name;
	*prepared = NULL;
	obey_here("check", "prepare");
	if (!argv[0])
		return true;
	if (is_word(argv[0], "prepare-fails"))
		return host->why(why, "asked to fail");
	*prepared = strdup(argv[0]);
	return *prepared != NULL;
}

static void bad_unprepare(void *self, void *prepared)
{
	(void)self;
	obey_here("check", "unprepare");
	free(prepared);
}

static const struct wrong_verdict {
	const char *word;
	int verdict;
	int code; /* 0: no reply is set */
	const char *dsn, *text;
} wrong_verdicts[] = {
	{ "noreply", OST_REJECT, 0, NULL, NULL },
	{ "badcode", OST_REJECT, 250, "2.0.0", "welcome" },
	{ "bigcode", OST_REJECT, 99999, "5.7.1", "no" },
	{ "baddsn", OST_REJECT, 550, "4.x", "no" },
	{ "newline", OST_REJECT, 550, "5.7.1", "no\r\n250 2.0.0 yes" },
	{ "control", OST_REJECT, 550, "5.7.1", "no\x1b[2J\xff" },
	{ "rubbish", 77, 0, NULL, NULL },
	{ "failed", OST_CHECK_FAILED, 0, NULL, NULL },
	{ "reject", OST_REJECT, 550, "5.7.1", "rejected" },
	{ "defer", OST_DEFER, 450, "4.7.1", "deferred" },
	{ "permit", OST_PERMIT, 0, NULL, NULL },
};

static const struct stage_entry {
	enum ost_stage stage;
	const char *entry; /* in orders */
} stages[] = {
	{ OST_STAGE_CONNECT, "run-connect" }, { OST_STAGE_HELO, "run-helo" }, { OST_STAGE_MAIL, "run-mail" },
	{ OST_STAGE_RCPT, "run-rcpt" },	      { OST_STAGE_DATA, "run-data" }, { OST_STAGE_END_OF_DATA, "run-end" },
};

static bool bad_check_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)instance;
	(void)config;
	(void)why;
	*self = NULL;
	obey_here("check", "open");
	return true;
}

static void bad_check_close(void *self)
{
	(void)self;
	obey_here("check", "close");
}

static bool bad_session_begin(void *self, struct ost_session *session, void **state)
{
	(void)self;
	(void)session;
	*state = &host; /* something */
	obey_here("check", "session_begin");
	return true;
}

static void bad_session_end(void *self, void *state)
{
	(void)self;
	(void)state;
	obey_here("check", "session_end");
}

static enum ost_verdict bad_run(void *self, void *state, void *prepared, enum ost_stage stage, struct ost_session *session)
{
	(void)self;
	(void)state;
	for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
		if (stages[i].stage == stage)
			obey_here("check", stages[i].entry);
	const char *word = prepared ? prepared : host->session_field(session, "helo_name");
	if (!word)
		return OST_DUNNO;
	act(word);
	for (size_t i = 0; i < sizeof wrong_verdicts / sizeof *wrong_verdicts; i++) {
		const struct wrong_verdict *w = &wrong_verdicts[i];
		if (!is_word(word, w->word))
			continue;
		if (w->code)
			host->reply(session, w->code, w->dsn, w->text);
		return (enum ost_verdict)w->verdict;
	}
	return OST_DUNNO;
}

static const struct ost_check_ops check_ops = {
	.ops = { .size = sizeof check_ops, .open = bad_check_open, .close = bad_check_close },
	.restrictions = restrictions,
	.prepare = bad_prepare,
	.unprepare = bad_unprepare,
	.session_begin = bad_session_begin,
	.session_end = bad_session_end,
	.run = bad_run,
};

/* ---- the transport ------------------------------------------------------------------------------------------------------ */

static void report(struct ost_delivery *d, uint32_t rcpt, int status, const char *dsn, const char *text)
{
	struct ost_report r = { .size = sizeof r, .status = (enum ost_delivered)status, .dsn = dsn, .text = text };
	host->report(d, rcpt, &r);
}

/* Reports one recipient in the way that its local part asks for. */
static void deliver_one(struct ost_delivery *d, uint32_t rcpt)
{
	const char *word = d->rcpts[rcpt].address;
	act(word);
	if (is_word(word, "silent"))
		return; /* nobody hears of it */
	if (is_word(word, "foreign"))
		report(d, d->nrcpts + 1000, OST_SENT, "2.0.0", "somebody else's");
	else if (is_word(word, "status"))
		report(d, rcpt, 99, "2.0.0", "no such status");
	else if (is_word(word, "dsn"))
		report(d, rcpt, OST_BOUNCED, "2.0.0", "sent, or not");
	else if (is_word(word, "nulls"))
		report(d, rcpt, OST_DEFERRED, NULL, NULL);
	else if (is_word(word, "control"))
		report(d, rcpt, OST_BOUNCED, "5.0.0", "no\r\nwarning: forged line\x1b[2J\xff");
	else if (is_word(word, "bounce"))
		report(d, rcpt, OST_BOUNCED, "5.1.1", "bounced");
	else if (is_word(word, "defer"))
		report(d, rcpt, OST_DEFERRED, "4.0.0", "deferred");
	else
		report(d, rcpt, OST_SENT, "2.0.0", "sent");
	if (is_word(word, "twice"))
		report(d, rcpt, OST_BOUNCED, "5.0.0", "or bounced");
}

enum { USER = 5000 };

struct order_for_user { /* what deliver() hands to the other half, which may not read the file */
	char write[32], publish[32];
};

static void deed_as_user(const char *entry, const char *word, struct ost_user_job *job)
{
	struct tried tried;
	if (!*word || !deed_do(word, &tried))
		return;
	job->done.status = OST_DEFERRED;
	snprintf(job->done.dsn, sizeof job->done.dsn, "4.3.0");
	snprintf(job->done.text, sizeof job->done.text, "bad transport %s: %s tried %d times, let %d times%s%s", entry, word,
		 tried.times, tried.succeeded, tried.succeeded ? ": " : "", tried.first);
}

static void bad_user_write(const void *config, struct ost_user_job *jobs, size_t n)
{
	(void)config;
	for (size_t i = 0; i < n; i++)
		deed_as_user("user_write", ((const struct order_for_user *)jobs[i].args)->write, &jobs[i]);
}

static void bad_user_publish(const void *config, struct ost_user_job *jobs, size_t n)
{
	(void)config;
	for (size_t i = 0; i < n; i++)
		deed_as_user("user_publish", ((const struct order_for_user *)jobs[i].args)->publish, &jobs[i]);
}

/* Recipients whose name begins with "user" go through the half that runs as a user. */
static void deliver_as_user(struct ost_delivery *d, uint32_t rcpt)
{
	struct order_for_user order = { "", "" };
	struct ost_user_done done = { .size = sizeof done };
	if (!deed_ordered("transport", "user_write", order.write))
		order.write[0] = '\0';
	if (!deed_ordered("transport", "user_publish", order.publish))
		order.publish[0] = '\0';
	struct ost_user_request request = { .size = sizeof request,
					    .kind = OST_USER_IDS,
					    .uid = getenv("OST_BAD_ROOTLESS") ? geteuid() : USER,
					    .gid = getenv("OST_BAD_ROOTLESS") ? getegid() : USER,
					    .path = "",
					    .args = &order,
					    .args_len = sizeof order };
	host->as_user(d, &request, &done, 1);
	report(d, rcpt, (int)done.status, done.dsn, done.text);
}

static void bad_deliver(void *self, struct ost_delivery *d)
{
	(void)self;
	obey_here("transport", "deliver");
	for (uint32_t i = 0; i < d->nrcpts; i++) {
		if (strncmp(d->rcpts[i].address, "user", 4) == 0)
			deliver_as_user(d, i);
		else
			deliver_one(d, i);
	}
}

static bool bad_transport_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)instance;
	(void)config;
	(void)why;
	*self = NULL;
	obey_here("transport", "open");
	return true;
}

static void bad_transport_close(void *self)
{
	(void)self;
	obey_here("transport", "close");
}

static void bad_idle(void *self)
{
	(void)self;
	obey_here("transport", "idle");
}

static const struct ost_transport_ops transport_ops = {
	.ops = { .size = sizeof transport_ops, .open = bad_transport_open, .close = bad_transport_close },
	.deliver = bad_deliver,
	.user_write = bad_user_write,
	.user_publish = bad_user_publish,
	.idle = bad_idle,
};

/* -------------------------------------------------------------------------------------------------------------------------- */

static bool bad_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	obey_here("any", "load");
	return true;
}

static const struct ost_provide provides[] = {
	{ OST_KIND_TABLE, "bad", &table_ops.ops },
	{ OST_KIND_TABLE, "badplain", &plain_table_ops.ops },
	{ OST_KIND_CHECK, "bad", &check_ops.ops },
	{ OST_KIND_TRANSPORT, "bad", &transport_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(bad, .version = "1.0", .summary = "wrong on purpose, for tests", .license = "Apache-2.0", .provides = provides,
	   .load = bad_load);
