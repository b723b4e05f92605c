/* SPDX-License-Identifier: Apache-2.0
 * Replies of a tcp_table(5) server, and requests with the input as a key. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tables/tcp/tcp_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A request is one line with one blank in it, whatever the key, and says the key. */
static void check_request(const uint8_t *key, size_t klen)
{
	char request[TCP_LINE_MAX];
	size_t n = tcp_request(request, (const char *)key, klen), vlen;
	const char *value;
	if (n == 0)
		return;
	if (n > TCP_LINE_MAX || memchr(request, '\n', n) != request + n - 1 || memchr(request, '\r', n) ||
	    memchr(request + 4, ' ', n - 4) || memchr(request, '\0', n))
		abort();
	char reply[TCP_LINE_MAX];
	memcpy(reply, request, n);
	memcpy(reply, "200 ", 4);
	reply[n - 1] = '\0';
	if (tcp_parse_reply(reply, n - 1, &value, &vlen) == TCP_FOUND
		    ? vlen != klen || memcmp(value, key, klen) != 0
		    : !memchr(key, '\0', klen))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *value = NULL;
	size_t vlen = 0;
	char *line = malloc(size + 1);
	memcpy(line, data, size);
	line[size] = '\0';
	enum tcp_reply outcome = tcp_parse_reply(line, size, &value, &vlen);
	if (outcome != TCP_MALFORMED && (value != line + 4 || vlen > size - 4 || strlen(value) != vlen))
		abort();
	free(line);
	check_request(data, size);
	return 0;
}
