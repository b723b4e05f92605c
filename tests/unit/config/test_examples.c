/* SPDX-License-Identifier: Apache-2.0
 * What is installed, and the examples, are read without a finding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "folder.h"

/* The text of a file below the environment variable's folder, in the caller's hands. */
static char *text_of(const char *variable, const char *name)
{
	char path[1024];
	size_t len;
	const char *top = getenv(variable);
	snprintf(path, sizeof path, "%s/%s", top ? top : ".", name);
	char *text = io_read_file(AT_FDCWD, path, 1 << 20, &len);
	if (!text)
		fail_msg("%s cannot be read", path);
	return text;
}

/* One main.cf, with the master.cf and modules.cf that are installed. */
static void clean(const char *main_cf)
{
	char *main_text = text_of("OST_SRCDIR", main_cf);
	char *master_text = text_of("OST_SRCDIR", "conf/master.cf");
	char *modules_text = text_of("OST_BUILDDIR", "conf/modules.cf");
	struct folder f;
	folder_make(&f, main_text, master_text, modules_text);
	folder_read(&f, NULL);
	folder_print(&f);
	assert_non_null(f.config);
	assert_int_equal(findings_count(f.findings, NULL), 0);
	assert_true(config_services(f.config, NULL) > 10);
	assert_true(config_modules(f.config, NULL) > 0);
	folder_remove(&f);
	free(main_text);
	free(master_text);
	free(modules_text);
}

static void installed(void **state)
{
	clean("conf/main.cf");
}

static void virtual_users(void **state)
{
	clean("conf/examples/virtual-users/main.cf");
}

static void virtual_users_in_databases(void **state)
{
	(void)state;
	clean("conf/examples/virtual-users-pgsql/main.cf");
	clean("conf/examples/virtual-users-mysql/main.cf");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(installed),
		cmocka_unit_test(virtual_users),
		cmocka_unit_test(virtual_users_in_databases),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
