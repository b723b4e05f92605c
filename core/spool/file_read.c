/* SPDX-License-Identifier: Apache-2.0
 * Reading message files back. Nothing here trusts a byte of them. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "spool/file_wire.h"

#define FILE_MAGIC 0x464d534fu /* "OSMF" */
enum { FORMAT = 1, FIRST_READ = 16 * 1024, CHECK_CHUNK = 256 * 1024 };

struct wire {
	uint32_t magic, format;
	uint64_t serial;
	unsigned char salt[16];
	uint64_t sum[2], spare[10];
};
_Static_assert(sizeof(struct wire) == FILE_HEADER, "the header has no padding");

void file_header_put(char at[FILE_HEADER], uint64_t serial, const struct salt *salt)
{
	struct wire w = { .magic = htole32(FILE_MAGIC),
			  .format = htole32(FORMAT),
			  .serial = htole64(serial) };
	memcpy(w.salt, salt->bytes, sizeof w.salt);
	struct sum s = sum_bytes(FILE_MAGIC, &w, offsetof(struct wire, sum));
	w.sum[0] = htole64(s.lo);
	w.sum[1] = htole64(s.hi);
	memcpy(at, &w, sizeof w);
}

enum file_header_verdict file_header_get(const char at[FILE_HEADER], uint64_t *serial, struct salt *salt)
{
	struct wire w;
	memcpy(&w, at, sizeof w);
	struct sum s = sum_bytes(FILE_MAGIC, &w, offsetof(struct wire, sum));
	if (le32toh(w.magic) != FILE_MAGIC || le64toh(w.sum[0]) != s.lo || le64toh(w.sum[1]) != s.hi)
		return FILE_HEADER_NONE;
	*serial = le64toh(w.serial);
	memcpy(salt->bytes, w.salt, sizeof w.salt);
	return le32toh(w.format) == FORMAT ? FILE_HEADER_GOOD : FILE_HEADER_LATER;
}

/* The part of a file that is in memory: what was read first, and then from the body to the end. */
struct part {
	const char *data;
	uint64_t at, len;
};

/* Has its writer not come to the header? That is written last, or with the rest; a sector holds it, so it is
 * not torn. */
static bool never_sealed(const struct part *first)
{
	uint64_t len = first->len < FILE_HEADER + RECORD_HEAD ? first->len : FILE_HEADER + RECORD_HEAD;
	for (uint64_t i = 0; i < len; i++)
		if (first->data[i] != 0)
			return false;
	return true;
}

/* Header and head. */
static enum file_verdict read_start(const struct part *first, struct file_view *v, struct ost_why *why)
{
	uint64_t serial;
	if (never_sealed(first))
		return FILE_UNFINISHED;
	if (first->len < FILE_HEADER + RECORD_HEAD) {
		why_set(why, "the file is cut short");
		return FILE_DAMAGED;
	}
	switch (file_header_get(first->data, &serial, &v->salt)) {
	case FILE_HEADER_NONE:
		why_set(why, "the header's sum is wrong");
		return FILE_DAMAGED;
	case FILE_HEADER_LATER:
		why_set(why, "a message file of a later format");
		return FILE_FOREIGN;
	case FILE_HEADER_GOOD:
		break;
	}
	switch (record_head_get(first->data + FILE_HEADER, &v->salt, &v->head)) {
	case RECORD_NONE:
	case RECORD_BROKEN:
		why_set(why, "the head's sum is wrong");
		return FILE_DAMAGED;
	case RECORD_FOREIGN:
		why_set(why, "a record of a later format");
		return FILE_FOREIGN;
	case RECORD_GOOD:
		break;
	}
	v->content_at = FILE_HEADER + v->head.content_off;
	if (v->head.kind != RECORD_MESSAGE || v->head.serial != serial || v->head.at != FILE_HEADER) {
		why_set(why, "the head is not that of this message");
		return FILE_DAMAGED;
	}
	if (FILE_HEADER + record_length(&v->head) > v->size) {
		why_set(why, "the file is cut short");
		return FILE_DAMAGED;
	}
	return FILE_GOOD;
}

/* What a body's parser says, in words about the file. */
static enum file_verdict verdict_of(enum body_verdict body, struct ost_why *why)
{
	if (body == BODY_CRITICAL)
		why_set(why, "it holds a critical field that this version does not know");
	else if (body == BODY_BAD)
		why_set(why, "it is no proper envelope");
	return body == BODY_GOOD ? FILE_GOOD : body == BODY_CRITICAL ? FILE_FOREIGN : FILE_DAMAGED;
}

/* One appended record, or the torn tail: then *more is false. */
static enum file_verdict read_update(struct arena *a, const char *p, uint64_t left, struct file_view *v,
				     bool *more, struct ost_why *why)
{
	struct record_head h;
	struct spool_update *u;
	enum record_verdict verdict = left < RECORD_HEAD ? RECORD_NONE : record_head_get(p, &v->salt, &h);
	*more = (verdict == RECORD_GOOD || verdict == RECORD_FOREIGN) && h.at == v->end &&
		h.sequence == v->sequence + 1 && h.serial == v->head.serial && h.content_len == 0 &&
		record_length(&h) <= left && record_body_good(&h, p + record_body_off(&h));
	if (!*more)
		return FILE_GOOD;
	if (verdict == RECORD_FOREIGN || (h.kind != RECORD_UPDATE && h.kind != RECORD_GONE)) {
		why_set(why, "an appended record of a later format");
		return FILE_FOREIGN;
	}
	v->end = round_up(v->end + record_length(&h), RECORD_ALIGN);
	v->sequence = h.sequence;
	if (h.kind == RECORD_GONE) {
		v->gone = true;
		return FILE_GOOD;
	}
	enum body_verdict body = update_get(a, p + record_body_off(&h), h.body_len, &u);
	if (body == BODY_GOOD)
		update_apply(v->env, u);
	return verdict_of(body, why);
}

/* After appended bytes that are no record: moves on to the next that is. False: there is none, so they are a
 * torn tail. */
static bool pass_over(const struct part *tail, struct file_view *v)
{
	struct record_head h;
	uint64_t end = tail->at + tail->len;
	for (uint64_t at = v->end + RECORD_ALIGN; at + RECORD_HEAD <= end; at += RECORD_ALIGN) {
		if (record_head_get(tail->data + (at - tail->at), &v->salt, &h) != RECORD_GOOD ||
		    h.at != at || h.sequence <= v->sequence)
			continue;
		v->end = at;
		v->sequence = h.sequence - 1;
		return true;
	}
	return false;
}

/* Envelope and updates, from the bytes behind the content. */
static enum file_verdict read_tail(struct arena *a, const struct part *tail, struct file_view *v,
				   struct ost_why *why)
{
	if (!record_body_good(&v->head, tail->data)) {
		why_set(why, "the envelope's sum is wrong");
		return FILE_DAMAGED;
	}
	enum file_verdict verdict = verdict_of(envelope_get(a, tail->data, v->head.body_len, &v->env), why);
	if (verdict == FILE_GOOD && v->env->serial != v->head.serial) {
		why_set(why, "the envelope is that of another message");
		verdict = FILE_DAMAGED;
	}
	v->end = round_up(FILE_HEADER + record_length(&v->head), RECORD_ALIGN);
	v->sequence = v->head.sequence;
	while (verdict == FILE_GOOD && v->end < tail->at + tail->len) {
		bool more;
		verdict = read_update(a, tail->data + (v->end - tail->at), tail->at + tail->len - v->end, v,
				      &more, why);
		if (!more && !pass_over(tail, v))
			break;
	}
	return verdict;
}

enum file_verdict file_read_fd(int fd, struct arena *a, struct file_view *v, struct ost_why *why)
{
	char start[FIRST_READ], *rest = NULL;
	struct stat st;
	*v = (struct file_view){ .fd = fd };
	if (fstat(fd, &st) != 0)
		goto failed;
	v->size = (uint64_t)st.st_size;
	struct part first = { .data = start, .len = v->size < FIRST_READ ? v->size : FIRST_READ };
	if (!io_pread_full(fd, start, (size_t)first.len, 0))
		goto failed;
	enum file_verdict verdict = read_start(&first, v, why);
	if (verdict != FILE_GOOD)
		return verdict;
	uint64_t body = FILE_HEADER + record_body_off(&v->head);
	if (v->size <= FIRST_READ)
		return read_tail(a, &(struct part){ .data = start + body, .at = body, .len = v->size - body },
				 v, why);
	if (v->size - body > 2 * (uint64_t)RECORD_BODY_MAX) {
		why_set(why, "its envelope is too large");
		return FILE_DAMAGED;
	}
	rest = mem_alloc((size_t)(v->size - body));
	if (!io_pread_full(fd, rest, (size_t)(v->size - body), (off_t)body))
		goto failed;
	verdict = read_tail(a, &(struct part){ .data = rest, .at = body, .len = v->size - body }, v, why);
	free(rest);
	return verdict;
failed:
	why_errno(why, "reading a message file");
	free(rest);
	return FILE_ERROR;
}

enum file_verdict file_read(struct spool *s, uint64_t serial, bool for_append, struct arena *a,
			    struct file_view *v, struct ost_why *why)
{
	char name[FILE_NAME];
	int fd = openat(s->message, file_name(name, serial),
			(for_append ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0) {
		sys_check_folder();
		v->fd = -1;
		why_errno(why, "message file %s", name);
		return errno == ENOENT ? FILE_MISSING : FILE_ERROR;
	}
	enum file_verdict verdict = file_read_fd(fd, a, v, why);
	if (verdict == FILE_GOOD && v->head.serial != serial) {
		why_set(why, "the message in it has another name");
		verdict = FILE_DAMAGED;
	}
	if (verdict != FILE_GOOD)
		io_close(&v->fd);
	return verdict;
}

enum file_verdict file_check_content(const struct file_view *v, struct ost_why *why)
{
	uint64_t len = v->head.content_len, body = v->content_at + v->head.prefix_len;
	struct sum_stream *sum = sum_stream_new(v->head.serial);
	char *chunk = mem_alloc(CHECK_CHUNK);
	bool ok = true;
	for (uint64_t at = body; ok && at < v->content_at + len;) {
		uint64_t left = v->content_at + len - at, n = left < CHECK_CHUNK ? left : CHECK_CHUNK;
		ok = io_pread_full(v->fd, chunk, (size_t)n, (off_t)at);
		if (ok)
			sum_stream_add(sum, chunk, (size_t)n);
		at += n;
	}
	for (uint64_t at = v->content_at; ok && at < body;) {
		uint64_t left = body - at, n = left < CHECK_CHUNK ? left : CHECK_CHUNK;
		ok = io_pread_full(v->fd, chunk, (size_t)n, (off_t)at);
		if (ok)
			sum_stream_add(sum, chunk, (size_t)n);
		at += n;
	}
	if (!ok)
		why_errno(why, "reading a message file");
	free(chunk);
	bool good = sum_equal(sum_stream_end(&sum), v->head.content_sum);
	if (ok && !good)
		why_set(why, "the content's sum is wrong");
	return !ok ? FILE_ERROR : good ? FILE_GOOD : FILE_DAMAGED;
}
