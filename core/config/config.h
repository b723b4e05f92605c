/* SPDX-License-Identifier: Apache-2.0
 * One configuration: main.cf, master.cf, modules.cf and modules.d/ of one folder, read and checked as a
 * whole. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "config/view.h"

struct config;

/* What `ostler check` and a start say: one finding per line. */
enum finding_grade { FINDING_WARNING, FINDING_FATAL };
struct finding {
	enum finding_grade grade;
	const char *text; /* "main.cf: line 12: smtpd_foo: unknown parameter; did you mean smtpd_bar?" */
};
struct findings; /* a growing list, in order; not locked */
struct findings *findings_new(void);
void findings_destroy(struct findings **);
void findings_add(struct findings *, enum finding_grade, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
size_t findings_count(const struct findings *, const struct finding **list);
bool findings_fatal(const struct findings *); /* is there a fatal one? */

/* Reads the folder. Answers a config as far as it could be read, findings tell what is wrong; NULL only when
 * main.cf cannot be read at all. `name=value` overrides (postconf -o) may be NULL, and end with NULL. A bad
 * value is a fatal finding, and its default takes its place. */
struct config *config_read(const char *folder, const char *const *overrides, struct findings *);
/* The same with an empty main.cf, which need not be there: for defaults. */
struct config *config_read_defaults(const char *folder, struct findings *);
void config_destroy(struct config **);

/* The snapshot: the texts of all files as they were read, in one sealed memfd, so that a worker started later
 * by the master sees the same configuration though the files have changed since. config_from_snapshot()
 * parses it again. */
int config_snapshot(const struct config *, struct ost_why *);
struct config *config_from_snapshot(int fd, struct ost_why *);

/* All that can be checked without opening a module: bad values, parameters that have no effect, -o that its
 * daemon does not read. (Bad lines, bad values of the core's parameters and duplicate services are
 * config_read()'s findings; roles and transports are core/process's.) */
void config_check(const struct config *, struct findings *);
/* Names that mean nothing to anybody, with the nearest one that does. `known` (may be NULL) answers whether a
 * name that the core does not know is a parameter of a module. */
void config_check_names(const struct config *, bool (*known)(void *ctx, const char *name), void *ctx,
			struct findings *);

const struct cfg_view *config_main_view(const struct config *); /* main.cf alone */

/* The texts of main.cf or master.cf as they were read, its fragments (main.cf.d/…) after it in the order of
 * their names. */
struct config_text {
	const char *name; /* below the folder: "main.cf", "main.cf.d/50-site.cf" */
	const char *text;
	size_t len;
};
size_t config_texts(const struct config *, const char *name, struct arena *, const struct config_text **list);
/* What is wrong with the grammar of main.cf and its fragments, and nothing else. */
void config_grammar(const struct config *, struct findings *);

/* For postconf: the names that mean something here, sorted; in the arena. */
enum {
	NAMES_BUILTIN = 1, /* the tables' */
	NAMES_SERVICE = 2, /* derived from the services of master.cf */
	NAMES_USER = 4,    /* the administrator's own that others use, those of database clients */
	NAMES_ALL = 7
};
size_t config_names(const struct config *, unsigned classes, struct arena *, const char *const **list);
bool config_name_exists(const struct config *, const char *name);      /* is it among NAMES_ALL? */
const char *config_set_value(const struct config *, const char *name); /* as main.cf has it; NULL: not set */
/* A text with its names expanded as the view sees them; as it is when it cannot be expanded. In the arena. */
const char *config_expand(const struct cfg_view *, struct arena *, const char *text);
/* What postconf warns of: names that nothing defines or uses, in Postfix's words. */
struct config_note {
	const char *file;  /* "main.cf", "master.cf"; of a database client "mysql:/etc/x.cf"; "" */
	const char *where; /* with the line, where that is known; else as file */
	const char *text;  /* "unused parameter: foo=bar" */
	bool unused;       /* it is set and not used: nothing to say where it is not shown */
	bool broken;       /* a value that cannot be expanded */
};
size_t config_notes(const struct config *, struct arena *, const struct config_note **list);
const char *config_set_where(const struct config *, const char *name); /* "main.cf: line 12"; NULL: not set */
/* Before expansion; NULL: no such name. */
const char *config_default_value(const struct config *, const char *name);
/* The default without any main.cf, on which the defaults of mydomain and mynetworks depend. */
const char *config_builtin_value(const struct config *, struct arena *, const char *name);

/* ---- master.cf ---- */

enum service_type { SERVICE_INET, SERVICE_UNIX, SERVICE_FIFO, SERVICE_PASS, SERVICE_UNIX_DGRAM };
const char *service_type_name(enum service_type); /* "inet", "unix-dgram" */

struct dict;
struct service {
	const char *name; /* column 1: "smtp", "127.0.0.1:10025", "private/x" */
	enum service_type type;
	bool is_private, unpriv, chroot; /* '-' resolved by compatibility_level as Postfix does */
	int64_t wakeup;                  /* microseconds, 0: never */
	bool wakeup_if_used;             /* "60?" */
	int64_t maxproc;                 /* 0: no limit; '-' is default_process_limit */
	const char *command;             /* "smtpd" */
	const char *const *argv;         /* after the command, -o removed; NULL-terminated */
	int line;                        /* in its file */
	const char *where;               /* "master.cf: line 12", "master.cf.d/a.cf: line 1" */
	const struct dict *overlay;      /* its -o (config/dict.h); NULL: none */
	const struct cfg_view *view;     /* main.cf with this line's -o as far as its daemon reads them */
};
size_t config_services(const struct config *, const struct service *const **list);
/* Either may be NULL. */
const struct service *config_service(const struct config *, const char *name, const char *command);
/* The unix service that a transport name stands for ("smtp" is an inet service as well). */
const struct service *config_transport(const struct config *, const char *name);

/* Built-in work of a service (an smtpd, pickup … line) that is a service of its own in Postfix: the view of
 * the line that the service's cleanup_service_name or rewrite_service_name names; main.cf's when there is
 * none. */
enum config_role { ROLE_CLEANUP, ROLE_REWRITE };
const struct cfg_view *config_role_view(const struct config *, const struct service *, enum config_role);

/* ---- modules.cf ---- */

struct module_line { /* "kind  name  file" */
	enum ost_kind kind;
	const char *name, *file;
	const char *where; /* "modules.cf: line 3", "modules.d/pgsql.cf: line 1" */
};
const char *module_kind_name(enum ost_kind); /* "table" */
size_t config_modules(const struct config *, const struct module_line *const **list);

#endif
