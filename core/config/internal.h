/* SPDX-License-Identifier: Apache-2.0
 * What the files of this folder share; nobody else includes it. */
#ifndef CONFIG_INTERNAL_H
#define CONFIG_INTERNAL_H

#include <pthread.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/magic.h"
#include "config/config.h"
#include "config/dict.h"
#include "config/param.h"

#define CONFIG_MAGIC 0x436f6e66u
#define VIEW_MAGIC   0x56696577u

/* One file as it was read. */
struct config_file {
	const char *name; /* as messages call it: "main.cf", "main.cf.d/a.cf", "modules.d/pgsql.cf" */
	const char *text; /* terminated; len does not count that */
	size_t len;
};

/* Everything is written by config_read() and only read afterwards. */
struct config {
	unsigned magic;
	struct arena *arena;
	const char *folder; /* absolute */
	bool postfix;       /* the folder has no modules.cf */
	const char *const *overrides;
	struct config_file *files;
	size_t file_count;
	struct dict *main; /* main.cf, then the overrides */
	const struct cfg_view *view;
	const struct service **services;
	size_t service_count;
	const struct module_line **modules;
	size_t module_count;
};

struct cfg_value {
	const char *text; /* expanded; of RAW as it is */
	int64_t number;   /* of INT, SIZE, BOOL, TIME */
};

struct cfg_view {
	unsigned magic;
	const struct config *config;
	const struct dict *overlay; /* the line's -o; NULL: main.cf alone */
	unsigned daemons;           /* as which of Postfix's daemons it reads */
	const char *service;        /* the line's name; "" */
	const char *process;        /* the line's command; "ostler" */
	const char *process_id;
	const char *myhostname, *mydomain, *mynetworks; /* computed defaults, see computed.c */
	struct cfg_value values[P_COUNT];
	const struct cfg_view *stress; /* its twin under stress; NULL: it has none */
	pthread_mutex_t
		lock; /* guards the two below: names outside the core's table, as they are asked for */
	struct arena *arena;
	struct dict *cache;
};

/* config.c */
/* Is the file this one ("main.cf") or one of its fragments ("main.cf.d/a.cf")? */
bool config_is_part(const struct config_file *, const char *name);
/* Are the two places "FILE: line N" in one file? */
bool config_same_file(const char *a, const char *b);

/* view.c */
/* A view in the configuration's arena. overlay may be NULL. Bad values are found and their defaults taken. */
const struct cfg_view *view_new(struct config *, const struct dict *overlay, unsigned daemons,
				const char *service, const char *process, struct findings *);
void view_close(const struct cfg_view *);
/* The value of a name before expansion; overlay says whether the line's -o count. NULL: there is no such
 * name. */
const char *view_raw(const struct cfg_view *, bool overlay, const char *name);
/* Where a name is set, the line's -o first; NULL: nowhere. */
const struct dict_entry *view_entry(const struct cfg_view *, bool overlay, const char *name);
/* The default of a name, before expansion; NULL when it has none. */
const char *view_default(const struct cfg_view *, const char *name);
/* Expands a text as the value of `name` with this view. */
bool view_expand(const struct cfg_view *, bool overlay, const char *name, const char *text, struct buf *out,
		 struct ost_why *);

/* computed.c */
/* "host.example.com", from the system's host name; lacking a dot, with `mydomain` (text before expansion)
 * added. */
const char *computed_myhostname(struct arena *, const char *mydomain);
/* myhostname without its first part. */
const char *computed_mydomain(struct arena *, const char *myhostname);
/* Networks of this host's interfaces. style: host, subnet, class; false: none of these. */
bool computed_mynetworks(struct arena *, const char *interfaces, const char *protocols, const char *style,
			 const char **networks, struct ost_why *);

/* maincf.c, mastercf.c, modulescf.c */
void maincf_parse(struct arena *, struct dict *, const struct config_file *, struct findings *);
void mastercf_parse(struct config *, const struct config_file *, struct findings *);
void modulescf_parse(struct config *, const struct config_file *, struct findings *);
/* "name = value" split in place: false with a reason when it is no such thing. */
bool split_assignment(char *text, char **name, char **value, struct ost_why *);

#endif
