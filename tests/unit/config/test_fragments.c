/* SPDX-License-Identifier: Apache-2.0
 * Fragments, settings that mean nothing, and what postconf warns of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "folder.h"

static const char modules[] = "transport smtp smtp.so\ntransport local local.so\ntable hash hash.so\n";
static const char master[] =
	"smtp inet n - n - - smtpd\ncleanup unix n - - - 0 cleanup\nrelay unix - - n - - smtp\n";

#define assert_found(f, grade, words)                                                                        \
	do {                                                                                                 \
		if (!folder_found((f), (grade), (words))) {                                                  \
			folder_print(f);                                                                     \
			fail_msg("not found: %s", (words));                                                  \
		}                                                                                            \
	} while (0)

/* Settings that mean the default are nothing to tell about. */
static void default_settings(void **state)
{
	struct folder f;
	folder_make(&f,
		    "max_use = 100\nipc_idle = 5\nbiff = No\nheader_checks "
		    "=\nsmtpd_tls_auth_only=no\nqmgr_clog_warn_time = 5m\n"
		    "readme_directory = no\ncontent_filter = x\nostler_ignore_parameters = content_filter\n",
		    master, modules);
	folder_read(&f, NULL);
	folder_print(&f);
	assert_int_equal(findings_count(f.findings, NULL), 0);
	folder_remove(&f);
}

static void make_sub(const struct folder *f, const char *name)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", f->path, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

/* main.cf.d/ and master.cf.d/: in the order of their names after the main file, also in a snapshot; not in a
 * folder of Postfix's. */
static void fragments(void **state)
{
	struct folder f;
	struct ost_why why;
	folder_make(&f, "myhostname = a.example.org\nmydomain = example.org\n", "smtp inet n - n - - smtpd\n",
		    modules);
	make_sub(&f, "main.cf.d");
	make_sub(&f, "master.cf.d");
	folder_write(&f, "main.cf.d/20.cf", "myhostname = c.example.org\nsmtpd_timeout = 5x\n");
	folder_write(&f, "main.cf.d/10.cf", "# c\nmyhostname = b.example.org\nmyorigin = x\n");
	folder_write(&f, "main.cf.d/30.cf.off", "myhostname = d.example.org\n");
	folder_write(&f, "master.cf.d/10.cf", "smtp inet n - n - 7 smtpd\nextra unix - - n - - smtp\n");
	folder_read(&f, NULL);
	assert_string_equal(cfg_str(config_main_view(f.config), P_myhostname), "c.example.org");
	assert_string_equal(cfg_where(config_main_view(f.config), "myhostname"), "main.cf.d/20.cf: line 1");
	assert_string_equal(cfg_where(config_main_view(f.config), "myorigin"), "main.cf.d/10.cf: line 3");
	assert_found(&f, FINDING_FATAL, "main.cf.d/20.cf: line 2: smtpd_timeout: bad time");
	assert_int_equal(findings_count(f.findings, NULL), 1); /* overriding is no finding */
	assert_int_equal(config_services(f.config, NULL), 2);
	assert_int_equal(config_service(f.config, "smtp", NULL)->maxproc, 7);
	assert_string_equal(config_service(f.config, "extra", NULL)->where, "master.cf.d/10.cf: line 2");
	folder_write(&f, "main.cf.d/20.cf", "myhostname = c.example.org\n");
	config_destroy(&f.config);
	findings_destroy(&f.findings);
	folder_read(&f, NULL);
	int fd = config_snapshot(f.config, &why);
	struct config *copy = config_from_snapshot(fd, &why);
	assert_non_null(copy);
	assert_string_equal(cfg_where(config_main_view(copy), "myhostname"), "main.cf.d/20.cf: line 1");
	assert_int_equal(config_services(copy, NULL), 2);
	config_destroy(&copy);
	close(fd);
	config_destroy(&f.config);
	findings_destroy(&f.findings);
	char path[256];
	snprintf(path, sizeof path, "%s/modules.cf", f.path);
	unlink(path);
	folder_read(&f, NULL);
	assert_string_equal(cfg_str(config_main_view(f.config), P_myhostname), "a.example.org");
	assert_found(&f, FINDING_WARNING, "main.cf.d/10.cf: not read");
	static const char *const names[] = { "main.cf.d/10.cf", "main.cf.d/20.cf", "main.cf.d/30.cf.off",
					     "master.cf.d/10.cf" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", f.path, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof path, "%s/main.cf.d", f.path);
	rmdir(path);
	snprintf(path, sizeof path, "%s/master.cf.d", f.path);
	rmdir(path);
	folder_remove(&f);
}

static bool noted(const struct config_note *list, size_t n, const char *file, const char *text, bool unused)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i].file, file) && !strcmp(list[i].text, text) && list[i].unused == unused)
			return true;
	return false;
}

/* What postconf warns of. */
static void notes(void **state)
{
	struct folder f;
	const struct config_note *list;
	struct arena *arena = arena_new();
	folder_make(&f,
		    "a = $b\nb = 1\nsmtpd_restriction_classes = c d\nc = permit\nvirtual_alias_maps = "
		    "proxy:mysql:m, pgsql:/nonexistent/x\n"
		    "m_hosts = h\nm_hotst = i\nsmtpd_banner = $myhostname $e\n",
		    "smtp inet n - n - - smtpd -o smtpd_banner=$x$y -o x=1 -o z=2\n", modules);
	folder_read(&f, NULL);
	size_t n = config_notes(f.config, arena, &list);
	assert_true(noted(list, n, "main.cf", "unused parameter: a=$b", true));
	assert_true(noted(list, n, "main.cf", "unused parameter: m_hotst=i", true));
	assert_true(noted(list, n, "main.cf", "undefined parameter: d", false));
	assert_true(noted(list, n, "main.cf", "undefined parameter: e", false));
	assert_true(noted(list, n, "master.cf", "undefined parameter: y", false));
	assert_true(noted(list, n, "master.cf", "unused parameter: z=2", true));
	assert_true(noted(list, n, "",
			  "open \"pgsql\" configuration \"/nonexistent/x\": No such file or directory",
			  false));
	assert_int_equal(n, 7);
	assert_true(config_name_exists(f.config, "b") && config_name_exists(f.config, "m_hosts") &&
		    config_name_exists(f.config, "c"));
	assert_false(config_name_exists(f.config, "a") || config_name_exists(f.config, "m_hotst"));
	arena_destroy(&arena);
	folder_remove(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_settings),
		cmocka_unit_test(fragments),
		cmocka_unit_test(notes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
