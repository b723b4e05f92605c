/* SPDX-License-Identifier: Apache-2.0
 * The protocol of socketmap_table(5): netstrings, "name key" there, "STATUS text" back. */
#ifndef SOCKETMAP_REPLY_H
#define SOCKETMAP_REPLY_H

#include "ostler/host.h"
#include "shared/stream.h"

enum socketmap_reply {
	SOCKETMAP_FOUND,     /* OK value */
	SOCKETMAP_NOT_FOUND, /* NOTFOUND */
	SOCKETMAP_TRY_AGAIN, /* TEMP reason, TIMEOUT reason */
	SOCKETMAP_BROKEN,    /* PERM reason */
	SOCKETMAP_UNKNOWN,   /* something else */
};

/* "NUMBER:name key," in memory of its own, for the caller to free; NULL: no memory. */
char *socketmap_request(const char *name, const char *key, size_t klen, size_t *n);
/* Reads one netstring of at most max bytes. STREAM_OK: *text, terminated, is the caller's to free.
 * STREAM_LONG with the reason: it is none, or longer. *any: a byte of it has come. */
enum stream_state socketmap_read(const struct ost_host *, struct stream *, int64_t max, int64_t deadline,
				 char **text, size_t *len, bool *any, struct ost_why *);
/* What a terminated reply says; splits it at its first blank. *status: the word. *value: what follows, "" for
 * nothing. */
enum socketmap_reply socketmap_parse(char *text, size_t len, const char **status, const char **value,
				     size_t *vlen);

#endif
