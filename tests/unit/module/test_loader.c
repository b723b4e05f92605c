/* SPDX-License-Identifier: Apache-2.0
 * Every refusal of the loader, with its reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "module/module.h"
#include "ostler/host.h"
#include "tests/support/fixture.h"

static struct fixture fix;

/* Starts with "table NAME FILE" for each name in the list, from the build tree unless it names a folder. */
static void start(const char *const *names)
{
	char lines[4096] = "";
	for (size_t i = 0; names[i]; i++) {
		char path[128];
		snprintf(path, sizeof path, "tests/unit/module/wrong/.libs/%s.so", names[i]);
		size_t used = strlen(lines);
		snprintf(lines + used, sizeof lines - used, "table %s %s\n", names[i], fixture_built(path));
	}
	fixture_open(&fix, "", lines);
}

static void expect_refused(const char *name, const char *reason)
{
	struct ost_why why = { "" };
	assert_null(mod_find(OST_KIND_TABLE, name, &why));
	if (!strstr(why.text, reason))
		fail_msg("%s: expected \"%s\", got \"%s\"", name, reason, why.text);
}

static void wrong_modules_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *name, *reason;
	} wrong[] = {
		{ "wmagic", "wrong magic number 0x12345678" },
		{ "wmajor", "made for module interface 2.4, this is 1.4" },
		{ "wminor", "made for the newer module interface" },
		{ "wtiny", "operations of table wtiny are incomplete" },
		{ "wnolookup", "table wnolookup lacks an entry point" },
		{ "wsymbol", "no symbol wsymbol_LTX_ost_module" },
		{ "wname", "it calls itself another, the file wname" },
		{ "wload", "its load() failed: the library says? no" },
		{ "wnothing", "it provides nothing" },
		{ "wundef", "a_symbol_that_nobody_has" },
	};
	const char *names[sizeof wrong / sizeof *wrong + 1] = { NULL };
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		names[i] = wrong[i].name;
	start(names);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		expect_refused(wrong[i].name, wrong[i].reason);
		expect_refused(wrong[i].name, "modules.cf"); /* where it is declared */
	}
	fixture_close(&fix);
}

static void an_older_smaller_vtable_is_served(void **state)
{
	(void)state;
	static const char *const names[] = { "wsmall", NULL };
	struct ost_why why = { "" };
	start(names);
	const struct mod_provider *p = mod_find(OST_KIND_TABLE, "wsmall", &why);
	assert_string_equal(why.text, "");
	assert_non_null(p);
	const struct ost_table_ops *ops = (const struct ost_table_ops *)p->ops;
	assert_non_null(ops->lookup);
	assert_null(ops->walk);
	assert_null(ops->build);
	fixture_close(&fix);
}

static void what_is_not_declared_is_not_loaded(void **state)
{
	(void)state;
	fixture_open(&fix, "", "table wgood /nonexistent/folder/wgood.so\n");
	expect_refused("wmagic", "not declared in modules.cf");
	expect_refused("wgood", "No such file or directory");
	fixture_close(&fix);
}

static void the_name_in_modules_cf_must_be_provided(void **state)
{
	(void)state;
	char line[512];
	snprintf(line, sizeof line, "table other %s\n", fixture_built("tests/unit/module/wrong/.libs/wgood.so"));
	fixture_open(&fix, "", line);
	expect_refused("other", "it provides no table other, but table wgood");
	fixture_close(&fix);
}

static void after_the_seal_nothing_is_loaded(void **state)
{
	(void)state;
	static const char *const names[] = { "wgood", "wsmall", NULL };
	struct ost_why why = { "" };
	start(names);
	assert_non_null(mod_find(OST_KIND_TABLE, "wgood", &why));
	mod_seal();
	assert_non_null(mod_find(OST_KIND_TABLE, "wgood", &why));
	expect_refused("wsmall", "nothing is loaded any more");
	fixture_close(&fix);
}

/* Puts a copy of the good module into a folder of its own; answers its path. */
static const char *copy_module(const char *folder)
{
	static char path[256]; /* one test program, one thread */
	size_t len;
	char *bytes = io_read_file(-1, fixture_built("tests/unit/module/wrong/.libs/wgood.so"), 1 << 24, &len);
	assert_non_null(bytes);
	assert_int_equal(mkdir(folder, 0755), 0);
	snprintf(path, sizeof path, "%s/wgood.so", folder);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	fclose(f);
	free(bytes);
	assert_int_equal(chmod(path, 0644), 0);
	return path;
}

static void expect_trust(const char *path, unsigned user, const char *reason)
{
	struct ost_why why = { "" };
	bool ok = mod_file_trusted(path, user, &why);
	assert_int_equal(ok, reason == NULL);
	if (reason && !strstr(why.text, reason))
		fail_msg("expected \"%s\", got \"%s\"", reason, why.text);
}

static void file_and_folders_must_be_nobody_elses(void **state)
{
	(void)state;
	char folder[128], links[160];
	unsigned me = geteuid();
	fixture_open(&fix, "", NULL);
	snprintf(folder, sizeof folder, "%s/modules", fix.dir);
	const char *path = copy_module(folder);
	expect_trust(path, me, NULL);

	chmod(path, 0664);
	expect_trust(path, me, "writable by its group (mode 0664)");
	chmod(path, 0646);
	expect_trust(path, me, "writable by everybody (mode 0646)");
	chmod(path, 0644);

	chmod(folder, 0775);
	expect_trust(path, me, "modules is writable by its group");
	chmod(folder, 0757);
	expect_trust(path, me, "modules is writable by everybody");
	chmod(folder, 0755);

	snprintf(links, sizeof links, "%s/link.so", fix.dir);
	assert_int_equal(symlink(path, links), 0);
	expect_trust(links, me, NULL); /* what it leads to counts */
	chmod(folder, 0777);
	expect_trust(links, me, "modules is writable by everybody");
	chmod(folder, 0755);

	expect_trust(folder, me, "not a regular file");
	if (me == 0) {
		assert_int_equal(chown(path, 65534, 65534), 0);
		expect_trust(path, 0, "wgood.so is owned by user 65534, not by root");
		expect_trust(path, 65534, NULL);
		assert_int_equal(chown(path, 0, 0), 0);
		assert_int_equal(chown(folder, 65534, 65534), 0);
		expect_trust(path, 0, "modules is owned by user 65534");
	} else {
		expect_trust(path, 0, "not by root");
	}
	fixture_close(&fix);
}

static void an_untrusted_file_is_not_loaded(void **state)
{
	(void)state;
	char line[256], folder[64];
	snprintf(folder, sizeof folder, "/tmp/ost-test-%d", (int)getpid());
	const char *path = copy_module(folder);
	chmod(path, 0666);
	snprintf(line, sizeof line, "table wgood %s\n", path);
	fixture_open(&fix, "", line);
	expect_refused("wgood", "writable by everybody");
	chmod(path, 0644);
	struct ost_why why = { "" };
	assert_non_null(mod_find(OST_KIND_TABLE, "wgood", &why)); /* mended: it is tried again */
	fixture_close(&fix);
	unlink(path);
	rmdir(folder);
}

/* In a child, because permission to load as root cannot be taken back. */
static void root_loads_nothing(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("# skip: needs to be root\n");
		skip();
	}
	pid_t pid = fork();
	if (pid == 0) {
		char line[512];
		snprintf(line, sizeof line, "table wgood %s\n", fixture_built("tests/unit/module/wrong/.libs/wgood.so"));
		fixture_open(&fix, "", line);
		mod_permit_root(false);
		struct ost_why why = { "" };
		bool refused = !mod_find(OST_KIND_TABLE, "wgood", &why) && strstr(why.text, "not loaded by root");
		fixture_close(&fix);
		_exit(refused ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

struct counts {
	int ok, refused;
};

static void count(void *ctx, const struct mod_report *report)
{
	struct counts *c = ctx;
	c->ok += report->ok;
	c->refused += !report->ok;
	if (strcmp(report->line->name, "wmajor") == 0)
		assert_string_not_equal(report->why.text, "");
	if (strcmp(report->line->name, "wload") == 0)
		assert_true(report->ok); /* a survey calls nothing */
	if (report->ok)
		assert_int_equal(report->descriptor->magic, OST_MAGIC);
}

static void a_survey_tries_every_line(void **state)
{
	(void)state;
	static const char *const names[] = { "wgood", "wload", "wmajor", NULL };
	struct counts c = { 0 };
	start(names);
	mod_survey(count, &c);
	assert_true(c.ok >= 2);
	assert_true(c.refused >= 1);
	fixture_close(&fix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_modules_are_refused),
		cmocka_unit_test(an_older_smaller_vtable_is_served),
		cmocka_unit_test(what_is_not_declared_is_not_loaded),
		cmocka_unit_test(the_name_in_modules_cf_must_be_provided),
		cmocka_unit_test(after_the_seal_nothing_is_loaded),
		cmocka_unit_test(file_and_folders_must_be_nobody_elses),
		cmocka_unit_test(an_untrusted_file_is_not_loaded),
		cmocka_unit_test(root_loads_nothing),
		cmocka_unit_test(a_survey_tries_every_line),
	};
	return cmocka_run_group_tests_name("loader", tests, NULL, NULL);
}
