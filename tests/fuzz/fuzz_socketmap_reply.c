/* SPDX-License-Identifier: Apache-2.0
 * Replies of a socketmap_table(5) server, as the client reads them: from a socket, with its bounds. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "tables/socketmap/socketmap_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_REPLY = 1000 };

static bool __attribute__((format(printf, 2, 3))) why(struct ost_why *to, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(to->text, sizeof to->text, fmt, ap);
	va_end(ap);
	return false;
}

static void check_request(const uint8_t *key, size_t klen)
{
	size_t n;
	char head[32], *request = socketmap_request("map", (const char *)key, klen, &n);
	int len = snprintf(head, sizeof head, "%zu:map ", klen + 4);
	if (!request || n != (size_t)len + klen + 1 || memcmp(request, head, (size_t)len) != 0 ||
	    memcmp(request + len, key, klen) != 0 || request[n - 1] != ',')
		abort();
	free(request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ost_host host = { .why = why };
	struct stream s;
	struct ost_why reason = { "" };
	int pair[2];
	bool any = false;
	char *text;
	size_t len;
	if (size > 100000 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return 0;
	if (write(pair[1], data, size) != (ssize_t)size)
		abort();
	close(pair[1]);
	stream_init(&s, pair[0], clock_mono);
	while (socketmap_read(&host, &s, MAX_REPLY, clock_mono() + CLOCK_SECOND * 10, &text, &len, &any,
			      &reason) == STREAM_OK) {
		const char *status, *value;
		size_t vlen;
		enum socketmap_reply outcome = socketmap_parse(text, len, &status, &value, &vlen);
		if (!any || len > MAX_REPLY || value < text || value + vlen != text + len ||
		    (outcome == SOCKETMAP_FOUND && (strlen(value) != vlen || strcmp(status, "OK") != 0)))
			abort();
		free(text);
	}
	stream_close(&s);
	check_request(data, size);
	return 0;
}
