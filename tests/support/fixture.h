/* SPDX-License-Identifier: Apache-2.0
 * A scratch configuration folder with the modules of the build tree, for tests that use tables. */
#ifndef SUPPORT_FIXTURE_H
#define SUPPORT_FIXTURE_H

#include "config/config.h"

struct fixture {
	char dir[64]; /* removed by fixture_close() */
	struct config *config;
	const struct cfg_view *view;
};

/* Makes the folder with this main.cf, a master.cf and a modules.cf of all modules that were built (more_modules: further
 * lines, or NULL), reads it, starts the module system and the tables. Ends the test program when that fails. */
void fixture_open(struct fixture *, const char *main_cf, const char *more_modules);
/* The same with this modules.cf and no other module. */
void fixture_open_with(struct fixture *, const char *main_cf, const char *modules_cf);
/* Closes tables and modules, removes the folder. */
void fixture_close(struct fixture *);
/* Writes a file in the folder; answers its path, valid until the next call. */
const char *fixture_file(const struct fixture *, const char *name, const char *text);
/* From here on the log goes to a file of the folder, and what it holds can be asked for. */
void fixture_log(const struct fixture *);
bool fixture_logged(const struct fixture *, const char *text);
/* The path of something in the build tree, valid until the next call. */
const char *fixture_built(const char *path);

#endif
