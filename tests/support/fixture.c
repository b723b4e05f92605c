/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fixture.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/log.h"
#include "module/module.h"
#include "table/table.h"

static _Noreturn void give_up(const char *what)
{
	fprintf(stderr, "fixture: %s\n", what);
	exit(99);
}

const char *fixture_built(const char *path)
{
	static char full[512]; /* one test program, one thread */
	const char *builddir = getenv("OST_BUILDDIR");
	snprintf(full, sizeof full, "%s/%s", builddir ? builddir : ".", path);
	return full;
}

const char *fixture_file(const struct fixture *f, const char *name, const char *text)
{
	static char path[256]; /* one test program, one thread */
	snprintf(path, sizeof path, "%s/%s", f->dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || !io_write_all(fd, text, strlen(text)))
		give_up(path);
	close(fd);
	return path;
}

void fixture_log(const struct fixture *f)
{
	const struct log_to to = { .syslog_name = "test", .file = fixture_file(f, "log", ""), .fd = -1 };
	log_open(&to);
}

bool fixture_logged(const struct fixture *f, const char *text)
{
	char path[128];
	size_t len;
	snprintf(path, sizeof path, "%s/log", f->dir);
	char *log = io_read_file(AT_FDCWD, path, 1 << 24, &len);
	bool found = log && strstr(log, text);
	free(log);
	return found;
}

/* What was built, as its modules.cf says, with the files where they lie before they are installed. */
static void declare_modules(struct buf *out)
{
	size_t len;
	char *declared = io_read_file(AT_FDCWD, fixture_built("conf/modules.cf"), 1 << 16, &len), *save = NULL;
	if (!declared)
		give_up("conf/modules.cf is not built");
	for (char *line = strtok_r(declared, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char kind[32], name[32], path[256];
		if (line[0] == '#' || sscanf(line, "%31s %31s", kind, name) != 2)
			continue;
		snprintf(path, sizeof path, "modules/%ss/%s/.libs/%s.so", kind, name, name);
		const char *built = fixture_built(path);
		if (access(built, R_OK) == 0)
			buf_printf(out, "%s %s %s\n", kind, name, built);
		else
			buf_printf(out, "%s %s %s.so\n", kind, name, name);
	}
	free(declared);
}

void fixture_open(struct fixture *f, const char *main_cf, const char *more_modules)
{
	struct buf modules = BUF_INIT;
	declare_modules(&modules);
	buf_puts(&modules, more_modules ? more_modules : "");
	fixture_open_with(f, main_cf, buf_str(&modules));
	buf_free(&modules);
}

void fixture_open_with(struct fixture *f, const char *main_cf, const char *modules_cf)
{
	snprintf(f->dir, sizeof f->dir, "/tmp/ost-test-XXXXXX");
	if (!mkdtemp(f->dir))
		give_up("mkdtemp");
	fixture_file(f, "main.cf", main_cf);
	fixture_file(f, "master.cf", "smtp inet n - n - - smtpd\n");
	fixture_file(f, "modules.cf", modules_cf);
	struct findings *findings = findings_new();
	f->config = config_read(f->dir, NULL, findings);
	const struct finding *list;
	size_t n = findings_count(findings, &list);
	for (size_t i = 0; i < n; i++)
		if (list[i].grade == FINDING_FATAL || !f->config)
			fprintf(stderr, "# %s\n", list[i].text);
	findings_destroy(&findings);
	if (!f->config)
		give_up("the configuration cannot be read");
	f->view = config_main_view(f->config);
	mod_permit_root(true);
	mod_init(f->config);
	table_init();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void fixture_close(struct fixture *f)
{
	table_close_all();
	mod_shutdown();
	config_destroy(&f->config);
	nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
