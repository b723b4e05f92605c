/* SPDX-License-Identifier: Apache-2.0
 * A file that is changed as a whole: whoever reads it, also after a crash, sees the old text or the new one,
 * and of two programs that change it at a time one waits for the other. */
#ifndef COMMAND_EDIT_FILE_H
#define COMMAND_EDIT_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/why.h"

struct edit_file;

/* Takes the lock and reads the file (text, terminated, and its length, valid until the end). NULL with the
 * reason. */
struct edit_file *edit_file_open(const char *path, const char **text, size_t *len, struct ost_why *);
/* Puts the text in its place, with the owner and mode that the file has; durable when it answers true. Ends
 * the editing. */
bool edit_file_commit(struct edit_file **, const struct buf *text, struct ost_why *);
/* Leaves the file as it is. Accepts NULL. */
void edit_file_abort(struct edit_file **);

#endif
