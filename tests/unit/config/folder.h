/* SPDX-License-Identifier: Apache-2.0
 * Configuration folders for tests, and what reading them says. */
#ifndef TEST_CONFIG_FOLDER_H
#define TEST_CONFIG_FOLDER_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "config/config.h"

struct folder {
	char path[64];
	struct findings *findings;
	struct config *config;
};

static inline void folder_write(const struct folder *f, const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", f->path, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || !io_write_all(fd, text, strlen(text)))
		abort();
	close(fd);
}

/* A folder with these files; a NULL text leaves the file out. */
static inline void folder_make(struct folder *f, const char *main_cf, const char *master_cf,
			       const char *modules_cf)
{
	*f = (struct folder){ .path = "/tmp/ostler-config-XXXXXX" };
	if (!mkdtemp(f->path))
		abort();
	if (main_cf)
		folder_write(f, "main.cf", main_cf);
	if (master_cf)
		folder_write(f, "master.cf", master_cf);
	if (modules_cf)
		folder_write(f, "modules.cf", modules_cf);
}

/* Reads and checks. */
static inline void folder_read(struct folder *f, const char *const *overrides)
{
	f->findings = findings_new();
	f->config = config_read(f->path, overrides, f->findings);
	if (f->config) {
		config_check(f->config, f->findings);
		config_check_names(f->config, NULL, NULL, f->findings);
	}
}

static inline void folder_remove(struct folder *f)
{
	static const char *const names[] = { "main.cf",        "master.cf",      "modules.cf",
					     "modules.d/a.cf", "modules.d/b.cf", "modules.d/README" };
	char path[256];
	config_destroy(&f->config);
	findings_destroy(&f->findings);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", f->path, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof path, "%s/modules.d", f->path);
	rmdir(path);
	rmdir(f->path);
}

/* Is there a finding with these words, of this grade? */
static inline bool folder_found(const struct folder *f, enum finding_grade grade, const char *words)
{
	const struct finding *list;
	size_t n = findings_count(f->findings, &list);
	for (size_t i = 0; i < n; i++)
		if (list[i].grade == grade && strstr(list[i].text, words))
			return true;
	return false;
}

/* For a failing test: what was found. */
static inline void folder_print(const struct folder *f)
{
	const struct finding *list;
	size_t n = findings_count(f->findings, &list);
	for (size_t i = 0; i < n; i++)
		fprintf(stderr, "# %s: %s\n", list[i].grade == FINDING_FATAL ? "fatal" : "warning",
			list[i].text);
}

#endif
