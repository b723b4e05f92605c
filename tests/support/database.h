/* SPDX-License-Identifier: Apache-2.0
 * SQLite databases for tests. */
#ifndef SUPPORT_DATABASE_H
#define SUPPORT_DATABASE_H

/* Runs SQL on the file, which is made when it is not there; ends the test program when that fails. */
void database_run(const char *path, const char *sql);

#endif
