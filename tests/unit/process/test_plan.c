/* SPDX-License-Identifier: Apache-2.0
 * What the lines of master.cf become, who may talk to whom, and whom the broker serves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "process/broker_rules.h"
#include "process/duties.h"
#include "process/listen.h"
#include "tests/unit/config/folder.h"

#define MODULES "transport smtp smtp.so\ntransport local local.so\ntransport virtual virtual.so\n"
#define BASE                                                                                                 \
	"qmgr unix n - n 300 1 qmgr\nrewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\n" \
	"pickup unix n - n 60 1 pickup\n"

struct planned {
	struct folder folder;
	struct duty_plan list[32];
	size_t n;
};

static void add(void *ctx, const struct duty_plan *plan)
{
	struct planned *p = ctx;
	assert_true(p->n < 32);
	p->list[p->n++] = *plan;
}

static void plan(struct planned *p, const char *main_cf, const char *master_cf, bool rootless)
{
	p->n = 0;
	folder_make(&p->folder, main_cf, master_cf, MODULES);
	folder_read(&p->folder, NULL);
	assert_non_null(p->folder.config);
	duties_plan(p->folder.config, rootless, add, p, p->folder.findings);
}

static const struct duty_plan *planned(const struct planned *p, const char *role, const char *name)
{
	for (size_t i = 0; i < p->n; i++) {
		if (strcmp(p->list[i].role, role) == 0 && (!name || strcmp(p->list[i].name, name) == 0))
			return &p->list[i];
	}
	return NULL;
}

static void lines_become_roles(void **state)
{
	struct planned p;
	(void)state;
	plan(&p, "ostler_worker_processes = 3\n",
	     "127.0.0.1:25 inet n - n - - smtpd\n127.0.0.1:587 inet n - n - 2 smtpd\n" BASE
	     "smtp unix - - n - - smtp\nlocal unix - n n - - local\ncleanup unix n - n - 0 cleanup\n"
	     "anvil unix - - n - 1 anvil\nmine unix - - n - 7 smtp\n",
	     false);
	assert_int_equal(planned(&p, "smtpd", "127.0.0.1:25")->processes, 3);
	assert_int_equal(planned(&p, "smtpd", "127.0.0.1:587")->processes, 2); /* not more than maxproc */
	assert_int_equal(planned(&p, "smtpd", "127.0.0.1:25")->kind, DUTY_ALWAYS);
	assert_int_equal(planned(&p, "agent", "smtp")->kind, DUTY_ON_DEMAND);
	assert_non_null(planned(&p, "agent", "mine"));
	assert_false(planned(&p, "agent", "smtp")->broker);
	assert_true(planned(&p, "agent", "local")->broker);
	assert_true(planned(&p, "broker", NULL)->root);
	assert_false(planned(&p, "broker", NULL)->modules);
	assert_false(planned(&p, "qmgr", NULL)->modules);
	assert_false(planned(&p, "bounce", NULL)->modules);
	assert_int_equal(planned(&p, "proxymap", NULL)->kind, DUTY_ON_DEMAND);
	assert_non_null(planned(&p, "pickup", NULL)->line);
	assert_null(planned(&p, "agent", "cleanup"));
	assert_int_equal(p.n, 11);
	assert_false(findings_fatal(p.folder.findings));
	folder_remove(&p.folder);
}

static void a_bare_master_cf_has_what_must_run(void **state)
{
	struct planned p;
	(void)state;
	plan(&p, "", "smtp unix - - n - - smtp\n", true);
	assert_non_null(planned(&p, "qmgr", NULL));
	assert_non_null(planned(&p, "resolve", NULL));
	assert_non_null(planned(&p, "bounce", NULL));
	assert_null(planned(&p, "pickup", NULL)); /* no line: no local submission */
	assert_null(planned(&p, "broker", NULL)); /* rootless */
	folder_remove(&p.folder);
}

static void lines_that_nothing_serves_are_named(void **state)
{
	struct planned p;
	(void)state;
	plan(&p, "", BASE "odd unix - - n - - frobnicate\n", false);
	assert_true(folder_found(&p.folder, FINDING_FATAL, "unknown command \"frobnicate\""));
	folder_remove(&p.folder);
	plan(&p, "", BASE "up unix - n n - - pipe user=nobody argv=/bin/true\npol unix - n n - 0 spawn\n",
	     false);
	assert_true(folder_found(&p.folder, FINDING_WARNING, "service up: \"pipe\" is not supported"));
	assert_true(folder_found(&p.folder, FINDING_WARNING, "service pol: \"spawn\" is not supported"));
	assert_false(findings_fatal(p.folder.findings));
	folder_remove(&p.folder);
	plan(&p, "", BASE "proxymap unix - - y - - proxymap\n", false);
	assert_true(folder_found(&p.folder, FINDING_WARNING, "service proxymap: its chroot column has no effect"));
	folder_remove(&p.folder);
	plan(&p, "", BASE "127.0.0.1:2525 inet n - n - - smtp\n", false);
	assert_true(folder_found(&p.folder, FINDING_FATAL, "a transport's type must be unix"));
	folder_remove(&p.folder);
}

static void only_some_may_talk_to_some(void **state)
{
	(void)state;
	assert_true(duties_may_connect("smtpd", false, "qmgr"));
	assert_true(duties_may_connect("qmgr", false, "bounce"));
	assert_true(duties_may_connect("agent", false, "qmgr"));
	assert_false(duties_may_connect("agent", false, "broker"));
	assert_true(duties_may_connect("agent", true, "broker"));
	assert_true(duties_may_connect("smtpd", false, "proxymap"));
	assert_true(duties_may_connect("agent", false, "proxymap"));
	assert_false(duties_may_connect("proxymap", false, "qmgr"));
	assert_false(duties_may_connect("qmgr", false, "proxymap"));
	assert_false(duties_may_connect("smtpd", true, "broker"));
	assert_false(duties_may_connect("resolve", true, "broker"));
	assert_false(duties_may_connect("smtpd", false, "bounce"));
	assert_false(duties_may_connect("smtpd", false, "agent"));
	assert_false(duties_may_connect("agent", false, "agent"));
}

static void ports_have_names(void **state)
{
	struct planned p;
	(void)state;
	plan(&p, "known_tcp_ports = lmtp=24, smtps=submissions=465\n", BASE, true);
	const struct cfg_view *view = config_main_view(p.folder.config);
	assert_int_equal(listen_port(view, "2525"), 2525);
	assert_int_equal(listen_port(view, "lmtp"), 24);
	assert_int_equal(listen_port(view, "submissions"), 465);
	assert_int_equal(listen_port(view, "smtps"), 465);
	assert_int_equal(listen_port(view, "smtp"), 25); /* /etc/services */
	assert_int_equal(listen_port(view, "no-such-service"), 0);
	assert_int_equal(listen_port(view, "65536"), 0);
	assert_int_equal(listen_port(view, "-1"), 0);
	assert_int_equal(listen_port(view, ""), 0);
	folder_remove(&p.folder);
}

static void the_broker_has_its_rules(void **state)
{
	struct planned p;
	struct ost_why why;
	const struct broker_own own = {
		.mail_uid = 200, .mail_gid = 201, .setgid_gid = 202, .has_setgid = true
	};
	(void)state;
	plan(&p, "virtual_mailbox_base = /srv/mail\nvirtual_minimum_uid = 500\n", BASE, false);
	const struct cfg_view *view = config_main_view(p.folder.config);
	assert_true(broker_may_become(view, &own, 500, 500, true, &why));
	assert_false(broker_may_become(view, &own, 499, 500, true, &why));
	assert_true(broker_may_become(view, &own, 499, 500, false, &why));
	assert_false(broker_may_become(view, &own, 0, 500, false, &why));
	assert_false(broker_may_become(view, &own, 1000, 0, false, &why));
	assert_false(broker_may_become(view, &own, 200, 500, false, &why));
	assert_false(broker_may_become(view, &own, 1000, 201, false, &why));
	assert_false(broker_may_become(view, &own, 1000, 202, false, &why));
	assert_false(broker_may_become(view, &own, (uid_t)-1, 500, true, &why));
	folder_remove(&p.folder);
	plan(&p, "", BASE, false);
	assert_false(broker_may_become(config_main_view(p.folder.config), &own, 1000, 1000, true, &why));
	folder_remove(&p.folder);
}

static void mailboxes_lie_directly_in_their_folder(void **state)
{
	struct planned p;
	struct ost_why why;
	char name[64];
	(void)state;
	plan(&p, "mail_spool_directory = /var/mail/\n", BASE, false);
	const struct cfg_view *view = config_main_view(p.folder.config);
	assert_true(broker_mailbox_name(view, "/var/mail/joe", name, sizeof name, &why));
	assert_string_equal(name, "joe");
	static const char *const refused[] = { "/var/mail/",
					       "/var/mail",
					       "/var/mail/..",
					       "/var/mail/.lock",
					       "/var/mail/a/b",
					       "/var/mail/../x",
					       "/var/mailbox",
					       "/etc/passwd",
					       "/var/mail/a/../b",
					       "joe",
					       "" };
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		assert_false(broker_mailbox_name(view, refused[i], name, sizeof name, &why));
	folder_remove(&p.folder);
}

static void services_ask_for_what_is_theirs(void **state)
{
	(void)state;
	const struct service local = { .command = "local" }, virtual = { .command = "virtual" },
			     smtp = { .command = "smtp", .unpriv = true },
			     bad = { .command = "local", .unpriv = true };
	assert_true(broker_may_name(&local));
	assert_false(broker_may_ids(&local));
	assert_true(broker_may_ids(&virtual));
	assert_false(broker_may_name(&virtual));
	assert_false(broker_may_ids(&smtp));
	assert_false(broker_may_name(&bad));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_become_roles),
		cmocka_unit_test(a_bare_master_cf_has_what_must_run),
		cmocka_unit_test(lines_that_nothing_serves_are_named),
		cmocka_unit_test(only_some_may_talk_to_some),
		cmocka_unit_test(ports_have_names),
		cmocka_unit_test(the_broker_has_its_rules),
		cmocka_unit_test(mailboxes_lie_directly_in_their_folder),
		cmocka_unit_test(services_ask_for_what_is_theirs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
