/* SPDX-License-Identifier: Apache-2.0
 * The part of making an index that a module does, and where it runs: never as root. */
#ifndef COMMAND_MAP_MODULE_H
#define COMMAND_MAP_MODULE_H

#include "base/arena.h"
#include "command/map_build.h"
#include "command/map_files.h"

enum { MAP_SUFFIX = 16 };

struct map_text {         /* what an index is made of */
	const char *name; /* for warnings */
	const char *text;
	size_t len;
	struct arena *arena;
	const struct file_entry *files; /* in place of the text, when values name files */
};
/* Writes the index for the text (of a removal: for the present entries) to fd. suffix: what the index file's
 * name ends with. */
enum map_built map_module_write(const struct map_job *, const struct map_text *, int fd,
				char suffix[MAP_SUFFIX], struct ost_why *);
/* Before a root process drops its privileges to look up in tables: the files of "type:path" are opened now,
 * so that host calls find them later. */
void map_module_keep_open(const char *path);

#endif
