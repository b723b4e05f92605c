/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/dnsbl/zone.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- how it is written ------------------------------------------------------------------------------------------- */

/* A number of 0 to 255 at *at, which moves behind it. */
static bool take_number(const char **at, uint8_t *value)
{
	unsigned n = 0;
	const char *start = *at;
	while (**at >= '0' && **at <= '9' && *at - start < 4)
		n = n * 10 + (unsigned)(*(*at)++ - '0');
	*value = (uint8_t)n;
	return *at > start && n <= UINT8_MAX;
}

/* "n" or "n..m". */
static bool take_range(const char **at, struct dnsbl_range *r)
{
	if (!take_number(at, &r->first))
		return false;
	r->last = r->first;
	if (strncmp(*at, "..", 2) != 0)
		return true;
	*at += 2;
	return take_number(at, &r->last) && r->first <= r->last;
}

/* "n", or "[range;range]". */
static bool take_part(const char **at, struct dnsbl_range ranges[DNSBL_RANGES_MAX], size_t *count)
{
	*count = 0;
	if (**at != '[') {
		ranges[0].first = 0;
		if (!take_number(at, &ranges[0].first))
			return false;
		ranges[0].last = ranges[0].first;
		*count = 1;
		return true;
	}
	do {
		++*at;
		if (*count == DNSBL_RANGES_MAX || !take_range(at, &ranges[(*count)++]))
			return false;
	} while (**at == ';');
	return *(*at)++ == ']';
}

static bool parse_filter(struct dnsbl_zone *z, const char *at)
{
	for (int i = 0; i < 4; i++)
		if ((i > 0 && *at++ != '.') || !take_part(&at, z->parts[i], &z->counts[i]))
			return false;
	return *at == '\0';
}

static bool parse_weight(const char *text, int *weight)
{
	enum { WEIGHT_MAX = 100000 };
	char *end;
	long n = strtol(text, &end, 10);
	*weight = (int)n;
	return end != text && !*end && n >= -WEIGHT_MAX && n <= WEIGHT_MAX;
}

static bool valid_domain(const char *text)
{
	size_t label = 0, len = strlen(text);
	if (len == 0 || len > 200)
		return false;
	for (const char *p = text; *p; p++) {
		label = *p == '.' ? 0 : label + 1;
		bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');
		if (label > 63 || (!letter && !strchr("-_.", *p)) || (*p == '.' && (p == text || p[1] == '.' || !p[1])))
			return false;
	}
	return true;
}

/* What is wrong, or NULL. */
static const char *parse(struct dnsbl_zone *z, bool weighted)
{
	char *star = strchr(z->text, '*');
	z->weight = 1;
	if (star && !weighted)
		return "a weight has no meaning here";
	if (star)
		*star = '\0';
	if (star && !parse_weight(star + 1, &z->weight))
		return "bad weight";
	char *equals = strchr(z->domain, '=');
	z->filtered = equals;
	if (equals)
		*equals = '\0';
	if (equals && !parse_filter(z, equals + 1))
		return "bad filter";
	return valid_domain(z->domain) ? NULL : "bad domain";
}

bool dnsbl_zone_parse(struct dnsbl_zone *z, const char *text, bool weighted, char *flaw, size_t size)
{
	size_t len = strlen(text) + 1;
	*z = (struct dnsbl_zone){ .text = malloc(2 * len) };
	if (!z->text) {
		snprintf(flaw, size, "out of memory");
		return false;
	}
	size_t kept = strcspn(text, "*");
	memcpy(z->text, text, len);
	z->domain = z->text + len;
	memcpy(z->domain, text, kept);
	z->domain[kept] = '\0';
	const char *wrong = parse(z, weighted);
	if (wrong) {
		snprintf(flaw, size, "%s: \"%.80s\" (domain, domain=d.d.d.d%s)", wrong, text, weighted ? ", each with *weight" : "");
		dnsbl_zone_free(z);
	}
	return !wrong;
}

void dnsbl_zone_free(struct dnsbl_zone *z)
{
	free(z->text);
	*z = (struct dnsbl_zone){ 0 };
}

/* ---- what it answers --------------------------------------------------------------------------------------------- */

static bool in_ranges(const struct dnsbl_range *ranges, size_t n, uint8_t value)
{
	for (size_t i = 0; i < n; i++)
		if (value >= ranges[i].first && value <= ranges[i].last)
			return true;
	return false;
}

enum dnsbl_match dnsbl_zone_matches(const struct dnsbl_zone *z, const char *address)
{
	uint8_t bytes[4];
	if (inet_pton(AF_INET, address, bytes) != 1)
		return DNSBL_ODD;
	if (!z->filtered)
		return bytes[0] == 127 ? DNSBL_YES : DNSBL_ODD;
	for (int i = 0; i < 4; i++)
		if (!in_ranges(z->parts[i], z->counts[i], bytes[i]))
			return DNSBL_NO;
	return DNSBL_YES;
}

/* ---- how it is asked --------------------------------------------------------------------------------------------- */

bool dnsbl_query_address(const struct dnsbl_zone *z, const char *address, char query[DNSBL_QUERY_SIZE])
{
	uint8_t b[16];
	if (inet_pton(AF_INET, address, b) == 1)
		return snprintf(query, DNSBL_QUERY_SIZE, "%u.%u.%u.%u.%s", b[3], b[2], b[1], b[0], z->domain) < DNSBL_QUERY_SIZE;
	if (inet_pton(AF_INET6, address, b) != 1)
		return false;
	size_t at = 0;
	for (int i = 15; i >= 0; i--)
		at += (size_t)snprintf(query + at, DNSBL_QUERY_SIZE - at, "%x.%x.", b[i] & 0xf, b[i] >> 4);
	return (size_t)snprintf(query + at, DNSBL_QUERY_SIZE - at, "%s", z->domain) < DNSBL_QUERY_SIZE - at;
}

bool dnsbl_query_domain(const struct dnsbl_zone *z, const char *domain, char query[DNSBL_QUERY_SIZE])
{
	return valid_domain(domain) && snprintf(query, DNSBL_QUERY_SIZE, "%s.%s", domain, z->domain) < DNSBL_QUERY_SIZE;
}
