/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/database.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

void database_run(const char *path, const char *sql)
{
	sqlite3 *db = NULL;
	char *error = NULL;
	if (sqlite3_open(path, &db) == SQLITE_OK && sqlite3_exec(db, sql, NULL, NULL, &error) == SQLITE_OK) {
		sqlite3_close(db);
		return;
	}
	fprintf(stderr, "database: %s: %s\n", path, error ? error : sqlite3_errmsg(db));
	exit(99);
}
