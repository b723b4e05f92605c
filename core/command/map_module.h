/* SPDX-License-Identifier: Apache-2.0
 * The part of making an index that a module does, and where it runs: never as root. */
#ifndef COMMAND_MAP_MODULE_H
#define COMMAND_MAP_MODULE_H

#include "command/map_build.h"

enum { MAP_SUFFIX = 16 };

/* Writes the index for the source text (of a removal: for the present entries) to fd. suffix: what the index file's name
 * ends with. */
enum map_built map_module_write(const struct map_job *, const char *text, size_t len, int fd, char suffix[MAP_SUFFIX],
				struct ost_why *);
/* Before a root process drops its privileges to look up in tables: the files of "type:path" are opened now, so that host
 * calls find them later. */
void map_module_keep_open(const char *path);

#endif
