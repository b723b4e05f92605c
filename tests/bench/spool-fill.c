/* SPDX-License-Identifier: Apache-2.0
 * Fills a spool with deferred messages, for measurements of a queue manager that has many.
 *
 * spool-fill FOLDER MESSAGES BYTES RECIPIENT WAIT
 *
 * Each message is a file of its own, as the mover leaves it after a delivery that failed: one recipient (a %d
 * becomes the message's number), tried once, to be tried again WAIT seconds from now. One sync ends it all,
 * so that a million takes a minute and not a quarter of an hour. Not for a spool that anybody has opened. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "spool/file.h"

struct filling {
	struct spool *spool;
	char *content;
	size_t bytes;
	const char *recipient;
	int64_t now, wait;
	struct buf body; /* of the message that is being made */
};

/* The pattern with the message's number in place of its first %d. */
static const char *recipient_of(struct arena *a, const char *pattern, size_t n)
{
	const char *hole = strstr(pattern, "%d");
	if (!hole)
		return pattern;
	return arena_printf(a, "%.*s%zu%s", (int)(hole - pattern), pattern, n, hole + 2);
}

/* The envelope's bytes, as a delivery that found nobody left them. */
static void put_envelope(struct filling *f, uint64_t serial, size_t n)
{
	struct arena *a = arena_new();
	struct spool_rcpt rcpt = {
		.address = recipient_of(a, f->recipient, n),
		.status = RCPT_DEFERRED,
		.attempts = 1,
		.next_try = f->now + f->wait,
		.last_try = f->now,
		.dsn = "4.4.1",
		.reason = "connect to 192.0.2.25[192.0.2.25]:25: Connection refused",
	};
	const struct spool_envelope env = {
		.serial = serial,
		.arrival = f->now,
		.sender = "sender@client.example",
		.size = f->bytes,
		.message_id = "<20240101000000.12345@client.example>",
		.client = { .name = "client.example",
			    .address = "192.0.2.17",
			    .port = "43210",
			    .proto = "ESMTP",
			    .helo = "client.example" },
		.rewrite_context = "remote",
		.rcpts = &rcpt,
		.nrcpts = 1,
	};
	buf_reset(&f->body);
	envelope_put(&f->body, &env);
	arena_destroy(&a);
}

/* Writes one message file, without a sync. */
static bool fill_one(struct filling *f, size_t n, struct ost_why *why)
{
	struct message_file file = { .fd = -1 };
	uint64_t serial;
	if (!serial_draw(f->spool, &serial, why))
		return false;
	put_envelope(f, serial, n);
	bool ok = file_create(f->spool, serial, -1, NULL, &file) &&
		  file_store(&file, f->content, f->bytes, 0,
			     record_content_sum(serial, f->content, f->bytes, 0), f->body.data,
			     (uint32_t)f->body.len);
	if (!ok)
		why_errno(why, "message %zu", n);
	file_close(&file);
	return ok;
}

/* Everything on this file system is on the disk. */
static bool sync_all(const char *path, struct ost_why *why)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && syncfs(fd) == 0;
	if (!ok)
		why_errno(why, "syncing %s", path);
	io_close(&fd);
	return ok;
}

/* A header, and lines of text. */
static char *make_content(size_t bytes)
{
	static const char head[] = "From: sender@client.example\nSubject: waits\n\n";
	char *content = mem_alloc(bytes + sizeof head);
	memset(content, 'x', bytes + sizeof head);
	for (size_t i = 71; i < bytes; i += 72)
		content[i] = '\n';
	memcpy(content, head, sizeof head - 1 < bytes ? sizeof head - 1 : bytes);
	return content;
}

int main(int argc, char **argv)
{
	struct ost_why why = { "" };
	if (argc != 6) {
		fprintf(stderr, "usage: spool-fill FOLDER MESSAGES BYTES RECIPIENT WAIT\n");
		return 2;
	}
	size_t messages = (size_t)strtoull(argv[2], NULL, 10);
	struct filling f = {
		.bytes = (size_t)strtoull(argv[3], NULL, 10),
		.recipient = argv[4],
		.now = clock_utc(),
		.wait = strtoll(argv[5], NULL, 10) * CLOCK_SECOND,
	};
	bool ok = spool_create(argv[1], &why) && (f.spool = spool_open(argv[1], NULL, &why));
	f.content = make_content(f.bytes);
	for (size_t i = 0; ok && i < messages; i++)
		ok = fill_one(&f, i, &why);
	ok = ok && sync_all(argv[1], &why);
	if (!ok)
		fprintf(stderr, "spool-fill: %s\n", why.text);
	spool_close(&f.spool);
	buf_free(&f.body);
	free(f.content);
	return !ok;
}
