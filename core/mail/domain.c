/* SPDX-License-Identifier: Apache-2.0
 * Domain names and address literals: the second half of mail/address.h. */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/sanitize.h"
#include "mail/address.h"
#include "mail/ascii.h"

enum { DOMAIN_MAX = 255, LABEL_MAX = 63 };

/* One label: letters, digits, hyphens inside; the underscore is met in practice and let through. */
static bool label_valid(const char *s, size_t len, bool utf8)
{
	if (len == 0 || len > LABEL_MAX || s[0] == '-' || s[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!ascii_alnum((unsigned char)s[i]) && s[i] != '-' && s[i] != '_' && !(utf8 && (unsigned char)s[i] >= 0x80))
			return false;
	return true;
}

static bool valid(const char *domain, size_t len, bool utf8)
{
	bool numeric = true;
	if (len == 0 || len > DOMAIN_MAX)
		return false;
	for (size_t at = 0; at <= len;) {
		const char *dot = memchr(domain + at, '.', len - at);
		size_t n = dot ? (size_t)(dot - domain) - at : len - at;
		if (!label_valid(domain + at, n, utf8))
			return false;
		for (size_t i = 0; i < n; i++)
			numeric = numeric && ascii_digit((unsigned char)domain[at + i]);
		at += n + 1;
	}
	return !numeric;
}

bool domain_valid(const char *domain, size_t len)
{
	return valid(domain, len, false);
}

bool domain_valid_utf8(const char *domain, size_t len)
{
	return valid(domain, len, true) && utf8_valid(domain, len);
}

bool domain_literal_valid(const char *domain, size_t len)
{
	char text[64];
	unsigned char addr[16];
	if (len < 3 || len - 2 >= sizeof text || domain[0] != '[' || domain[len - 1] != ']' || memchr(domain, '\0', len))
		return false;
	memcpy(text, domain + 1, len - 2);
	text[len - 2] = '\0';
	if (strncasecmp(text, "IPv6:", 5) == 0)
		return inet_pton(AF_INET6, text + 5, addr) == 1;
	return inet_pton(AF_INET, text, addr) == 1;
}
