/* SPDX-License-Identifier: Apache-2.0
 * Tables whose index is a constant database (cdb): mapped read-only, so that all processes share its pages,
 * and replaced as a whole. The entry points of the table types `hash` and `cdb`. */
#ifndef SHARED_CONSTDB_H
#define SHARED_CONSTDB_H

#include "ostler/host.h"
#include "shared/indexfile.h"

struct constdb;

/* Opens NAME.suffix. berkeley: a file of Berkeley DB may be in its place. NULL with the reason. */
struct constdb *constdb_open(const struct ost_host *, struct ost_instance *, const struct index_type *,
			     bool berkeley, struct ost_why *);
void constdb_close(void *self);
enum ost_found constdb_lookup(void *self, const struct ost_query *, struct ost_answer *);
enum ost_found constdb_walk(void *self, struct ost_cursor **, struct ost_answer *key,
			    struct ost_answer *value);
void constdb_cursor_free(void *self, struct ost_cursor *);
bool constdb_build(const struct ost_host *, struct ost_source *, struct ost_why *);

#endif
