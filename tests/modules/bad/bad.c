/* SPDX-License-Identifier: Apache-2.0
 *
 * A module that is wrong on purpose, in the way that a word asks for: a table by its key, a check by its argument or the HELO
 * name, a transport by the recipient's local part. For tests of what the core does about it; never installed. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ostler/host.h"

static const struct ost_host *host;

/* ---- deeds that do not come back, or late ---------------------------------------------------------------------------- */

static void crash(void)
{
	*(volatile int *)0 = 1;
}

static void hang(void)
{
	for (;;)
		pause();
}

static void slow(void)
{
	sleep(5);
}

static void leak(void)
{
	enum { PIECE = 1 << 20 };
	char *volatile piece = malloc(PIECE);
	if (piece)
		memset(piece, 1, PIECE); /* and nobody frees it */
}

static void leave(void)
{
	exit(0);
}

static unsigned deeper(unsigned n)
{
	volatile char room[4096] = { (char)n };
	return n == 0 ? 0 : deeper(n + 1) + (unsigned)room[n % sizeof room];
}

static void overflow(void)
{
	deeper(1);
}

static void *crash_alone(void *unused)
{
	(void)unused;
	crash();
	return NULL;
}

static void crash_in_a_thread(void)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, crash_alone, NULL) == 0)
		pthread_join(thread, NULL);
}

static const struct deed {
	const char *word;
	void (*act)(void);
} deeds[] = {
	{ "crash", crash }, { "abort", abort },	      { "exit", leave },	       { "hang", hang },
	{ "slow", slow },   { "leak", leak },	      { "overflow", overflow },	       { "thread", crash_in_a_thread },
};

/* Is the text the word, alone or followed by something that ends a word? */
static bool is_word(const char *text, const char *word)
{
	size_t len = strlen(word);
	return strncmp(text, word, len) == 0 && (text[len] == '\0' || strchr("@.+ ", text[len]));
}

/* Does what the text asks for, when it is a deed. */
static void act(const char *text)
{
	for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++)
		if (is_word(text, deeds[i].word))
			deeds[i].act();
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

/* bad:open-crash, bad:open-fails …: the deed is done when the table is opened. */
static bool bad_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	const char *name = host->instance_name(instance);
	*self = NULL;
	if (strncmp(name, "open-", 5) == 0) {
		act(name + 5);
		return !is_word(name, "open-fails") || host->why(why, "asked to fail");
	}
	return true;
}

static const struct ost_table_ops table_ops = {
	.ops = { .size = sizeof table_ops, .flags = OST_TABLE_IMMEDIATE, .open = bad_open },
	.lookup = bad_lookup,
};

/* ---- the check --------------------------------------------------------------------------------------------------------- */

/* bad_check WORD does the deed or gives the wrong verdict that WORD asks for; bad_helo takes the word from the HELO name. */
static const struct ost_restriction restrictions[] = {
	{ "bad_check", 1, 0x7f, "does what the word asks for" },
	{ "bad_helo", 0, 0x7f, "does what the HELO name asks for" },
	{ NULL, 0, 0, NULL },
};

static bool bad_prepare(void *self, const char *name, const char *const argv[], void **prepared, struct ost_why *why)
{
	(void)self;
	*prepared = NULL;
	if (strcmp(name, "bad_helo") == 0)
		return true;
	if (is_word(argv[0], "prepare-fails"))
		return host->why(why, "asked to fail");
	*prepared = strdup(argv[0]);
	return *prepared != NULL;
}

static void bad_unprepare(void *self, void *prepared)
{
	(void)self;
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

static enum ost_verdict bad_run(void *self, void *state, void *prepared, enum ost_stage stage, struct ost_session *session)
{
	(void)self;
	(void)state;
	(void)stage;
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
	.ops = { .size = sizeof check_ops },
	.restrictions = restrictions,
	.prepare = bad_prepare,
	.unprepare = bad_unprepare,
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

static void bad_deliver(void *self, struct ost_delivery *d)
{
	(void)self;
	for (uint32_t i = 0; i < d->nrcpts; i++)
		deliver_one(d, i);
}

static const struct ost_transport_ops transport_ops = {
	.ops = { .size = sizeof transport_ops },
	.deliver = bad_deliver,
};

/* -------------------------------------------------------------------------------------------------------------------------- */

static bool bad_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

static const struct ost_provide provides[] = {
	{ OST_KIND_TABLE, "bad", &table_ops.ops },
	{ OST_KIND_CHECK, "bad", &check_ops.ops },
	{ OST_KIND_TRANSPORT, "bad", &transport_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(bad, .version = "1.0", .summary = "wrong on purpose, for tests", .license = "Apache-2.0", .provides = provides,
	   .load = bad_load);
