/* SPDX-License-Identifier: Apache-2.0
 * Fetching messages: a copy first, then the check of the copy, and only then its use. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/magic.h"
#include "base/mem.h"
#include "spool/stored.h"

enum { LENGTH_MAX = 1 << 30 };

/* Verified content in memory: there it has LF line ends. */
static void take_content(const struct record_head *h, char *content, struct spool_stored *out)
{
	bool in_line = false;
	size_t used;
	out->data = content;
	out->size = h->wire.is ? wire_decode(&in_line, content, (size_t)h->content_len, true, content, &used) : h->content_len;
}

/* Does the copy say that it is the ticket's message? Fills out. */
static enum spool_fetched take_record(const struct ticket *t, char *copy, struct spool_stored *out,
				      struct ost_why *why)
{
	struct record_head h;
	if (record_head_get(copy, &t->salt, &h) != RECORD_GOOD || h.kind != RECORD_MESSAGE ||
	    h.serial != t->serial || h.at != t->at || record_length(&h) != t->length ||
	    !record_content_good(&h, copy + h.content_off) ||
	    !record_body_good(&h, copy + record_body_off(&h))) {
		why_set(why, "the record in segment %u does not verify", t->number);
		return FETCH_DAMAGED;
	}
	out->arena = arena_new();
	if (envelope_get(out->arena, copy + record_body_off(&h), h.body_len, &out->env) != BODY_GOOD) {
		why_set(why, "the envelope in segment %u is not one of this version", t->number);
		return FETCH_FAILED;
	}
	out->memory = copy;
	take_content(&h, copy + h.content_off, out);
	return FETCH_OK;
}

/* Copies and checks a record of an open segment. The header is read after the copy: the salt in it says
 * whether what was copied still counted. */
static enum spool_fetched copy_record(int fd, const struct ticket *t, struct spool_stored *out,
				      struct ost_why *why)
{
	struct segment_header header;
	char *copy = mem_alloc(t->length);
	enum spool_fetched got = FETCH_FAILED;
	if (!io_pread_full(fd, copy, t->length, (off_t)t->at))
		why_errno(why, "reading segment %u", t->number);
	else if (segment_read_header(fd, &header, why))
		got = salt_equal(&header.salt, &t->salt) && header.state == SEGMENT_USED
			      ? take_record(t, copy, out, why)
			      : FETCH_GONE;
	if (got != FETCH_OK)
		free(copy);
	return got;
}

/* Is the segment of this number another file than the one that is open? The damaged are set aside, and made anew. */
static bool is_replaced(const struct spool *s, uint32_t number, int fd)
{
	char name[SEGMENT_NAME];
	struct stat open, there;
	return fstat(fd, &open) == 0 &&
	       fstatat(s->journal, segment_name(name, number), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (open.st_ino != there.st_ino || open.st_dev != there.st_dev);
}

/* A message from the journal. */
static enum spool_fetched fetch_journal(struct spool *s, const struct ticket *t, struct spool_stored *out,
					struct ost_why *why)
{
	bool own;
	int fd = spool_segment_fd(s, t->number, &own);
	if (fd < 0) {
		why_errno(why, "segment %u", t->number);
		return errno == ENOENT ? FETCH_GONE : FETCH_FAILED;
	}
	enum spool_fetched got = copy_record(fd, t, out, why);
	if (got != FETCH_OK && !own && is_replaced(s, t->number, fd)) {
		char name[SEGMENT_NAME];
		spool_stored_free(out);
		fd = openat(s->journal, segment_name(name, t->number), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0)
			sys_check_folder();
		own = true;
		got = fd < 0 ? FETCH_FAILED : copy_record(fd, t, out, why);
	}
	if (own)
		io_close(&fd);
	return got;
}

/* Reads the content of a small file and checks it. */
static enum spool_fetched read_content(const struct file_view *v, struct spool_stored *out,
				       struct ost_why *why)
{
	out->memory = mem_alloc((size_t)v->head.content_len + 1);
	if (!io_pread_full(v->fd, out->memory, (size_t)v->head.content_len, (off_t)v->content_at)) {
		why_errno(why, "reading a message file");
		return FETCH_FAILED;
	}
	if (record_content_good(&v->head, out->memory)) {
		take_content(&v->head, out->memory, out);
		return FETCH_OK;
	}
	why_set(why, "the content's sum is wrong");
	return FETCH_DAMAGED;
}

static const enum spool_fetched fetched_of[] = {
	[FILE_GOOD] = FETCH_OK,         [FILE_MISSING] = FETCH_GONE,   [FILE_UNFINISHED] = FETCH_GONE,
	[FILE_DAMAGED] = FETCH_DAMAGED, [FILE_FOREIGN] = FETCH_FAILED, [FILE_ERROR] = FETCH_FAILED,
};

/* A message from its file. unread: content that is in wire form need not be verified yet. */
static enum spool_fetched fetch_file(struct spool *s, uint64_t serial, bool unread, struct spool_stored *out,
				     struct ost_why *why)
{
	struct file_view v;
	out->arena = arena_new();
	enum spool_fetched got = fetched_of[file_read(s, serial, false, out->arena, &v, why)];
	if (got != FETCH_OK)
		return got;
	out->env = v.env;
	out->size = record_lf_size(&v.head);
	if (v.gone)
		got = FETCH_GONE;
	else if (v.head.content_len <= s->options.file_threshold)
		got = read_content(&v, out, why);
	else if (!unread || !v.head.wire.is)
		got = fetched_of[file_check_content(&v, why)];
	if (got == FETCH_OK && !out->data) {
		out->fd = v.fd;
		out->fd_offset = v.content_at;
		if (v.head.wire.is)
			out->wire = stored_wire_new(&v, !unread);
	} else {
		io_close(&v.fd);
	}
	return got;
}

static enum spool_fetched fetch(struct spool *s, const void *ticket, size_t len, bool unread, struct spool_stored *out,
				struct ost_why *why)
{
	CHECK_MAGIC(s, SPOOL_MAGIC);
	struct ticket t;
	*out = (struct spool_stored){ .fd = -1 };
	if (!ticket_get(ticket, len, &t) || t.length > LENGTH_MAX) {
		why_set(why, "no ticket");
		return FETCH_GONE;
	}
	enum spool_fetched got = FETCH_GONE, in_file;
	if (t.home == TICKET_JOURNAL)
		got = fetch_journal(s, &t, out, why);
	if (got == FETCH_OK)
		return got;
	spool_stored_free(out);
	in_file = fetch_file(s, t.serial, unread, out, got == FETCH_GONE ? why : NULL);
	if (in_file == FETCH_OK || got == FETCH_GONE)
		got = in_file;
	if (got != FETCH_OK)
		spool_stored_free(out);
	return got;
}

enum spool_fetched spool_fetch(struct spool *s, const void *ticket, size_t len, struct spool_stored *out,
			       struct ost_why *why)
{
	return fetch(s, ticket, len, false, out, why);
}

enum spool_fetched spool_fetch_unread(struct spool *s, const void *ticket, size_t len, struct spool_stored *out,
				      struct ost_why *why)
{
	return fetch(s, ticket, len, true, out, why);
}
