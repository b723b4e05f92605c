/* SPDX-License-Identifier: Apache-2.0
 * What follows check_policy_service, without the braces around it: a server, then name = value … as smtpd_policy_service_*
 * without that prefix (SMTPD_POLICY_README of Postfix). */
#ifndef POLICY_SETTINGS_H
#define POLICY_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct policy_settings {
	char *text;           /* what the pointers below lead into; free() it */
	const char *server;   /* for the log: as it was written, without the kind, as Postfix does */
	const char *host;     /* a host, or the path of a socket */
	const char *port;     /* "" for a socket */
	bool below_queue;     /* the path is relative to queue_directory */
	const char *default_action, *context;
	int64_t timeout, max_idle, max_ttl, retry_delay; /* microseconds */
	int64_t request_limit, try_limit;                /* 0: none; at least 1 */
};

/* s has the values that hold where the argument names none. False: flaw says what is wrong with it. */
bool policy_settings_parse(struct policy_settings *s, const char *argument, char *flaw, size_t size);

#endif
