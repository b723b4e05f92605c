/* SPDX-License-Identifier: Apache-2.0
 * Lists of TLS versions: bounds, or names to take and names to leave out. */
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/tls.h"

static const struct {
	const char *name;
	int version;
	unsigned long without; /* SSL_OP_NO_… */
} versions[] = {
	{ "SSLv3", SSL3_VERSION, SSL_OP_NO_SSLv3 },        { "TLSv1", TLS1_VERSION, SSL_OP_NO_TLSv1 },
	{ "TLSv1.1", TLS1_1_VERSION, SSL_OP_NO_TLSv1_1 },  { "TLSv1.2", TLS1_2_VERSION, SSL_OP_NO_TLSv1_2 },
	{ "TLSv1.3", TLS1_3_VERSION, SSL_OP_NO_TLSv1_3 },
};
enum { NVERSIONS = sizeof versions / sizeof *versions };

/* Which version is named; NVERSIONS: one that OpenSSL does not have any more; -1: none. */
static int find(const char *name, size_t len)
{
	for (int i = 0; i < NVERSIONS; i++)
		if (strlen(versions[i].name) == len && strncasecmp(versions[i].name, name, len) == 0)
			return i;
	return len == 5 && strncasecmp(name, "SSLv2", len) == 0 ? NVERSIONS : -1;
}

/* A bound: a name, or a number in hexadecimal ("0303"). -1: neither. */
static int bound(const char *text, size_t len)
{
	char word[16], *end;
	int i = find(text, len);
	if (i >= 0)
		return i < NVERSIONS ? versions[i].version : 0;
	if (len != 4 && len != 1)
		return -1;
	memcpy(word, text, len);
	word[len] = '\0';
	long n = strtol(word, &end, 16);
	return *end || n < 0 ? -1 : (int)n;
}

bool tls_protocols(const char *text, int *min, int *max, unsigned long *excluded, struct ost_why *why)
{
	unsigned long all = 0, taken = 0, left_out = 0;
	*min = *max = 0;
	for (int i = 0; i < NVERSIONS; i++)
		all |= versions[i].without;
	for (const char *p = text + strspn(text, ", \t\r\n:"); *p; p += strspn(p, ", \t\r\n:")) {
		size_t len = strcspn(p, ", \t\r\n:");
		bool low = strncmp(p, ">=", 2) == 0, high = strncmp(p, "<=", 2) == 0;
		size_t mark = low || high ? 2 : *p == '!';
		int v = low || high ? bound(p + mark, len - mark) : find(p + mark, len - mark);
		if (v < 0)
			return why_set(why, "Invalid TLS protocol list \"%s\"", text);
		if (low)
			*min = v;
		else if (high)
			*max = v;
		else if (v < NVERSIONS && mark)
			left_out |= versions[v].without;
		else if (v < NVERSIONS)
			taken |= versions[v].without;
		p += len;
	}
	*excluded = left_out | (taken ? all & ~taken : 0);
	return true;
}
