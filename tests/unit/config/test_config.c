/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/clock.h"
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

static void typed_reads(void **state)
{
	struct folder f;
	folder_make(&f,
		    "myhostname = mx.example.com\nsmtpd_timeout = 2m\nmessage_size_limit = 5000\n"
		    "disable_vrfy_command = YES\nsmtpd_recipient_limit = 7\nmaximal_queue_lifetime = 2\n"
		    "smtpd_banner = $myhostname ESMTP\nown = 1 $mydomain\nrelayhost = ${own?[x]}\n",
		    master, modules);
	folder_read(&f, NULL);
	folder_print(&f);
	assert_int_equal(findings_count(f.findings, NULL), 0);
	const struct cfg_view *v = config_main_view(f.config);
	assert_string_equal(cfg_str(v, P_smtpd_banner), "mx.example.com ESMTP");
	assert_string_equal(cfg_str(v, P_mydomain), "example.com");
	assert_int_equal(cfg_time(v, P_smtpd_timeout), 120 * CLOCK_SECOND);
	assert_int_equal(cfg_time(v, P_maximal_queue_lifetime), 2 * 86400 * CLOCK_SECOND);
	assert_int_equal(cfg_size(v, P_message_size_limit), 5000);
	assert_int_equal(cfg_int(v, P_smtpd_recipient_limit), 7);
	assert_true(cfg_bool(v, P_disable_vrfy_command));
	assert_true(cfg_is_set(v, P_smtpd_timeout));
	assert_false(cfg_is_set(v, P_smtpd_helo_required));
	assert_string_equal(cfg_where(v, "smtpd_timeout"), "main.cf: line 2");
	assert_string_equal(cfg_where(v, "smtpd_helo_required"), "default value");
	assert_string_equal(cfg_lookup(v, "own"), "1 example.com");
	assert_string_equal(cfg_lookup(v, "smtp_tls_key_file"), "");
	assert_string_equal(cfg_lookup(v, "relay_destination_rate_delay"), "0s");
	assert_null(cfg_lookup(v, "nothing_of_this_name"));
	assert_string_equal(cfg_service_name(v), "");
	folder_remove(&f);
}

static void folders_have_their_defaults(void **state)
{
	struct folder f;
	char own[96];
	folder_make(&f, "", master, modules);
	folder_read(&f, NULL);
	const struct cfg_view *v = config_main_view(f.config);
	assert_false(cfg_postfix_folder(v));
	assert_string_equal(cfg_str(v, P_mail_owner), "ostler");
	assert_string_equal(cfg_str(v, P_syslog_name), "ostler");
	assert_string_equal(cfg_str(v, P_config_directory), f.path);
	folder_remove(&f);

	folder_make(&f, "", master, NULL);
	folder_write(&f, "list", modules);
	snprintf(own, sizeof own, "ostler_modules_file=%s/list", f.path);
	folder_read(&f, (const char *const[]){ own, "multi_instance_name=second", NULL });
	folder_print(&f);
	assert_int_equal(findings_count(f.findings, NULL), 0);
	v = config_main_view(f.config);
	assert_true(cfg_postfix_folder(v));
	assert_string_equal(cfg_str(v, P_mail_owner), "postfix");
	assert_string_equal(cfg_str(v, P_queue_directory), "/var/spool/postfix");
	assert_string_equal(cfg_str(v, P_syslog_name), "second");
	assert_int_equal(config_modules(f.config, NULL), 3);
	snprintf(own, sizeof own, "%s/list", f.path);
	unlink(own);
	folder_remove(&f);
}

static void scope_of_overrides(void **state)
{
	struct folder f;
	folder_make(&f, "message_size_limit = 1000\nsmtpd_banner = main $text\nmessage_drop_headers = a\n",
		    "smtp inet n - n - - smtpd -o message_size_limit=2000 -o text=T -o { smtpd_banner = line "
		    "$text }\n"
		    "  -o hopcount_limit=3 -o queue_run_delay=7\n"
		    "# -o smtpd_banner=no\n"
		    "  -v\n"
		    "cleanup unix n - n - 0 cleanup -o hopcount_limit=9\n"
		    "own unix - - n - - smtp -o syslog_name=x/$service_name\n",
		    modules);
	folder_read(&f, NULL);
	const struct service *s = config_service(f.config, "smtp", "smtpd");
	assert_non_null(s);
	assert_int_equal(cfg_size(s->view, P_message_size_limit), 2000); /* read by all */
	assert_string_equal(cfg_str(s->view, P_smtpd_banner), "line T");
	assert_int_equal(cfg_int(s->view, P_hopcount_limit), 50); /* not smtpd's */
	assert_int_equal(cfg_time(s->view, P_queue_run_delay), 300 * CLOCK_SECOND);
	assert_string_equal(cfg_str(config_main_view(f.config), P_smtpd_banner), "main ");
	assert_string_equal(s->argv[0], "-v");
	assert_null(s->argv[1]);
	const struct cfg_view *cleanup = config_role_view(f.config, s, ROLE_CLEANUP);
	assert_int_equal(cfg_int(cleanup, P_hopcount_limit), 9);
	assert_int_equal(cfg_size(cleanup, P_message_size_limit), 1000);
	assert_ptr_equal(config_role_view(f.config, s, ROLE_REWRITE), config_main_view(f.config));
	assert_string_equal(cfg_str(config_transport(f.config, "own")->view, P_syslog_name), "x/own");
	assert_found(&f, FINDING_WARNING,
		     "master.cf: line 1: -o: queue_run_delay: smtpd does not read this parameter: it has no "
		     "effect");
	assert_found(&f, FINDING_WARNING, "-o: hopcount_limit: smtpd does not read");
	assert_int_equal(findings_count(f.findings, NULL), 2);
	folder_remove(&f);
}

static void values_under_stress(void **state)
{
	struct folder f;
	folder_make(
		&f, "smtpd_junk_command_limit = ${stress?{2}:{70}}\nsmtpd_error_sleep_time = 3s\n",
		"smtp inet n - n - - smtpd -o smtpd_error_sleep_time=4s\ncleanup unix n - n - 0 cleanup\n",
		modules);
	folder_read(&f, NULL);
	const struct cfg_view *v = config_service(f.config, "smtp", NULL)->view, *s = cfg_stress_view(v);
	assert_int_equal(cfg_time(v, P_smtpd_timeout), 300 * CLOCK_SECOND);
	assert_int_equal(cfg_time(s, P_smtpd_timeout), 10 * CLOCK_SECOND);
	assert_int_equal(cfg_int(v, P_smtpd_junk_command_limit), 70);
	assert_int_equal(cfg_int(s, P_smtpd_junk_command_limit), 2);
	assert_int_equal(cfg_time(s, P_smtpd_error_sleep_time), 4 * CLOCK_SECOND);
	assert_int_equal(cfg_int(cfg_stress_view(config_main_view(f.config)), P_smtpd_hard_error_limit), 1);
	v = config_service(f.config, "cleanup", NULL)->view;
	assert_ptr_equal(cfg_stress_view(v), v);
	assert_int_equal(findings_count(f.findings, NULL), 0);
	folder_remove(&f);
}

static void cleanup_line_by_name(void **state)
{
	struct folder f;
	folder_make(&f, "",
		    "1025 inet n - n - - smtpd -o cleanup_service_name=other\n"
		    "cleanup unix n - n - 0 cleanup\n"
		    "other unix n - n - 0 cleanup -o hopcount_limit=4\n",
		    modules);
	folder_read(&f, NULL);
	const struct service *s = config_service(f.config, "1025", NULL);
	assert_int_equal(cfg_int(config_role_view(f.config, s, ROLE_CLEANUP), P_hopcount_limit), 4);
	assert_int_equal(cfg_int(config_role_view(f.config, NULL, ROLE_CLEANUP), P_hopcount_limit), 50);
	assert_int_equal(findings_count(f.findings, NULL), 0);
	folder_remove(&f);
}

static void derived_parameters(void **state)
{
	struct folder f;
	folder_make(&f,
		    "default_destination_concurrency_limit = 8\nrelay_destination_concurrency_limit = 3\n"
		    "relay_initial_destination_concurrency = $relay_destination_concurrency_limit\n"
		    "relay_transport_rate_delay = 2m\n",
		    master, modules);
	folder_read(&f, NULL);
	folder_print(&f);
	const struct cfg_view *v = config_main_view(f.config);
	assert_int_equal(findings_count(f.findings, NULL), 0);
	assert_int_equal(cfg_derived_int(v, "relay", P_default_destination_concurrency_limit), 3);
	assert_int_equal(cfg_derived_int(v, "relay", P_initial_destination_concurrency), 3);
	assert_int_equal(cfg_derived_int(v, "smtp", P_default_destination_concurrency_limit), 8);
	assert_int_equal(cfg_derived_int(v, "local", P_default_destination_concurrency_limit), 2);
	assert_int_equal(cfg_derived_int(v, "local", P_default_destination_recipient_limit), 1);
	assert_int_equal(cfg_derived_time(v, "relay", P_default_transport_rate_delay), 120 * CLOCK_SECOND);
	assert_int_equal(cfg_derived_time(v, "smtp", P_default_transport_rate_delay), 0);
	folder_remove(&f);
}

static void main_cf_findings(void **state)
{
	static const struct {
		enum finding_grade grade;
		const char *line, *words; /* the line is the third of the file */
	} cases[] = {
		{ FINDING_FATAL, "smtpd_timeout = 5x",
		  "main.cf: line 3: smtpd_timeout: bad time value or unit" },
		{ FINDING_FATAL, "smtpd_timeout = 0",
		  "main.cf: line 3: smtpd_timeout: value 0 is too small (at least 1s)" },
		{ FINDING_FATAL, "reject_code = 250",
		  "main.cf: line 3: reject_code: value 250 is too small" },
		{ FINDING_FATAL, "soft_bounce = maybe", "main.cf: line 3: soft_bounce: bad boolean value" },
		{ FINDING_FATAL, "message_size_limit = 10M",
		  "main.cf: line 3: message_size_limit: bad numerical value" },
		{ FINDING_FATAL, "smtpd_banner = ${a",
		  "main.cf: line 3: smtpd_banner: missing closing bracket" },
		{ FINDING_FATAL, "smtpd_banner = x $smtpd_banner",
		  "main.cf: line 3: smtpd_banner: its value refers to itself" },
		{ FINDING_FATAL, "mynetworks_style = some",
		  "main.cf: line 3: mynetworks_style: host, subnet or class" },
		{ FINDING_FATAL, "relay_destination_rate_delay = x",
		  "line 3: relay_destination_rate_delay: bad time" },
		{ FINDING_FATAL, "no assignment", "main.cf: line 3: missing '='" },
		{ FINDING_FATAL, "= x", "main.cf: line 3: missing attribute name" },
		{ FINDING_WARNING, "smptd_banner = x",
		  "main.cf: line 3: smptd_banner: unknown parameter; did you mean smtpd_banner?" },
		{ FINDING_WARNING, "my_own_thing = x",
		  "main.cf: line 3: my_own_thing: unused parameter: my_own_thing=x" },
		{ FINDING_WARNING, "nix_destination_rate_delay = 5s", "master.cf has no service \"nix\"" },
		{ FINDING_WARNING, "mydomain = other.org",
		  "main.cf: line 3: overriding earlier entry: mydomain=example.com" },
		{ FINDING_FATAL, "content_filter = x",
		  "main.cf: line 3: content_filter: not yet supported: security is weakened" },
		{ FINDING_WARNING, "smtp_tls_security_level = may",
		  "main.cf: line 3: smtp_tls_security_level: not yet supported: it has no effect" },
		{ FINDING_FATAL, "smtpd_tls_req_ccert = yes",
		  "smtpd_tls_req_ccert: not yet supported: security" },
		{ FINDING_WARNING, "postscreen_dnsbl_action = drop", /* no line of master.cf would read it */
		  "main.cf: line 3: postscreen_dnsbl_action: not yet supported: it has no effect" },
		{ FINDING_WARNING, "max_use = 5",
		  "main.cf: line 3: max_use: has no effect here because a process serves" },
		{ FINDING_WARNING, "enable_errors_to = yes",
		  "main.cf: line 3: enable_errors_to: deprecated: Postfix has it no more" },
		{ FINDING_WARNING, "virtual_maps = hash:x",
		  "main.cf: line 3: virtual_maps: deprecated: use virtual_alias_maps" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct folder f;
		char text[256];
		snprintf(text, sizeof text, "# c\nmydomain = example.com\n%s\n", cases[i].line);
		folder_make(&f, text, master, modules);
		folder_read(&f, NULL);
		assert_non_null(f.config);
		assert_found(&f, cases[i].grade, cases[i].words);
		assert_int_equal(findings_count(f.findings, NULL), 1);
		assert_int_equal(findings_fatal(f.findings), cases[i].grade == FINDING_FATAL);
		/* A bad value leaves the default in place. */
		assert_int_equal(cfg_time(config_main_view(f.config), P_smtpd_timeout), 300 * CLOCK_SECOND);
		folder_remove(&f);
	}
}

static void settings_without_finding(void **state)
{
	static const char *const lines[] = {
		"readme_directory = /usr/share/doc",
		"biff = no",
		"smtpd_tls_ciphers = medium",
		"my_list = permit\nsmtpd_helo_restrictions = $my_list",
		"smtpd_restriction_classes = strict\nstrict = reject",
		"inner = x\nouter = ${inner}\nrelayhost = $outer",
		"content_filter = x\nostler_ignore_parameters = content_filter",
		"mua_client_restrictions = permit\n",
		"import_environment = A B", /* whatever is set to a value of its own */
	};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct folder f;
		folder_make(
			&f, lines[i],
			"smtp inet n - n - - smtpd -o smtpd_client_restrictions=$mua_client_restrictions\n"
			"cleanup unix n - n - 0 cleanup\n",
			modules);
		folder_read(&f, NULL);
		folder_print(&f);
		assert_int_equal(findings_count(f.findings, NULL), 0);
		folder_remove(&f);
	}
}

static void master_cf_findings(void **state)
{
	static const struct {
		enum finding_grade grade;
		const char *line, *words; /* behind one good line */
	} cases[] = {
		{ FINDING_FATAL, "x unix - - n -", "master.cf: line 2: missing \"process_limit\" field" },
		{ FINDING_FATAL, "x tcp - - n - - smtp",
		  "master.cf: line 2: field \"type\": bad value: \"tcp\"" },
		{ FINDING_FATAL, "x unix - - z - - smtp",
		  "master.cf: line 2: field \"chroot\": bad value: \"z\"" },
		{ FINDING_FATAL, "x unix - - n 5x - smtp", "field \"wakeup\": bad value" },
		{ FINDING_FATAL, "x unix - - n - -1 smtp", "field \"process_limit\": bad value" },
		{ FINDING_FATAL, "25 inet - - n - - smtpd",
		  "master.cf: line 2: 25: an inet service cannot be private" },
		{ FINDING_FATAL, "x unix - - n - - smtp -o", "master.cf: line 2: -o without name=value" },
		{ FINDING_FATAL, "x unix - - n - - smtp -o foo", "master.cf: line 2: -o: missing '='" },
		{ FINDING_FATAL, "x unix - - n - - smtp -o smtp_quit_timeout=z",
		  "master.cf: line 2: -o: smtp_quit_timeout: bad time" },
		{ FINDING_WARNING, "smtp inet n - n - - smtpd",
		  "master.cf: line 2: smtp: duplicate entry for this service and type (line 1)" },
		{ FINDING_WARNING, "x unix - - n - - smtp -o smtp_quit_timeuot=5",
		  "smtp_quit_timeuot: unknown parameter; did you mean smtp_quit_timeout?" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct folder f;
		char text[256];
		snprintf(text, sizeof text, "smtp inet n - n - - smtpd\n%s\n", cases[i].line);
		folder_make(&f, "", text, modules);
		folder_read(&f, NULL);
		assert_non_null(f.config);
		assert_found(&f, cases[i].grade, cases[i].words);
		assert_int_equal(findings_count(f.findings, NULL), 1);
		folder_remove(&f);
	}
}

/* What a module would say. */
static bool is_mine(void *ctx, const char *name)
{
	(void)ctx;
	return !strncmp(name, "my_", 3);
}

static void parameters_of_modules(void **state)
{
	struct folder f;
	folder_make(&f, "my_text = $other\nother = x\nanother = y\n", master, modules);
	f.findings = findings_new();
	f.config = config_read(f.path, NULL, f.findings);
	config_check(f.config, f.findings);
	assert_int_equal(findings_count(f.findings, NULL), 0);
	config_check_names(f.config, is_mine, NULL, f.findings);
	assert_found(&f, FINDING_WARNING, "main.cf: line 3: another: unused parameter: another=y");
	assert_int_equal(findings_count(f.findings, NULL), 1);
	folder_remove(&f);
}

static void master_cf_columns(void **state)
{
	struct folder f;
	folder_make(&f, "default_process_limit = 11\n",
		    "127.0.0.1:smtp inet n y - - - smtpd\n"
		    "pickup fifo n n y 60? 1 pickup\n"
		    "pipe unix - - - - 0 smtp -o smtp_quit_timeout=5 flags=D user=a { x y } -o z\n"
		    "postlog unix-dgram n - n - 1 postlogd\n",
		    modules);
	folder_read(&f, NULL);
	folder_print(&f);
	const struct service *const *list;
	assert_int_equal(findings_count(f.findings, NULL), 0);
	assert_int_equal(config_services(f.config, &list), 4);
	assert_string_equal(list[0]->name, "127.0.0.1:smtp");
	assert_int_equal(list[0]->type, SERVICE_INET);
	assert_false(list[0]->is_private);
	assert_true(list[0]->unpriv);
	assert_true(list[0]->chroot); /* compatibility level 0 */
	assert_int_equal(list[0]->maxproc, 11);
	assert_int_equal(list[1]->wakeup, 60 * CLOCK_SECOND);
	assert_true(list[1]->wakeup_if_used);
	assert_false(list[1]->unpriv);
	assert_int_equal(list[1]->maxproc, 1);
	assert_int_equal(list[2]->maxproc, 0);
	static const char *const argv[] = { "flags=D", "user=a", "x y", "-o", "z" };
	for (size_t i = 0; i < sizeof argv / sizeof *argv; i++)
		assert_string_equal(list[2]->argv[i], argv[i]);
	assert_null(list[2]->argv[5]);
	assert_int_equal(list[3]->type, SERVICE_UNIX_DGRAM);
	folder_remove(&f);

	folder_make(&f, "compatibility_level = 2\n", "smtp inet n - - - - smtpd\n", modules);
	folder_read(&f, NULL);
	config_services(f.config, &list);
	assert_false(list[0]->chroot);
	folder_remove(&f);
}

static void modules_and_their_folder(void **state)
{
	struct folder f;
	char path[96];
	folder_make(&f, "", master, "table hash hash.so\n# x\ntransport smtp /opt/smtp.so\n");
	snprintf(path, sizeof path, "%s/modules.d", f.path);
	mkdir(path, 0755);
	folder_write(&f, "modules.d/b.cf", "check access access.so\n");
	folder_write(&f, "modules.d/a.cf", "table pgsql pgsql.so\n");
	folder_write(&f, "modules.d/README", "not read\n");
	folder_read(&f, NULL);
	folder_print(&f);
	const struct module_line *const *list;
	assert_int_equal(findings_count(f.findings, NULL), 0);
	assert_int_equal(config_modules(f.config, &list), 4);
	assert_string_equal(list[1]->where, "modules.cf: line 3");
	assert_string_equal(list[1]->file, "/opt/smtp.so");
	assert_string_equal(list[2]->where, "modules.d/a.cf: line 1");
	assert_int_equal(list[3]->kind, OST_KIND_CHECK);
	folder_remove(&f);

	folder_make(&f, "", "", "table hash\nthing x y\ntable a b\ntable a c\n");
	folder_read(&f, NULL);
	assert_found(&f, FINDING_FATAL, "modules.cf: line 1: \"kind name file\" is wanted");
	assert_found(&f, FINDING_FATAL, "modules.cf: line 2: unknown kind \"thing\"");
	assert_found(&f, FINDING_FATAL,
		     "modules.cf: line 4: table a is declared already in modules.cf: line 3");
	folder_remove(&f);
}

static void unreadable(void **state)
{
	struct folder f;
	folder_make(&f, NULL, master, modules);
	folder_read(&f, NULL);
	assert_null(f.config);
	assert_found(&f, FINDING_FATAL, "main.cf: No such file");
	folder_remove(&f);
	folder_make(&f, "", NULL, modules);
	folder_read(&f, NULL);
	assert_non_null(f.config);
	assert_found(&f, FINDING_FATAL, "master.cf: No such file");
	folder_remove(&f);
}

static void overrides_win(void **state)
{
	struct folder f;
	folder_make(&f, "relayhost = a\n", master, modules);
	folder_read(&f, (const char *const[]){ "relayhost = b", "nonsense", NULL });
	assert_string_equal(cfg_str(config_main_view(f.config), P_relayhost), "b");
	assert_string_equal(cfg_where(config_main_view(f.config), "relayhost"), "command line");
	assert_found(&f, FINDING_FATAL, "command line: missing '='");
	folder_remove(&f);
}

static void snapshot(void **state)
{
	struct folder f;
	struct ost_why why = { "" };
	folder_make(&f, "relayhost = a\nsmtpd_banner = $relayhost x\n", master, modules);
	folder_read(&f, (const char *const[]){ "myorigin=o", NULL });
	int fd = config_snapshot(f.config, &why);
	assert_true(fd >= 0);
	/* What happens to the files later does not matter. */
	folder_write(&f, "main.cf", "relayhost = changed\n");
	struct config *again = config_from_snapshot(fd, &why);
	if (!again)
		fail_msg("%s", why.text);
	const struct cfg_view *v = config_main_view(again);
	assert_string_equal(cfg_str(v, P_smtpd_banner), "a x");
	assert_string_equal(cfg_str(v, P_myorigin), "o");
	assert_string_equal(cfg_folder(v), cfg_folder(config_main_view(f.config)));
	assert_int_equal(config_services(again, NULL), 3);
	assert_int_equal(config_modules(again, NULL), 3);
	config_destroy(&again);
	close(fd);
	fd = io_memfd("damaged", "abcdefgh01234567", 16);
	assert_null(config_from_snapshot(fd, &why));
	assert_non_null(strstr(why.text, "damaged"));
	close(fd);
	folder_remove(&f);
}

static void snapshot_of_a_bad_one(void **state)
{
	struct folder f;
	struct ost_why why = { "" };
	folder_make(&f, "max_use = 1\nsmtpd_timeout = 5x\n", master, modules);
	folder_read(&f, NULL);
	int fd = config_snapshot(f.config, &why);
	assert_null(config_from_snapshot(fd, &why));
	assert_non_null(strstr(why.text, "smtpd_timeout: bad time"));
	close(fd);
	folder_remove(&f);
}

static void hostile_files(void **state)
{
	struct folder f;
	char nul[] = "relayhost = a\nmyorigin = b\0c\n";
	folder_make(&f, "", master, modules);
	char path[128];
	snprintf(path, sizeof path, "%s/main.cf", f.path);
	int fd = open(path, O_WRONLY);
	assert_true(io_write_all(fd, nul, sizeof nul - 1));
	close(fd);
	folder_read(&f, NULL);
	assert_found(&f, FINDING_FATAL, "main.cf: the file contains a NUL byte");
	folder_remove(&f);
	folder_make(&f, "bad\033name\n", master, modules);
	folder_read(&f, NULL);
	assert_found(&f, FINDING_FATAL, "bad?name");
	folder_remove(&f);
}

/* Many threads ask for names outside the table. */
static void *ask_often(void *arg)
{
	const struct cfg_view *v = arg;
	for (int i = 0; i < 200; i++) {
		if (strcmp(cfg_lookup(v, "mine"), "mx.example.com!") != 0 ||
		    !cfg_lookup(v, "smtp_tls_CAfile"))
			return NULL;
		if (strcmp(cfg_str(v, P_myhostname), "mx.example.com") != 0)
			return NULL;
	}
	return arg;
}

static void threads(void **state)
{
	enum { THREADS = 8 };
	struct folder f;
	pthread_t ids[THREADS];
	folder_make(&f, "myhostname = mx.example.com\nmine = $myhostname!\nrelayhost = $mine\n", master,
		    modules);
	folder_read(&f, NULL);
	const struct cfg_view *v = config_main_view(f.config);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&ids[i], NULL, ask_often, (void *)(uintptr_t)v), 0);
	for (int i = 0; i < THREADS; i++) {
		void *result;
		pthread_join(ids[i], &result);
		assert_non_null(result);
	}
	folder_remove(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(typed_reads),
		cmocka_unit_test(folders_have_their_defaults),
		cmocka_unit_test(scope_of_overrides),
		cmocka_unit_test(values_under_stress),
		cmocka_unit_test(cleanup_line_by_name),
		cmocka_unit_test(derived_parameters),
		cmocka_unit_test(main_cf_findings),
		cmocka_unit_test(settings_without_finding),
		cmocka_unit_test(master_cf_findings),
		cmocka_unit_test(parameters_of_modules),
		cmocka_unit_test(master_cf_columns),
		cmocka_unit_test(modules_and_their_folder),
		cmocka_unit_test(unreadable),
		cmocka_unit_test(overrides_win),
		cmocka_unit_test(snapshot),
		cmocka_unit_test(snapshot_of_a_bad_one),
		cmocka_unit_test(hostile_files),
		cmocka_unit_test(threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
