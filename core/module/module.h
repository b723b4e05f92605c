/* SPDX-License-Identifier: Apache-2.0
 * Modules of this process: found by modules.cf, checked, opened with libltdl, and their providers by kind and name. */
#ifndef MODULE_MODULE_H
#define MODULE_MODULE_H

#include "base/why.h"
#include "config/config.h"

struct mod_provider { /* one thing that a loaded module provides */
	enum ost_kind kind;
	const char *name;          /* "hash" */
	const char *module;        /* the module's name, for the log */
	const struct ost_ops *ops; /* copied into a full-size vtable: members that an older module lacks are NULL */
};

/* Once per process that may load modules, before the first mod_find(); keeps the list of modules.cf. The master, qmgr and
 * broker never call it. */
void mod_init(const struct config *);
/* Loads the module when it is not loaded yet. NULL with the reason: not declared, not found, refused, after the seal. */
const struct mod_provider *mod_find(enum ost_kind, const char *name, struct ost_why *);
/* From here on nothing is loaded any more. */
void mod_seal(void);
void mod_shutdown(void); /* unload() of all, at the end of a process (tests, leak checkers) */

/* `ostler modules` and `ostler check`: every declared module, opened or refused. */
struct mod_report {
	const struct module_line *line;
	bool ok;
	struct ost_why why;
	const struct ost_module *descriptor; /* when ok */
	char path[512];
};
void mod_survey(void (*each)(void *ctx, const struct mod_report *), void *ctx);

/* The owner and mode rule for a file that will be loaded: it and its folders belong to root (rootless: or the user) and
 * are writable by nobody else. */
bool mod_file_trusted(const char *path, unsigned user, struct ost_why *);

/* An instance: config struct filled from parameters, open() called. `view` gives main.cf's values; `name` is the table's
 * or service's name; `cf_file` (may be NULL) is the table's own .cf file with parameters. Entry points are called through
 * mod_enter()/mod_leave(), which note module and entry point for the master and serialize OST_SERIAL modules. */
struct mod_instance;
struct mod_instance *mod_open(const struct mod_provider *, const struct cfg_view *, const char *name, struct ost_why *);
void mod_close(struct mod_instance **);
void *mod_self(const struct mod_instance *);
const struct ost_ops *mod_ops(const struct mod_instance *);
const void *mod_config(const struct mod_instance *);
/* Without open(): the config struct alone, for user_write() in a user's child. */
const void *mod_config_only(const struct mod_provider *, const struct cfg_view *, const char *name, struct ost_why *);

void mod_enter(struct mod_instance *, const char *entry, int64_t deadline);
void mod_leave(struct mod_instance *);

/* The page shared with the master: which thread is in which module and entry point. mod_page_attach() is given the
 * mapping at start; mod_page_describe() is the master's: "module hash, lookup" of a dead worker, "" when in none. */
enum { MOD_PAGE_SIZE = 65536 };
void mod_page_attach(void *page);
bool mod_page_describe(const void *page, char *text, size_t size);

extern const struct ost_host mod_host; /* what load() gets */

#endif
