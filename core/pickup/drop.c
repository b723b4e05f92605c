/* SPDX-License-Identifier: Apache-2.0 */
#include "pickup/drop.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/magic.h"
#include "base/tlv.h"
#include "ipc/link.h"
#include "ipc/protocol.h"

static const char drop_mark[] = "Ostler maildrop 1\n";
enum { MARK_LEN = sizeof drop_mark - 1, PACK_MAX = IPC_BODY_MAX - 8192 };

size_t submission_pack(struct buf *b, const struct submission *s, size_t first)
{
	size_t n = 0;
	if (first == 0) {
		tlv_put_str(b, F_IDENTITY, s->name);
		tlv_put_str(b, F_SENDER, s->sender);
		tlv_put_str(b, F_NAME, s->full_name);
		tlv_put_str(b, F_DSN_ENVID, s->envid);
		tlv_put_u64(b, F_FLAGS, s->flags);
		tlv_put_u64(b, F_DSN_NOTIFY, s->notify);
		tlv_put_u64(b, F_DSN_RET, s->ret);
	}
	while (first + n < s->nrcpts && b->len + strlen(s->rcpts[first + n]) < PACK_MAX)
		tlv_put_str(b, F_ADDRESS, s->rcpts[first + n++]);
	return n;
}

bool drop_name_valid(const char *name)
{
	return strlen(name) == DROP_NAME_LEN && strspn(name, "0123456789ABCDEF") == DROP_NAME_LEN;
}

bool drop_name_new(char name[DROP_NAME_LEN + 1])
{
	unsigned char bits[DROP_NAME_LEN / 2];
	if (getrandom(bits, sizeof bits, 0) != sizeof bits)
		return false;
	for (size_t i = 0; i < sizeof bits; i++)
		snprintf(name + 2 * i, 3, "%02X", bits[i]);
	return true;
}

/* All records into the file. */
static bool write_records(int fd, const struct submission *s, const char *content, size_t len)
{
	struct buf b = BUF_INIT;
	size_t done = 0;
	buf_add(&b, drop_mark, MARK_LEN);
	do {
		size_t mark = tlv_open(&b, M_SUBMIT, 0);
		struct buf body = BUF_INIT;
		done += submission_pack(&body, s, done);
		buf_add(&b, body.data, body.len);
		buf_free(&body);
		tlv_close(&b, mark);
	} while (done < s->nrcpts);
	bool ok = io_write_all(fd, b.data, b.len);
	for (size_t at = 0; ok && at < len;) {
		size_t n = len - at < DROP_CHUNK ? len - at : DROP_CHUNK;
		buf_reset(&b);
		tlv_put(&b, M_SUBMIT_DATA, 0, content + at, n);
		ok = io_write_all(fd, b.data, b.len);
		at += n;
	}
	buf_reset(&b);
	tlv_put(&b, M_SUBMIT_END, 0, NULL, 0);
	ok = ok && io_write_all(fd, b.data, b.len);
	buf_free(&b);
	return ok;
}

bool drop_write(const char *folder, const struct submission *s, const char *content, size_t len, struct ost_why *why)
{
	char part[DROP_NAME_LEN + 8];
	assert(s->name && drop_name_valid(s->name));
	snprintf(part, sizeof part, "%s.part", s->name);
	int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return why_errno(why, "%s", folder);
	int fd = openat(dir, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
	bool made_file = fd >= 0;
	/* The folder can be written and not read, so that it cannot be synced by itself: syncfs() covers the new name. */
	bool ok = made_file && fchmod(fd, 0444) == 0 && write_records(fd, s, content, len) && fsync(fd) == 0 &&
		  renameat(dir, part, dir, s->name) == 0 && syncfs(fd) == 0;
	if (!ok) {
		why_errno(why, "%s/%s", folder, s->name);
		if (made_file) {
			(void)unlinkat(dir, part, 0);
			(void)unlinkat(dir, s->name, 0);
		}
	}
	io_close(&fd);
	io_close(&dir);
	return ok;
}

/* Has at least n bytes at r->at, reading on as needed. */
static bool need(struct drop_reader *r, size_t n)
{
	while (r->in.len - r->at < n) {
		buf_consume(&r->in, r->at);
		r->at = 0;
		buf_reserve(&r->in, n > DROP_CHUNK ? n : DROP_CHUNK);
		ssize_t got = read(r->fd, r->in.data + r->in.len, r->in.cap - r->in.len - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		r->in.len += (size_t)got;
	}
	return true;
}

enum drop_record drop_read(struct drop_reader *r, const char **p, size_t *n)
{
	struct {
		uint16_t type, flags;
		uint32_t len;
	} head;
	if (!r->begun) {
		if (!need(r, MARK_LEN) || memcmp(r->in.data, drop_mark, MARK_LEN) != 0)
			return DROP_BAD;
		r->at = MARK_LEN;
		r->begun = true;
	}
	if (!need(r, sizeof head))
		return DROP_BAD;
	memcpy(&head, r->in.data + r->at, sizeof head);
	unsigned type = le16toh(head.type);
	size_t len = le32toh(head.len);
	if (len > IPC_BODY_MAX || !need(r, sizeof head + len))
		return DROP_BAD;
	*p = r->in.data + r->at + sizeof head;
	*n = len;
	r->at += sizeof head + len;
	switch (type) {
	case M_SUBMIT:
		return DROP_ENVELOPE;
	case M_SUBMIT_DATA:
		return DROP_DATA;
	case M_SUBMIT_END:
		return DROP_END;
	default:
		return DROP_BAD;
	}
}

void drop_reader_free(struct drop_reader *r)
{
	buf_free(&r->in);
}
