/* SPDX-License-Identifier: Apache-2.0
 * Making the index of a lookup table: read the source, let the table's module write a new file, put it in
 * place of the old one in one step. */
#ifndef COMMAND_MAP_BUILD_H
#define COMMAND_MAP_BUILD_H

#include "command/entries.h"
#include "config/view.h"

struct map_job {
	const struct cfg_view *view;
	const char *type, *path; /* "hash", "/etc/aliases" */
	enum entry_syntax syntax;
	unsigned build_flags; /* OST_BUILD_* */
	bool fold, utf8;
	bool incremental;          /* the present entries and those on standard input */
	bool keep_root;            /* -o: do not become the source's owner */
	bool inherit_mode;         /* without -p: the source's group and other permissions */
	bool files;                /* -F: values name files */
	const char *const *remove; /* -d: the present entries without these keys, which are in order; NULL:
				      not asked for */
	size_t removals;
};

enum map_built {
	MAP_BUILT,
	MAP_NO_KEY /* none of the keys to remove is there: nothing was changed */,
	MAP_FAILED
};

/* Warnings go to the log; MAP_FAILED has the reason. Started by root: becomes the source's owner for good,
 * or, when that is root, lets a child that has become $mail_owner run the module. */
enum map_built map_build(const struct map_job *, struct ost_why *);

#endif
