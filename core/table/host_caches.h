/* SPDX-License-Identifier: Apache-2.0
 * What modules may do with caches; for host_tables.c, which installs it. */
#ifndef TABLE_HOST_CACHES_H
#define TABLE_HOST_CACHES_H

#include "module/hosts.h"

extern const struct mod_caches_ops table_caches;

#endif
