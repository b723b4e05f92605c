/* SPDX-License-Identifier: Apache-2.0
 * Host services that this folder does itself: the log, parameters, files, answers, connections. Contracts: ostler/host.h. */
#ifndef MODULE_HOST_SERVICES_H
#define MODULE_HOST_SERVICES_H

#include "ostler/host.h"

void host_log(struct ost_instance *, enum ost_level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool host_why(struct ost_why *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *host_instance_name(const struct ost_instance *);
const char *host_parameter(const struct ost_instance *, const char *name);
bool host_is_cache(const struct ost_instance *);
int host_file_open(struct ost_instance *, const char *path, const char *suffix, struct ost_why *);
struct ost_tables *host_tables_open(struct ost_instance *, const char *spec, struct ost_why *);
struct ost_table *host_table_open(struct ost_instance *, const char *type_name, struct ost_why *);
void host_set_table_flags(struct ost_instance *, uint32_t flags);
struct ost_pool *host_pool_new(struct ost_instance *, const struct ost_pool_config *, struct ost_why *);
void host_pool_free(struct ost_pool *);
void *host_pool_take(struct ost_pool *, int64_t deadline, bool *fresh, struct ost_why *);
void host_pool_give(struct ost_pool *, void *connection, enum ost_pool_state, const struct ost_why *);
bool host_addresses(struct ost_instance *, const char *host, struct ost_address *list, size_t max, size_t *count,
		    int64_t deadline, struct ost_why *);
int host_connect(struct ost_instance *, const char *host, const char *port, int64_t deadline, struct ost_why *);
const char *host_answer_value(const struct ost_answer *, size_t *len);
void host_answer(struct ost_answer *, const char *value, size_t len);
void host_answer_why(struct ost_answer *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
