/* SPDX-License-Identifier: Apache-2.0
 * sqlite: files that the library opens while it works. A sealed process opens none by itself: the host does,
 * for those that belong to a table's database. */
#ifndef SQLITE_FILES_H
#define SQLITE_FILES_H

#include "ostler/host.h"

/* Once, before the first database is opened: the library then asks here. False when it cannot be told so. */
bool sqlite_files_start(const struct ost_host *);

struct sqlite_file; /* a database of an open table */
/* From open(): from now on this path, and its journal and write-ahead log, are opened through the instance.
 * NULL: no memory. */
struct sqlite_file *sqlite_files_add(struct ost_instance *, const char *path);
void sqlite_files_remove(struct sqlite_file *); /* accepts NULL */

#endif
