/* SPDX-License-Identifier: Apache-2.0
 * Database clients that are configured by name: "mysql:name" reads name_hosts, name_user … of main.cf,
 * "mysql:/file" a file of its own. Which names they know, so that none is taken for unused. */
#ifndef CONFIG_DBMS_H
#define CONFIG_DBMS_H

#include <stdbool.h>

struct dbms; /* one type of client */

/* Calls back for each "type:name" of a value (an expanded one); name is terminated and valid during the call.
 */
void dbms_each(const char *value, void (*each)(void *ctx, const struct dbms *, const char *name), void *ctx);
const char *dbms_type(const struct dbms *);              /* "mysql" */
bool dbms_is_file(const char *name);                     /* is the name a file's? */
bool dbms_knows(const struct dbms *, const char *param); /* "hosts" */

#endif
