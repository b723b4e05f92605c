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
/* Who may own module files beside root. Until it is called: the effective user at mod_init(), right when an ordinary user
 * has started the system. Where root has, it is called with 0 before the first mod_find(). */
void mod_trust_user(unsigned user);
/* Modules are not loaded while the effective user is root. Test programs, which may run as root, say that it is fine. */
void mod_permit_root(bool);
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

struct mod_instance;
/* The files that an instance has read through host->file_open(): what the master watches and the jail must hold. */
void mod_files_each(struct mod_instance *, void (*each)(void *ctx, const char *path), void *ctx);
/* The sockets of other programs that its pools connect to (servers called "unix:/…"). */
void mod_sockets_each(const struct mod_instance *, void (*each)(void *ctx, const char *path), void *ctx);
bool mod_files_changed(struct mod_instance *); /* is one of them another file now, or changed, or gone? */

/* An instance: config struct filled from parameters, open() called. `view` gives main.cf's values (it must outlive the
 * instance); `name` is the table's or service's name. Entry points are called through
 * mod_enter()/mod_leave(), which note module and entry point for the master and serialize OST_SERIAL modules. */
struct mod_instance *mod_open(const struct mod_provider *, const struct cfg_view *, const char *name, struct ost_why *);
/* The same for a table that this process changes (host->is_cache()). */
struct mod_instance *mod_open_cache(const struct mod_provider *, const struct cfg_view *, const char *name, struct ost_why *);
void mod_close(struct mod_instance **);
void *mod_self(const struct mod_instance *);
struct ost_instance *mod_handle(struct mod_instance *); /* what modules hold: ost_delivery.instance and the like */
const struct cfg_view *mod_handle_view(const struct ost_instance *);
/* Closes the instance as soon as no thread is inside it any more, at once or in a later call; with a pointer to NULL only
 * what could not be closed before. Sets NULL. */
void mod_retire(struct mod_instance **);
const struct ost_ops *mod_ops(const struct mod_instance *);
uint32_t mod_flags(const struct mod_instance *);   /* of its kind's header: OST_TABLE_… */
const char *mod_name(const struct mod_instance *); /* of its module */
const void *mod_config(const struct mod_instance *);
/* Without open(): the config struct alone, for user_write() in a user's child. */
const void *mod_config_only(const struct mod_provider *, const struct cfg_view *, const char *name, struct ost_why *);

void mod_enter(struct mod_instance *, const char *entry, int64_t deadline);
void mod_leave(struct mod_instance *);
/* The thread, inside the instance, has more to do there: a new deadline. */
void mod_prolong(struct mod_instance *, int64_t deadline);
/* For entry points that have no instance (load(), config_check(), user_write()): notes them for the master, and no more. */
void mod_note(const char *module, const char *entry, int64_t deadline);
void mod_note_end(void);
/* When a call that starts now and has no deadline of its own should have returned: ostler_module_timeout from now, or
 * `times` that. Overdue, as any call, after twice the time. */
int64_t mod_deadline(unsigned times);

/* The page shared with the master: which thread is in which module and entry point. mod_page_attach() is given the
 * mapping (zeros at first) at start, before any thread; mod_page_describe() is the
 * master's: "module hash, lookup" of a dead worker; false and "" when it was in none. */
enum { MOD_PAGE_SIZE = 65536 };
void mod_page_attach(void *page);
bool mod_page_describe(const void *page, char *text, size_t size);
/* The call that was probably the last one that began, when no thread is in a module any more. */
bool mod_page_last(const void *page, char *text, size_t size);
/* For the handler of fatal signals: notes that the calling thread is the one. Safe there. */
void mod_page_mark_crash(void);
/* For the watchdog: every thread that is in a module now, with its innermost call. All of it is the word of a process that
 * is not trusted. Texts are valid during the call, and may hold any byte but NUL. */
struct mod_call {
	size_t slot;     /* below MOD_PAGE_SLOTS: the thread's place in the page */
	uint64_t number; /* differs from call to call of one slot */
	int thread;      /* gettid() */
	int64_t limit;   /* clock_mono(): twice the time it was given are over; CLOCK_NEVER */
	const char *module, *entry;
};
enum { MOD_PAGE_SLOTS = MOD_PAGE_SIZE / 128 }; /* at least as many as there are */
void mod_page_calls(const void *page, void (*each)(void *ctx, const struct mod_call *), void *ctx);

extern const struct ost_host mod_host; /* what load() gets */

/* For `ostler check`: who opens instances hears what is odd in tables' own files, which else is logged, and which parameters
 * of main.cf were asked for by the names of tables (NAME_hosts). NULL: nobody. From one thread. */
struct mod_listener {
	void (*odd)(void *ctx, const char *text);
	void (*asked)(void *ctx, const char *name);
	void *ctx;
};
void mod_listen(const struct mod_listener *); /* must stay */

#endif
