/* SPDX-License-Identifier: Apache-2.0
 * Replies of a server, as the SMTP client reads them: from a socket, with its bounds. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "transports/smtp/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void see(void *ctx, const char *text)
{
	*(size_t *)ctx += strlen(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stream s;
	struct reply r;
	size_t seen = 0;
	int pair[2];
	if (size > 100000 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return 0;
	if (write(pair[1], data, size) != (ssize_t)size)
		abort();
	close(pair[1]);
	stream_init(&s, pair[0], clock_mono);
	while (reply_read(&s, &r, clock_mono() + CLOCK_SECOND * 10, see, &seen) == REPLY_OK) {
		if (r.code < 200 || r.code > 599 || strlen(r.text) > REPLY_TEXT_MAX || strlen(r.dsn) < 5 || seen > size)
			abort();
	}
	stream_close(&s);
	return 0;
}
