/* SPDX-License-Identifier: Apache-2.0
 *
 * ostler/pool.h: a few connections to a few servers, shared by all threads of an instance (since 1.2). Made with
 * host->pool_new() in open(), ended with host->pool_free() in close(). The core keeps connections between uses, closes
 * what is idle too long, goes on to the next server when one fails, and does not ask a server that has failed before a
 * pause has passed: meanwhile host->pool_take() answers at once, so that nobody waits for a server that is down.
 *
 * A connection is the module's: any pointer but NULL. */
#ifndef OSTLER_POOL_H
#define OSTLER_POOL_H

#include "ostler/module.h"

struct ost_pool;

struct ost_pool_server {
	const char *name;  /* for the log: "db.example.org:5432"; a socket in the file system is "unix:/run/x", so that `ostler check`
			    * knows what a service in a jail cannot reach */
	unsigned priority; /* the lowest that can be reached is taken; equal ones in random order */
};

struct ost_pool_config {
	uint32_t size;          /* of this struct */
	uint32_t max;           /* most connections at the same time; 0: 2 */
	const struct ost_pool_server *servers;
	size_t count;           /* of servers; at least one. Copied */
	int64_t connect_time;   /* microseconds for one attempt; 0: until the deadline of pool_take() */
	int64_t idle_time;      /* microseconds until an unused connection is closed; 0: a minute */
	int64_t retry_min;      /* microseconds that a server is left alone after its first failure; 0: 250 ms */
	int64_t retry_max;      /* after each further one twice as long, at most this; 0: 2 s */
	void *ctx;              /* for the two below */
	/* A new connection to servers[i], before the deadline (host->now()), or NULL with the reason. */
	void *(*connect)(void *ctx, size_t i, int64_t deadline, struct ost_why *);
	void (*disconnect)(void *ctx, void *connection); /* should not wait */
	int64_t life_time;      /* microseconds after which even a connection that is in use is not kept; 0: no end */
};

enum ost_pool_state {
	OST_POOL_GOOD,   /* works: kept for the next one */
	OST_POOL_STALE,  /* was closed by the server while nobody used it: so are its sisters, which are closed. Try again once */
	OST_POOL_FAILED, /* no answer, or rubbish: the server is left alone for a while */
};

#endif
