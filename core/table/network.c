/* SPDX-License-Identifier: Apache-2.0 */
#include "table/network.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mail/ascii.h"

bool ip_parse(const char *text, struct ip *ip)
{
	char copy[INET6_ADDRSTRLEN];
	if (strncasecmp(text, "IPv6:", 5) == 0)
		text += 5;
	size_t len = strcspn(text, "%");
	if (len >= sizeof copy)
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	memset(ip, 0, sizeof *ip);
	ip->family = strchr(copy, ':') ? AF_INET6 : AF_INET;
	return inet_pton(ip->family, copy, ip->bytes) == 1;
}

bool network_like(const char *pattern)
{
	if (*pattern == '[')
		return true;
	size_t digits = strspn(pattern, "0123456789./");
	return digits > 0 && pattern[digits] == '\0';
}

/* "24" -> 24; false: no number from 0 to max. */
static bool parse_bits(const char *text, unsigned max, unsigned *bits)
{
	char *end;
	if (!ascii_digit(*text))
		return false;
	unsigned long n = strtoul(text, &end, 10);
	*bits = (unsigned)n;
	return *end == '\0' && n <= max;
}

/* Clears what is behind the prefix; true when nothing was there. */
static bool mask(struct network *net)
{
	bool clean = true;
	size_t len = net->ip.family == AF_INET ? 4 : 16;
	for (size_t i = 0; i < len; i++) {
		unsigned keep = net->bits >= 8 * (i + 1) ? 8 : net->bits > 8 * i ? net->bits - 8 * (unsigned)i : 0;
		uint8_t kept = (uint8_t)(net->ip.bytes[i] & (0xff00u >> keep));
		clean = clean && kept == net->ip.bytes[i];
		net->ip.bytes[i] = kept;
	}
	return clean;
}

/* The address, without its brackets, of "[addr]/bits" and "addr/bits"; rest is what follows. */
static bool split_pattern(const char *pattern, char *address, size_t size, const char **rest)
{
	const char *start = pattern + (*pattern == '[');
	size_t len = strcspn(start, *pattern == '[' ? "]" : "/");
	if (len >= size || (*pattern == '[' && start[len] != ']'))
		return false;
	memcpy(address, start, len);
	address[len] = '\0';
	*rest = start + len + (*pattern == '[');
	return **rest == '\0' || **rest == '/';
}

bool network_parse(const char *pattern, struct network *net, struct ost_why *why)
{
	char address[INET6_ADDRSTRLEN + 8], masked[INET6_ADDRSTRLEN];
	const char *rest;
	if (!split_pattern(pattern, address, sizeof address, &rest) || !ip_parse(address, &net->ip))
		return why_set(why, "bad net/mask pattern: \"%s\"", pattern);
	unsigned max = net->ip.family == AF_INET ? 32 : 128;
	net->bits = max;
	if (*rest == '/' && !parse_bits(rest + 1, max, &net->bits))
		return why_set(why, "bad net/mask pattern: \"%s\"", pattern);
	if (mask(net))
		return true;
	inet_ntop(net->ip.family, net->ip.bytes, masked, sizeof masked);
	return why_set(why, "non-null host address bits in \"%s\", perhaps you should use \"%s%s%s/%u\" instead", pattern,
		       *pattern == '[' ? "[" : "", masked, *pattern == '[' ? "]" : "", net->bits);
}

bool network_contains(const struct network *net, const struct ip *ip)
{
	if (net->ip.family != ip->family)
		return false;
	size_t whole = net->bits / 8;
	unsigned rest = net->bits % 8;
	return memcmp(net->ip.bytes, ip->bytes, whole) == 0 &&
	       (rest == 0 || ((net->ip.bytes[whole] ^ ip->bytes[whole]) & (0xff00u >> rest) & 0xff) == 0);
}
