/* SPDX-License-Identifier: Apache-2.0
 * From a file, or from the program itself, to a checked descriptor. Not locked: the registry's lock is held. */
#ifndef MODULE_LOADER_H
#define MODULE_LOADER_H

#include "base/why.h"

/* The name of a module by its file: "hash" of "/usr/lib/ostler/hash.so". Cut at size. */
void loader_module_name(const char *file, char *name, size_t size);
/* The descriptor of a module that is part of the program; NULL: there is none of that name. Not checked. */
const struct ost_module *loader_static(const char *name);
/* Opens the shared object (checked with mod_file_trusted) and finds its descriptor. It stays open for the rest of the
 * process. NULL with the reason. */
const struct ost_module *loader_open(const char *path, unsigned user, struct ost_why *);
/* Is the descriptor one that this program understands? name: as the file says it. */
bool loader_check(const struct ost_module *, const char *name, struct ost_why *);
/* The vtable that descriptor gives for kind and name, copied into a new full-size one (free()): members that an older
 * module lacks are NULL. NULL with the reason: not provided, or lacks what its kind must have. */
struct ost_ops *loader_ops(const struct ost_module *, enum ost_kind, const char *name, struct ost_why *);
const char *loader_kind_name(enum ost_kind); /* "table" */

#endif
