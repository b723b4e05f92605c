/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/file.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "spool/file_wire.h"

enum { SEND_OFF = 1024 * 1024 }; /* streamed content goes to the disk in pieces of this size, while the rest is still coming */

char *file_name(char name[FILE_NAME], uint64_t serial)
{
	char id[QUEUE_ID_SIZE];
	queue_id_text(id, serial, false);
	snprintf(name, FILE_NAME, "%.2s/%.24s", id + 2, id);
	return name;
}

/* Creates and locks. A keeper that finds the new file before it is locked may remove it as left over: then
 * again. */
static bool create_locked(struct message_file *f)
{
	for (int tries = 0; tries < 10; tries++) {
		struct stat st;
		f->fd = sys_create(&f->spool->sys, f->dir, f->name, false);
		if (f->fd < 0)
			return false;
		if (sys_lock(f->fd) && fstat(f->fd, &st) == 0 && st.st_nlink > 0) {
			f->identity = (struct sys_identity){ .device = st.st_dev, .inode = st.st_ino };
			return true;
		}
		io_close(&f->fd);
	}
	errno = EAGAIN;
	return false;
}

bool file_create(struct spool *s, uint64_t serial, int dir, const char *name, struct message_file *f)
{
	*f = (struct message_file){
		.spool = s, .serial = serial, .dir = s->message, .at = FILE_STREAM_AT,
		.on_its_way = FILE_STREAM_AT, .fd = -1
	};
	if (name) {
		f->dir = dir;
		snprintf(f->name, sizeof f->name, "%s", name);
	} else {
		file_name(f->name, serial);
	}
	return salt_draw(&f->salt) && create_locked(f);
}

bool file_write(struct message_file *f, const void *p, size_t n, const void *q, size_t m)
{
	struct iovec iov[] = {
		{ .iov_base = (void *)(uintptr_t)p, .iov_len = n },
		{ .iov_base = (void *)(uintptr_t)q, .iov_len = m },
	};
	if (!sys_pwritev(&f->spool->sys, f->fd, iov, 2, f->at))
		return false;
	f->at += n + m;
	if (f->at - f->on_its_way >= SEND_OFF) {
		sys_start_write(f->fd, f->on_its_way, f->at - f->on_its_way);
		f->on_its_way = f->at;
	}
	return true;
}

/* The file's header and the record's head in one piece. */
static void make_start(const struct message_file *f, const struct record_head *h,
		       char start[FILE_HEADER + RECORD_HEAD])
{
	file_header_put(start, f->serial, &f->salt);
	record_head_put(start + FILE_HEADER, h, &f->salt);
}

bool file_seal(struct message_file *f, const char *prefix, uint32_t prefix_len, struct sum content_sum,
	       const struct wire_facts *wire, const char *body, uint32_t body_len)
{
	const struct sys *sys = &f->spool->sys;
	uint64_t len = f->at - FILE_STREAM_AT;
	if (prefix_len > FILE_STREAM_AT - FILE_HEADER - RECORD_HEAD) {
		errno = EMSGSIZE;
		return false;
	}
	struct record_head h = {
		.kind = RECORD_MESSAGE,
		.serial = f->serial,
		.sequence = 1,
		.at = FILE_HEADER,
		.content_off = (uint32_t)(FILE_STREAM_AT - prefix_len - FILE_HEADER),
		.prefix_len = prefix_len,
		.content_len = len + prefix_len,
		.wire = *wire,
		.body_len = body_len,
		.content_sum = content_sum,
		.body_sum = record_body_sum(f->serial, body, body_len),
	};
	char start[FILE_HEADER + RECORD_HEAD];
	make_start(f, &h, start);
	return (prefix_len == 0 || sys_pwrite(sys, f->fd, prefix, prefix_len, FILE_STREAM_AT - prefix_len)) &&
	       sys_pwrite(sys, f->fd, body, body_len, f->at) &&
	       sys_pwrite(sys, f->fd, start, sizeof start, 0);
}

bool file_store(struct message_file *f, const char *content, uint64_t len, uint32_t prefix_len,
		struct sum content_sum, const char *body, uint32_t body_len)
{
	struct record_head h = {
		.kind = RECORD_MESSAGE,
		.serial = f->serial,
		.sequence = 1,
		.at = FILE_HEADER,
		.content_off = RECORD_HEAD,
		.prefix_len = prefix_len,
		.content_len = len,
		.body_len = body_len,
		.content_sum = content_sum,
		.body_sum = record_body_sum(f->serial, body, body_len),
	};
	char start[FILE_HEADER + RECORD_HEAD];
	make_start(f, &h, start);
	struct iovec iov[] = {
		{ .iov_base = start, .iov_len = sizeof start },
		{ .iov_base = (void *)(uintptr_t)content, .iov_len = (size_t)len },
		{ .iov_base = (void *)(uintptr_t)body, .iov_len = body_len },
	};
	return sys_pwritev(&f->spool->sys, f->fd, iov, 3, 0);
}

bool file_sync(struct message_file *f)
{
	if (!sys_fsync(&f->spool->sys, f->fd))
		return false;
	sys_check_identity(f->fd, &f->identity, "a message file");
	return true;
}

bool file_sync_folder(struct spool *s, uint64_t serial)
{
	char name[FILE_NAME];
	*strchr(file_name(name, serial), '/') = '\0';
	int fd = openat(s->message, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && sys_sync_folder(&s->sys, fd);
	io_close(&fd);
	return ok;
}

void file_close(struct message_file *f)
{
	io_close(&f->fd);
}

void file_abandon(struct message_file *f)
{
	int error = errno;
	if (f->fd >= 0)
		sys_unlink(&f->spool->sys, f->dir, f->name);
	file_close(f);
	errno = error;
}

bool file_append(struct spool *s, struct file_view *v, enum record_kind kind, const char *body, uint32_t len)
{
	if (v->size > v->end && !sys_truncate(&s->sys, v->fd, v->end))
		return false;
	v->size = v->end;
	struct record_head h = {
		.kind = kind,
		.serial = v->head.serial,
		.sequence = v->sequence + 1,
		.at = v->end,
		.content_off = RECORD_HEAD,
		.content_sum = record_content_sum(v->head.serial, "", 0, 0),
		.body_len = len,
		.body_sum = record_body_sum(v->head.serial, body, len),
	};
	static const char zeros[RECORD_ALIGN];
	uint64_t end = v->end + RECORD_HEAD + len, next = round_up(end, RECORD_ALIGN);
	char head[RECORD_HEAD];
	record_head_put(head, &h, &v->salt);
	struct iovec iov[] = {
		{ .iov_base = head, .iov_len = sizeof head },
		{ .iov_base = (void *)(uintptr_t)body, .iov_len = len },
		{ .iov_base = (void *)(uintptr_t)zeros, .iov_len = next - end },
	};
	if (!sys_pwritev(&s->sys, v->fd, iov, 3, v->end)) {
		v->size = next;
		return false;
	}
	v->end = v->size = next;
	v->sequence++;
	return true;
}
