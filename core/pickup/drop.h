/* SPDX-License-Identifier: Apache-2.0
 * A submission as bytes: the envelope, the content, the end. The same records go through the pickup socket (as messages
 * of ipc/protocol.h) and into a file of maildrop/ (as TLV records of those types, behind a line that says what it is). */
#ifndef PICKUP_DROP_H
#define PICKUP_DROP_H

#include "base/buf.h"
#include "base/why.h"

enum { DROP_NAME_LEN = 32, DROP_CHUNK = 65536 };

struct submission { /* what sendmail(1) hands over; strings belong to the caller */
	const char *name;      /* drop_name_new(): the same in maildrop/ and through the socket; NULL: none */
	const char *sender;    /* NULL: the submitter's login name */
	const char *full_name; /* -F; NULL: of the user database */
	const char *envid;     /* RFC 3461; NULL: none */
	unsigned notify, ret;  /* NOTIFY_*, RET_* */
	unsigned flags;        /* MSG_* */
	const char **rcpts;
	size_t nrcpts;
};

/* The body of an M_SUBMIT message that holds recipients from `first` on, at most as many as fit: answers how many. The
 * first one (first == 0) holds the rest of the envelope, too. */
size_t submission_pack(struct buf *, const struct submission *, size_t first);

/* ---- files of maildrop/ ---- */
/* A name that nobody else has or can guess: 128 random bits. False: there are none to be had. */
bool drop_name_new(char name[DROP_NAME_LEN + 1]);
/* Is it such a name? Others are not looked at. */
bool drop_name_valid(const char *name);
/* Stores a submission, which has a name, in the folder: durable, under that name, when it answers true. */
bool drop_write(const char *folder, const struct submission *, const char *content, size_t len, struct ost_why *);

/* Reading one: records in order. */
enum drop_record { DROP_ENVELOPE, DROP_DATA, DROP_END, DROP_BAD };
struct drop_reader {
	int fd;           /* the caller's */
	struct buf in;    /* read and not yet taken */
	size_t at;
	bool begun;
};
/* The next record; *p and *n are its body until the next call. DROP_BAD: it is no such file, or it is cut off. */
enum drop_record drop_read(struct drop_reader *, const char **p, size_t *n);
void drop_reader_free(struct drop_reader *);

#endif
