/* SPDX-License-Identifier: Apache-2.0
 * M_NOTICE and the text that comes of it: whatever senders, recipients and remote servers wrote, the parts of
 * the notice stay four, and its lines are ours. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "bounce/compose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct notice_settings settings = {
	.myhostname = "mx.example.com",
	.myorigin = "example.com",
	.mail_name = "Ostler",
	.double_bounce = "double-bounce@example.com",
	.bounce_copies = "postmaster@example.com",
	.delay_copies = "postmaster@example.com",
	.double_bounces = "postmaster@example.com",
	.size_limit = 50000,
	.lifetime = 1000000,
};

/* The fields of the envelope that strangers write are taken from the input's own texts. */
static const char *pick(const struct notice_request *q, size_t n)
{
	const struct notice_rcpt *r = q->nrcpts ? &q->rcpts[n % q->nrcpts] : NULL;
	const char *text = !r ? NULL : n % 3 == 0 ? r->reason : n % 3 == 1 ? r->address : r->diagnostic;
	return text ? text : "x@y";
}

static void check_text(const struct buf *b, const struct notice_text *t)
{
	char line[200];
	size_t parts = 0;
	snprintf(line, sizeof line, "\n--%s", t->boundary);
	for (const char *at = strstr(buf_str(b), line); at; at = strstr(at + 1, line))
		parts++;
	assert(parts == 4);
	for (size_t i = 0; i < b->len; i++) {
		unsigned char c = (unsigned char)b->data[i];
		assert((c >= 0x20 && c < 0x7f) || c == '\n' || c == '\t');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct notice_request *q = notice_request_new();
	const struct ipc_message m = { .type = M_NOTICE, .body = (const char *)data, .len = size };
	uint64_t id;
	notice_request_id(&m, &id);
	if (notice_request_add(q, &m)) {
		struct spool_rcpt rcpts[2] = { { .address = pick(q, 1), .orcpt = pick(q, 3) },
					       { .address = pick(q, 4), .original = pick(q, 2) } };
		const struct spool_envelope env = {
			.sender = pick(q, 1), .envid = pick(q, 0), .rcpts = rcpts, .nrcpts = 2
		};
		struct notice_text t = { .settings = &settings,
					 .request = q,
					 .env = &env,
					 .queue_id = "4A38CCC7F7",
					 .own_id = "872CBB27BE",
					 .to = pick(q, 4),
					 .postmaster = size % 2 };
		struct buf b = BUF_INIT;
		compose_prepare(&t, 4711);
		compose_head(&b, &t);
		compose_tail(&b, &t);
		check_text(&b, &t);
		buf_free(&b);
	}
	notice_request_free(&q);
	return 0;
}
