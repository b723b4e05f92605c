/* SPDX-License-Identifier: Apache-2.0
 * Aliases: how they are read, what they come to, and what is done with it. */
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "shared/trial.h"
#include "transports/local/alias.h"

extern const struct ost_module local_LTX_ost_module;

/* ---- reading ----------------------------------------------------------------------------------------------------------------- */

static void elements(void **state)
{
	(void)state;
	static const struct {
		const char *value, *elements; /* with '~' behind each */
	} rows[] = {
		{ "joe", "joe~" },
		{ " joe ,, ann@x.test\n\tsue ", "joe~ann@x.test~sue~" },
		{ "Joe Doe <joe@x.test>, ann (the other) @y.test", "joe@x.test~ann  @y.test~" },
		{ "\"a, b\"@x.test, \"q\\\"r\"", "a, b@x.test~q\"r~" },
		{ "|/bin/cmd a b, joe", "|/bin/cmd a b~joe~" },
		{ "\"|/bin/cmd a, b\"", "|/bin/cmd a, b~" },
		{ ":include:/a b/c, /var/x y", ":include:/a b/c~/var/x y~" },
		{ "\\joe, (only (nested) comment)", "\\joe~~" },
		{ "(unclosed, joe", "~" },
		{ "\"unclosed, joe", "unclosed, joe~" },
		{ "", "" },
		{ " , \n ,", "" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char all[256] = "", one[64];
		for (const char *p = rows[i].value; alias_next(&p, one, sizeof one);)
			snprintf(all + strlen(all), sizeof all - strlen(all), "%s~", one);
		assert_string_equal(all, rows[i].elements);
	}
	char small[4];
	const char *p = "abcdefgh, x";
	assert_true(alias_next(&p, small, sizeof small));
	assert_string_equal(small, "abc");
}

static void extensions(void **state)
{
	(void)state;
	static const struct {
		const char *name, *delimiters;
		size_t base;
	} rows[] = { { "joe+x", "+", 3 },       { "joe", "+", 3 },   { "+joe", "+", 4 },        { "joe+x", "", 5 },
		     { "joe-x+y", "+-", 3 },    { "joe+", "+", 3 },  { "owner-joe", "-", 9 },   { "joe-request", "-", 11 },
		     { "MAILER-DAEMON", "-", 13 }, { "double-bounce", "-", 13 } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(alias_base_length(rows[i].name, rows[i].delimiters), rows[i].base);
}

/* ---- expanding ----------------------------------------------------------------------------------------------------------------- */

static const struct trial_entry aliases[] = {
	{ "list", "ann, bob@here.test, far@far.test, list2" },
	{ "list2", "cid, FAR@far.test, list, ann" },
	{ "joe", "joe, away@far.test" },
	{ "sue+x", "special" },
	{ "sue", "plain" },
	{ "raw", "\\list" },
	{ "a", "b" },
	{ "b", "a" },
	{ "self2", "self3" },
	{ "self3", "self3" },
	{ "command", "ann, |/bin/cmd" },
	{ "file", "/dev/null" },
	{ "include", ":INCLUDE:/x" },
	{ "inner", "ann, broken" },
	{ "broken", NULL },
	{ "nothing", " , " },
	{ "owner-list", "admin" },
	{ "at", "@here.test, x@" },
	{ NULL, NULL },
};
static const struct ost_tables alias_table = { aliases };

/* "ann bob | far@far.test" */
static void show(char *text, size_t size, const struct alias_expansion *e)
{
	text[0] = '\0';
	for (size_t i = 0; i < e->users.count; i++)
		snprintf(text + strlen(text), size - strlen(text), "%s ", e->users.list[i]);
	snprintf(text + strlen(text), size - strlen(text), "|");
	for (size_t i = 0; i < e->addresses.count; i++)
		snprintf(text + strlen(text), size - strlen(text), " %s", e->addresses.list[i]);
}

static void expansions(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum alias_outcome outcome;
		const char *result; /* or what the reason says */
	} rows[] = {
		{ "nobody", ALIAS_OK, "nobody |" },
		{ "Nobody+x", ALIAS_OK, "nobody |" },
		{ "list", ALIAS_OK, "ann bob cid | far@far.test" },
		{ "LIST+x", ALIAS_OK, "ann bob cid | far@far.test" },
		{ "joe", ALIAS_OK, "joe | away@far.test" },
		{ "sue", ALIAS_OK, "plain |" },
		{ "sue+x", ALIAS_OK, "special |" },
		{ "sue+y", ALIAS_OK, "plain |" },
		{ "raw", ALIAS_OK, "list |" },
		{ "self2", ALIAS_OK, "self3 |" },
		{ "a", ALIAS_LOOP, "alias database loop for a" },
		{ "nothing", ALIAS_LOOP, "alias database loop for nothing" },
		{ "command", ALIAS_UNSUPPORTED, "alias target |/bin/cmd: commands, files and includes are not supported yet" },
		{ "file", ALIAS_UNSUPPORTED, "alias target /dev/null" },
		{ "include", ALIAS_UNSUPPORTED, "alias target :INCLUDE:/x" },
		{ "broken", ALIAS_TEMPFAIL, "the table is broken" },
		{ "inner", ALIAS_TEMPFAIL, "the table is broken" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct alias_expansion e = { .host = &trial_host, .maps = &alias_table, .delimiters = "+",
				       .domains = "other.test, here.test" };
		char text[512];
		enum alias_outcome outcome = local_alias_expand(&e, rows[i].name);
		show(text, sizeof text, &e);
		if (outcome != rows[i].outcome || !strstr(outcome ? e.why : text, rows[i].result))
			fail_msg("%s: outcome %d, %s, %s", rows[i].name, outcome, text, e.why);
		local_alias_free(&e);
	}
}

static void owners(void **state)
{
	(void)state;
	static const char *const rows[][2] = { { "list", "owner-list" }, { "list+x", "owner-list" }, { "joe", "" },
					       { "owner-list", "" } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct alias_expansion e = { .host = &trial_host, .maps = &alias_table, .delimiters = "+", .domains = "here.test" };
		assert_int_equal(local_alias_expand(&e, rows[i][0]), ALIAS_OK);
		assert_string_equal(e.owner, rows[i][1]);
		local_alias_free(&e);
	}
}

/* A chain that is too long, and a list that is too large, end. */
static void bounds(void **state)
{
	(void)state;
	enum { CHAIN = 300, MEMBERS = ALIAS_RESULTS_MAX + 10 };
	struct trial_entry *chain = calloc(CHAIN + 1, sizeof *chain);
	for (int i = 0; i < CHAIN; i++) {
		char *key, *value;
		assert_true(asprintf(&key, "n%d", i) > 0 && asprintf(&value, "n%d", i + 1) > 0);
		chain[i] = (struct trial_entry){ key, value };
	}
	struct ost_tables table = { chain };
	struct alias_expansion e = { .host = &trial_host, .maps = &table, .delimiters = "", .domains = "" };
	assert_int_equal(local_alias_expand(&e, "n0"), ALIAS_TOO_MUCH);
	assert_non_null(strstr(e.why, "nested too deeply"));
	local_alias_free(&e);
	for (int i = 0; i < CHAIN; i++) {
		free((void *)(uintptr_t)chain[i].key);
		free((void *)(uintptr_t)chain[i].value);
	}
	free(chain);
	char *members = malloc(MEMBERS * 12);
	size_t len = 0;
	for (int i = 0; i < MEMBERS; i++)
		len += (size_t)snprintf(members + len, 12, "%d@x,", i);
	const struct trial_entry large[] = { { "large", members }, { NULL, NULL } };
	table = (struct ost_tables){ large };
	e = (struct alias_expansion){ .host = &trial_host, .maps = &table, .delimiters = "", .domains = "" };
	assert_int_equal(local_alias_expand(&e, "large"), ALIAS_TOO_MUCH);
	local_alias_free(&e);
	free(members);
}

/* ---- delivering ---------------------------------------------------------------------------------------------------------------- */

static char base[64];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int make_base(void **state)
{
	(void)state;
	snprintf(base, sizeof base, "/tmp/ostler-local-XXXXXX");
	return mkdtemp(base) ? 0 : -1;
}

static int remove_base(void **state)
{
	(void)state;
	return nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

struct scene {
	struct trial trial;
	char config[512], spool[80];
	void *self;
};

static void set(struct scene *s, const char *name, const void *value, size_t size)
{
	for (const struct ost_param *p = s->trial.ops->ops.params; p->name; p++)
		if (strcmp(p->name, name) == 0) {
			memcpy(s->config + p->offset, value, size);
			return;
		}
	fail_msg("no parameter %s", name);
}

static void set_text(struct scene *s, const char *name, const char *value)
{
	set(s, name, &value, sizeof value);
}

static struct scene *scene_new(const char *rcpt)
{
	static const char *const texts[][2] = { { "mydestination", "here.test" }, { "myorigin", "origin.test" },
						{ "recipient_delimiter", "+" },   { "home_mailbox", "" },
						{ "mailbox_command", "" },        { "mailbox_delivery_lock", "fcntl" } };
	const char *const rcpts[] = { rcpt, NULL };
	const struct ost_tables *t = &alias_table;
	const int64_t one = 1;
	struct scene *s = calloc(1, sizeof *s);
	struct ost_why why;
	assert_true(local_LTX_ost_module.load(&trial_host, &why));
	s->trial.ops = (const struct ost_transport_ops *)local_LTX_ost_module.provides[0].ops;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		set_text(s, texts[i][0], texts[i][1]);
	set(s, "alias_maps", &t, sizeof t);
	set(s, "deliver_lock_attempts", &one, sizeof one);
	snprintf(s->spool, sizeof s->spool, "%s", base);
	set_text(s, "mail_spool_directory", s->spool);
	s->trial.config = s->config;
	s->trial.home = base;
	trial_start(&s->trial, "Subject: x\n\n", rcpts);
	assert_true(s->trial.ops->ops.open(s->trial.d.instance, s->config, &s->self, &why));
	return s;
}

static void expect(struct scene *s, enum ost_delivered status, const char *dsn, const char *text)
{
	trial_deliver(&s->trial, s->self);
	const struct trial_told *t = &s->trial.told[0];
	if (t->status != status || strcmp(t->dsn, dsn) != 0 || !strstr(t->text, text))
		fail_msg("%s: %d %s %s", s->trial.rcpts[0].address, t->status, t->dsn, t->text);
	assert_string_equal(t->relay, "local");
}

static void scene_free(struct scene *s)
{
	s->trial.ops->ops.close(s->self);
	free(s);
}

static bool exists(const char *name)
{
	char path[300];
	snprintf(path, sizeof path, "%s/%s", base, name);
	return access(path, F_OK) == 0;
}

static void where_mail_goes(void **state)
{
	(void)state;
	char maildirs[80];
	struct scene *s = scene_new("Ann+x@here.test");
	expect(s, OST_SENT, "2.0.0", "delivered to mailbox");
	assert_true(exists("ann"));
	assert_string_equal(s->trial.users, "ann ");
	snprintf(maildirs, sizeof maildirs, "%s/dirs/", base);
	char folder[90];
	snprintf(folder, sizeof folder, "%s/dirs", base);
	assert_int_equal(mkdir(folder, 0700), 0);
	set_text(s, "mail_spool_directory", maildirs);
	expect(s, OST_SENT, "2.0.0", "delivered to maildir");
	assert_true(exists("dirs/ann/new"));
	set_text(s, "home_mailbox", "Maildir/");
	expect(s, OST_SENT, "2.0.0", "delivered to maildir");
	assert_true(exists("Maildir/new"));
	set_text(s, "home_mailbox", "mbox");
	expect(s, OST_SENT, "2.0.0", "delivered to mailbox");
	assert_true(exists("mbox"));
	set_text(s, "mailbox_command", "/bin/true");
	expect(s, OST_DEFERRED, "4.3.5", "mailbox_command is set, and not supported yet");
	scene_free(s);
}

static void names_that_are_no_users(void **state)
{
	(void)state;
	static const char *const names[] = { "a/b@here.test", "../x@here.test", ".x@here.test", "-x@here.test", "@here.test" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct scene *s = scene_new(names[i]);
		expect(s, OST_BOUNCED, "5.1.1", "unknown user: ");
		assert_string_equal(s->trial.users, "");
		scene_free(s);
	}
}

static void members_near_and_far(void **state)
{
	(void)state;
	struct scene *s = scene_new("list@here.test");
	expect(s, OST_SENT, "2.0.0", "");
	assert_string_equal(s->trial.users, "ann bob cid ");
	assert_string_equal(s->trial.forwarded, "owner-list@origin.test: far@far.test | Delivered-To: list@here.test\n");
	s->trial.forward_fails = true;
	expect(s, OST_DEFERRED, "4.3.0", "unable to forward message: no space");
	scene_free(s);
	s = scene_new("joe@here.test");
	set_text(s, "mailbox_command", "/bin/true"); /* a mailbox that fails: nothing is forwarded either */
	expect(s, OST_DEFERRED, "4.3.5", "mailbox_command");
	assert_string_equal(s->trial.forwarded, "");
	scene_free(s);
}

static void what_cannot_be_done(void **state)
{
	(void)state;
	static const struct {
		const char *rcpt;
		enum ost_delivered status;
		const char *dsn, *text;
	} rows[] = {
		{ "command@here.test", OST_DEFERRED, "4.3.5", "alias target |/bin/cmd: commands, files and includes" },
		{ "broken@here.test", OST_DEFERRED, "4.3.0", "alias database unavailable" },
		{ "a@here.test", OST_BOUNCED, "5.4.6", "alias database loop for a" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct scene *s = scene_new(rows[i].rcpt);
		expect(s, rows[i].status, rows[i].dsn, rows[i].text);
		assert_string_equal(s->trial.users, "");
		assert_string_equal(s->trial.forwarded, "");
		scene_free(s);
	}
	struct scene *s = scene_new("ann@here.test");
	s->trial.content = "Delivered-To: ann@here.test\n\n";
	s->trial.d.content_size = strlen(s->trial.content);
	expect(s, OST_BOUNCED, "5.4.6", "mail forwarding loop for ann@here.test");
	scene_free(s);
}

#define IN_BASE(test) cmocka_unit_test_setup_teardown(test, make_base, remove_base)
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements),
		cmocka_unit_test(extensions),
		cmocka_unit_test(expansions),
		cmocka_unit_test(owners),
		cmocka_unit_test(bounds),
		IN_BASE(where_mail_goes),
		IN_BASE(names_that_are_no_users),
		IN_BASE(members_near_and_far),
		IN_BASE(what_cannot_be_done),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
