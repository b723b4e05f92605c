/* SPDX-License-Identifier: Apache-2.0
 * What the files of postconf share. */
#ifndef COMMAND_POSTCONF_H
#define COMMAND_POSTCONF_H

#include <stdbool.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "config/config.h"
#include "config/masterline.h"

struct postconf {
	const char *self;   /* argv[0], for messages */
	const char *folder; /* as the caller named it */
	struct config *config;
	struct arena *arena;
	FILE *out;
	char mode;                    /* p, M, F, P, m, l, a, A, t, b, T */
	char edit;                    /* e, X, #; 0: only show */
	unsigned classes;             /* -C: NAMES_… */
	bool defaults;                /* -d */
	bool set_only;                /* -n */
	bool expanded;                /* -x */
	bool fold;                    /* -f */
	bool no_names;                /* -h */
	bool no_values;               /* -H */
	bool quiet;                   /* -q: no warnings */
	bool json;                    /* -j, --json */
	bool origin;                  /* --origin */
	const char *tls_mode;         /* of -T */
	const char *const *overrides; /* -o */
	/* Filled from master.cf when it is read: */
	struct master_entry *entries;
	size_t entry_count;
};

/* "postconf: warning: …", unless -q says otherwise. */
void postconf_warn(const struct postconf *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "postconf: fatal: …"; answers EXIT_FAILURE. */
int postconf_fatal(const struct postconf *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "main.cf: line 12" of this folder's as Postfix names it, "/folder/main.cf, line 12"; in the arena. */
const char *postconf_place(const struct postconf *, const char *where);

/* "name = value", with white space made single blanks, folded when that is wanted, behind where it comes from
 * when that is. */
void postconf_print(const struct postconf *, const char *name, const char *value, const char *where);

/* postconf_main.c: main.cf's parameters; names NULL-terminated, none: all. */
int postconf_parameters(const struct postconf *, char **names);
/* The value that the options ask for, NULL: none; *where is where it was set, or "default". */
const char *postconf_value(const struct postconf *, const char *name, const char **where);

/* postconf_master.c: -M, -F and -P, for services that match one of the patterns "name", "name/type"
 * (-F: "name/type/field", -P: "name/type/parameter"); none: all. */
bool postconf_read_master(struct postconf *); /* fills entries; false: said why */
int postconf_services(const struct postconf *, char **patterns);
bool postconf_matches(const char *pattern, const struct master_entry *, const char *third);
/* The service that the configuration has made of the entry; NULL: none. */
const struct service *postconf_service(const struct postconf *, const struct master_entry *);

/* postconf_edit.c */
int postconf_edit(const struct postconf *, char **requests, int count);
int postconf_edit_master(const struct postconf *, char **requests, int count);

/* postconf_lists.c: -m, -l, -a, -A, -T */
int postconf_list(const struct postconf *);

/* postconf_json.c */
int postconf_json_parameters(const struct postconf *, const char *const *names, size_t count);
int postconf_json_services(const struct postconf *, char **patterns);
int postconf_json_list(const struct postconf *, const char *const *words, size_t count);

/* postconf_bounce.c: -t and -b */
int postconf_bounce(const struct postconf *, char **files);

#endif
