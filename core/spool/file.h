/* SPDX-License-Identifier: Apache-2.0
 * Message files: message/XX/QUEUEID. 128 bytes of file header (with the salt), the message's record
 * (spool/record.h), then what was appended since, each a record of its own at a multiple of 8. A file whose
 * header or head is not good was never finished, and was never acknowledged. */
#ifndef SPOOL_FILE_H
#define SPOOL_FILE_H

#include "spool/envelope.h"
#include "spool/home.h"

enum {
	FILE_HEADER = 128,
	FILE_NAME = 32,
	FILE_STREAM_AT = 64 * 1024, /* streamed content: in front of it is room for a prefix, as a hole */
};

/* ---- writing: under the file's lock ---------------------------------------------------------- */

struct message_file {
	struct spool *spool;
	int dir; /* where it lies: spool->message, or spool->named until it is linked */
	char name[FILE_NAME + 40];
	uint64_t serial;
	int fd;
	struct sys_identity identity;
	struct salt salt;
	uint64_t at; /* while content is streamed: where the next byte goes … */
	uint64_t on_its_way; /* … and up to where the kernel has been asked to write */
};

/* "XX/QUEUEID", always of the short form. */
char *file_name(char name[FILE_NAME], uint64_t serial);

/* Makes the file, empty and locked, under its final name, or under `name` in `dir`. False: errno. */
bool file_create(struct spool *, uint64_t serial, int dir, const char *name, struct message_file *);
/* Streams content, from FILE_STREAM_AT on: these bytes, and then those. */
bool file_write(struct message_file *, const void *p, size_t n, const void *q, size_t m);
/* Ends a streamed file: the prefix goes in front of what was written. wire: of all of it, the prefix included. Not durable yet. */
bool file_seal(struct message_file *, const char *prefix, uint32_t prefix_len, struct sum content_sum,
	       const struct wire_facts *wire, const char *body, uint32_t body_len);
/* Writes a whole message at once: content with its prefix in place, and the envelope's bytes. Not durable
 * yet. */
bool file_store(struct message_file *, const char *content, uint64_t len, uint32_t prefix_len,
		struct sum content_sum, const char *body, uint32_t body_len);
bool file_sync(struct message_file *);
/* Makes the names in the folder of this file durable. */
bool file_sync_folder(struct spool *, uint64_t serial);
void file_close(struct message_file *);   /* lets the lock go */
void file_abandon(struct message_file *); /* removes it as well */

/* ---- reading --------------------------------------------------------------------------------- */

enum file_verdict {
	FILE_GOOD,
	FILE_MISSING,
	FILE_UNFINISHED, /* being written, or left by a writer that died: never acknowledged */
	FILE_DAMAGED,
	FILE_FOREIGN, /* something critical that this version does not know */
	FILE_ERROR,   /* could not be read now */
};

struct file_view {
	int fd; /* open, read-only or for appending, with FILE_GOOD; the caller's */
	struct salt salt;
	struct record_head head;
	struct spool_envelope *env; /* with everything that was appended */
	uint64_t content_at;        /* in the file */
	uint64_t end, sequence;     /* the next record to append goes here, and the last one's number */
	uint64_t size;              /* of the file: more than end, when its tail is torn */
	bool gone;                  /* the message has left the spool */
};

/* Envelope and updates, verified; not the content. */
enum file_verdict file_read(struct spool *, uint64_t serial, bool for_append, struct arena *,
			    struct file_view *, struct ost_why *);
/* The same for an open file (which is not closed on failure). */
enum file_verdict file_read_fd(int fd, struct arena *, struct file_view *, struct ost_why *);
/* Reads the content through and checks its sum. */
enum file_verdict file_check_content(const struct file_view *, struct ost_why *);
/* Should the file be written anew, because of all that was appended? */
bool file_wants_rewrite(const struct spool *, const struct file_view *);
/* Writes the message under another name, with v->env as its envelope and nothing appended. Not durable yet;
 * then file_replace() puts it in the place of the old file (the folder's sync is the caller's). False: errno.
 */
bool file_rewrite(struct spool *, const struct file_view *v, struct message_file *);
bool file_replace(struct message_file *);
/* Writes bytes that are in the file, and were verified, once more to where they are: after a failed sync nobody knows whether
 * they are on the disk, and the next sync would not write them again by itself. Not durable yet. False: errno. */
bool file_write_again(struct spool *, int fd, uint64_t from, uint64_t to);
/* Appends a record; the view moves on. Not durable yet. A torn tail is cut off first. */
bool file_append(struct spool *, struct file_view *, enum record_kind, const char *body, uint32_t len);

#endif
