/* SPDX-License-Identifier: Apache-2.0
 * A message that has been tried for days has a long tail of updates: then its file is written anew. A file
 * with a second name (spool/named.c) stays as it is, since that name would stay with the old content.
 * And what a failed sync has left in doubt is written again in its place. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "spool/file.h"

enum { CHUNK = 256 * 1024 };

bool file_wants_rewrite(const struct spool *s, const struct file_view *v)
{
	uint64_t appended = v->end - (FILE_HEADER + record_length(&v->head));
	return !v->env->named && appended > s->options.update_limit && appended > v->head.content_len;
}

bool file_write_again(struct spool *s, int fd, uint64_t from, uint64_t to)
{
	char *chunk = mem_alloc(CHUNK);
	bool ok = true;
	for (uint64_t at = from, n; ok && at < to; at += n) {
		n = to - at < CHUNK ? to - at : CHUNK;
		ok = io_pread_full(fd, chunk, (size_t)n, (off_t)at) && sys_pwrite(&s->sys, fd, chunk, (size_t)n, at);
	}
	int error = errno;
	free(chunk);
	errno = error;
	return ok;
}

/* Copies the content and answers its sum. */
static bool copy_content(const struct file_view *v, struct message_file *f, struct sum *sum)
{
	struct sum_stream *stream = sum_stream_new(f->serial);
	char *chunk = mem_alloc(CHUNK);
	bool ok = true;
	for (uint64_t at = 0, n; ok && at < v->head.content_len; at += n) {
		uint64_t left = v->head.content_len - at;
		n = left < CHUNK ? left : CHUNK;
		ok = io_pread_full(v->fd, chunk, (size_t)n, (off_t)(v->content_at + at)) &&
		     file_write(f, chunk, (size_t)n, NULL, 0);
		if (ok)
			sum_stream_add(stream, chunk, (size_t)n);
	}
	int error = errno ? errno : EIO;
	*sum = sum_stream_end(&stream);
	free(chunk);
	errno = error;
	return ok;
}

bool file_rewrite(struct spool *s, const struct file_view *v, struct message_file *f)
{
	char name[FILE_NAME], fresh[FILE_NAME + 8];
	struct buf body = BUF_INIT;
	struct sum sum;
	struct ost_why why;
	f->fd = -1;
	if (file_check_content(v, &why) != FILE_GOOD) { /* what is damaged stays to be set aside */
		errno = EIO;
		return false;
	}
	snprintf(fresh, sizeof fresh, "%s.new", file_name(name, v->head.serial));
	sys_unlink(&s->sys, s->message, fresh); /* of a keeper that died */
	envelope_put(&body, v->env);
	bool ok = file_create(s, v->head.serial, s->message, fresh, f) && copy_content(v, f, &sum) &&
		  file_seal(f, NULL, 0, sum, &v->head.wire, body.data, (uint32_t)body.len);
	if (!ok)
		file_abandon(f);
	buf_free(&body);
	return ok;
}

bool file_replace(struct message_file *f)
{
	char name[FILE_NAME];
	if (!sys_rename(&f->spool->sys, f->dir, f->name, f->dir, file_name(name, f->serial)))
		return false;
	snprintf(f->name, sizeof f->name, "%s", name);
	return true;
}
