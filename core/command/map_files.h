/* SPDX-License-Identifier: Apache-2.0
 * postmap -F: values that name files, whose content is stored in base64 in their place. */
#ifndef COMMAND_MAP_FILES_H
#define COMMAND_MAP_FILES_H

#include "base/arena.h"
#include "command/entries.h"

/* An entry whose value was read from its files. */
struct file_entry {
	struct file_entry *next;
	struct entry entry; /* in the arena */
};

/* All entries of the source, in the arena. Where a file cannot be read the entry is warned about and left
 * out. */
struct file_entry *map_files_read(struct arena *, struct entries *source);

#endif
