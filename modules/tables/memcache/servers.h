/* SPDX-License-Identifier: Apache-2.0
 * What the parts of the module share: one opened table, its servers, one command to one of them. */
#ifndef MEMCACHE_SERVERS_H
#define MEMCACHE_SERVERS_H

#include "ostler/host.h"
#include "shared/domain_list.h"
#include "shared/endpoints.h"
#include "shared/expansion.h"

struct memcache_config {
	const char *memcache, *backup, *key_format, *domain;
	int64_t flags, ttl, data_size_limit, line_size_limit, max_try, retry_pause, timeout, connections;
};

struct memcache;
struct server { /* one of the servers, with its own connections: a key has one server */
	struct memcache *m;
	const struct endpoint *endpoint;
	struct ost_pool *pool;
};
struct memcache {
	const struct ost_host *host;
	struct ost_instance *instance;
	const struct memcache_config *c;
	struct endpoints endpoints;
	struct server *servers;
	struct ost_table *backup;  /* that is only asked; NULL: none */
	struct ost_cache *changed; /* or, where this table is changed, the backup that is changed with it */
	struct expansion_needs needs;
	struct expansion *key;
	struct domain_list *domains;
};

struct asking { /* one lookup or update */
	struct memcache *m;
	struct text_buf name; /* the server's key */
	char *value;          /* what it had; free() it */
	size_t vlen;
	const char *new_value; /* what it shall have; NULL and remove: nothing */
	size_t new_len;
	int64_t deadline;
	struct ost_why why;
};

/* Which server has a key, and connections to each. */
bool memcache_servers_open(struct memcache *, struct ost_why *);
void memcache_servers_close(struct memcache *);

/* A command to the server that has the key q->name, tried max_try times: OST_FOUND, done; OST_NOTFOUND, it
 * has no such key. */
enum ost_found memcache_get(struct asking *q);
enum ost_found memcache_set(struct asking *q);
enum ost_found memcache_delete(struct asking *q);

#endif
