/* SPDX-License-Identifier: Apache-2.0
 * Data of DNS records: names and texts. And, as a text, a resolv.conf. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[256], servers[DNS_SERVERS_MAX][DNS_SERVER_SIZE];
	struct arena *a = arena_new();
	uint8_t *exact = malloc(size ? size : 1); /* a byte too far is seen */
	memcpy(exact, data, size);
	if (dns_wire_name(exact, size, name) && (strlen(name) > 253 || strpbrk(name, " \t\r\n\\")))
		abort();
	const char *text = dns_wire_text(a, exact, size);
	if (text && strlen(text) > DNS_TEXT_MAX)
		abort();
	free(exact);
	char *lines = malloc(size + 1);
	memcpy(lines, data, size);
	lines[size] = '\0';
	size_t n = dns_parse_resolv(lines, servers);
	for (size_t i = 0; i < n; i++)
		if (!*servers[i] || strpbrk(servers[i], " \t\r\n"))
			abort();
	free(lines);
	arena_destroy(&a);
	return 0;
}
