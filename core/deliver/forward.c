/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ipc/protocol.h"
#include "process/paths.h"

enum { CHUNK = 64 * 1024 };
static const int64_t submit_time = 300 * CLOCK_SECOND;

static bool send_envelope(struct ipc_link *link, const struct ost_forward *f)
{
	struct buf b = BUF_INIT;
	tlv_put_str(&b, F_SENDER, f->sender);
	for (size_t i = 0; i < f->nrcpts; i++)
		tlv_put_str(&b, F_ADDRESS, f->rcpts[i]);
	bool ok = b.len <= IPC_BODY_MAX && ipc_send(link, M_SUBMIT, b.data, b.len);
	buf_free(&b);
	return ok;
}

static bool send_content(struct ipc_link *link, struct delivery *d, const char *prepend)
{
	if (prepend && *prepend && !ipc_send(link, M_SUBMIT_DATA, prepend, strlen(prepend)))
		return false;
	char *space = mem_alloc(CHUNK);
	bool ok = true;
	for (uint64_t at = 0; ok && at < d->stored.size;) {
		ssize_t n = spool_stored_read(&d->stored, at, space, CHUNK);
		ok = n > 0 && ipc_send(link, M_SUBMIT_DATA, space, (size_t)n);
		at += n > 0 ? (uint64_t)n : 0;
	}
	free(space);
	return ok && ipc_send(link, M_SUBMIT_END, NULL, 0);
}

/* Waits for "stored". */
static bool take_reply(struct ipc_link *link, char queue_id[24], int64_t deadline, struct ost_why *why)
{
	struct ipc_message m;
	if (ipc_receive(link, &m, deadline) != IPC_GOT || m.type != M_SUBMIT_REPLY)
		return why_set(why, "no answer from the submission service");
	struct tlv_reader r = tlv_read(m.body, m.len);
	struct tlv f;
	uint64_t ok = 0;
	why_set(why, "the submission service refused the message");
	while (tlv_next(&r, &f)) {
		if (f.type == F_GOOD)
			tlv_u64(&f, &ok);
		else if (f.type == F_QUEUE_ID)
			snprintf(queue_id, 24, "%.*s", (int)f.len, f.data);
		else if (f.type == F_REASON)
			why_set(why, "%.*s", (int)f.len, f.data);
	}
	return ok != 0;
}

bool forward_message(struct delivery *d, const struct ost_forward *f, char queue_id[24], struct ost_why *why)
{
	int64_t deadline = clock_mono() + submit_time;
	char *path = instance_path(d->agent->view, PLACE_PICKUP);
	struct ipc_link *link = ipc_connect(path, "agent", deadline, why);
	free(path);
	queue_id[0] = '\0';
	if (!link)
		return false;
	bool ok = send_envelope(link, f) && send_content(link, d, f->prepend);
	ok = (ok || why_set(why, "the submission service closed the connection")) && take_reply(link, queue_id, deadline, why);
	ipc_link_destroy(&link);
	return ok;
}
