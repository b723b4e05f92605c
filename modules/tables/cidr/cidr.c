/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `cidr`: networks in CIDR notation, asked in the order of the file, with IF, ENDIF and negation. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "shared/patterns.h"

static const struct ost_host *host;

static bool cidr_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

/* ---- the engine: networks ----------------------------------------------------------------------------------------------- */

struct network {
	unsigned char address[16];
	int bytes; /* 4 or 16 */
	unsigned bits;
};

static bool read_address(const char *text, struct network *n)
{
	n->bytes = strchr(text, ':') ? 16 : 4;
	return inet_pton(n->bytes == 16 ? AF_INET6 : AF_INET, text, n->address) == 1;
}

/* Clears what is behind the mask; answers whether there was anything. */
static bool clear_host_bits(struct network *n)
{
	bool any = false;
	for (unsigned i = n->bits; i < (unsigned)n->bytes * 8; i++) {
		unsigned char bit = (unsigned char)(0x80 >> (i % 8));
		any |= n->address[i / 8] & bit;
		n->address[i / 8] &= (unsigned char)~bit;
	}
	return any;
}

/* "/8" behind the address; pattern is the whole, for messages. */
static bool read_mask(struct network *n, const char *mask, const char *pattern, char text[PATTERNS_TEXT])
{
	char *end, proper[INET6_ADDRSTRLEN];
	unsigned long bits = strtoul(mask, &end, 10);
	if (*mask < '0' || *mask > '9' || *end) {
		snprintf(text, PATTERNS_TEXT, "bad mask value in \"%.60s\": skipping this rule", pattern);
		return false;
	}
	n->bits = (unsigned)bits;
	if (bits > (unsigned long)n->bytes * 8) {
		snprintf(text, PATTERNS_TEXT, "bad mask length in \"%.60s\": skipping this rule", pattern);
		return false;
	}
	if (clear_host_bits(n)) {
		inet_ntop(n->bytes == 16 ? AF_INET6 : AF_INET, n->address, proper, sizeof proper);
		snprintf(text, PATTERNS_TEXT, "non-null host address bits in \"%.50s\", perhaps you should use \"%s/%lu\" instead: skipping this rule",
			 pattern, proper, bits);
		return false;
	}
	return true;
}

/* The pattern without "[ ]", address and mask apart; mask NULL: none. False: it is too long. */
static bool split_pattern(const char *pattern, char address[64], const char **mask)
{
	const char *slash = strchr(pattern, '/');
	size_t len = slash ? (size_t)(slash - pattern) : strlen(pattern);
	bool brackets = len >= 2 && pattern[0] == '[' && pattern[len - 1] == ']';
	len -= brackets ? 2 : 0;
	if (len >= 64)
		return false;
	memcpy(address, pattern + brackets, len);
	address[len] = '\0';
	*mask = slash ? slash + 1 : NULL;
	return true;
}

static void *compile(const char *pattern, uint32_t options, size_t groups, size_t *has, char text[PATTERNS_TEXT])
{
	struct network n = { .bytes = 0 };
	char address[64];
	const char *mask = NULL;
	(void)options;
	(void)groups;
	*has = 0;
	if (!split_pattern(pattern, address, &mask) || !read_address(address, &n)) {
		snprintf(text, PATTERNS_TEXT, mask ? "bad network value in \"%.60s\": skipping this rule" : "bad address pattern: \"%.60s\": skipping this rule",
			 pattern);
		return NULL;
	}
	n.bits = (unsigned)n.bytes * 8;
	if (mask && !read_mask(&n, mask, pattern, text))
		return NULL;
	struct network *copy = malloc(sizeof *copy);
	if (copy)
		*copy = n;
	return copy;
}

/* The key is a struct network of a whole address. */
static bool prepare(const char *key, size_t klen, void *prepared, size_t size)
{
	struct network *n = prepared;
	_Static_assert(sizeof *n <= PATTERNS_PREPARED, "fits");
	(void)size;
	return memchr(key, '\0', klen) == NULL && read_address(key, n);
}

static int match(const void *compiled, const char *key, size_t klen, struct pattern_group *groups, size_t n, char text[PATTERNS_TEXT])
{
	const struct network *net = compiled, *address = (const struct network *)(const void *)key;
	(void)klen;
	(void)groups;
	(void)n;
	(void)text;
	unsigned whole = net->bits / 8, rest = net->bits % 8;
	return net->bytes == address->bytes && memcmp(net->address, address->address, whole) == 0 &&
	       (rest == 0 || ((net->address[whole] ^ address->address[whole]) >> (8 - rest)) == 0);
}

static const struct pattern_engine engine = {
	.type = "cidr",
	.words = true,
	.no_pattern = "no address pattern",
	.no_if_pattern = "no address pattern",
	.compile = compile,
	.match = match,
	.free = free,
	.prepare = prepare,
};

/* ---- the table ------------------------------------------------------------------------------------------------------------ */

static bool cidr_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	*self = patterns_open(host, instance, &engine, why);
	return *self;
}

static void cidr_close(void *self)
{
	patterns_close(self);
}

static enum ost_found cidr_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	return patterns_lookup(host, self, query, answer);
}

static const struct ost_table_ops cidr_ops = {
	.ops = {
		.size = sizeof cidr_ops,
		.flags = OST_TABLE_IMMEDIATE | OST_TABLE_WHOLE_KEYS,
		.open = cidr_open,
		.close = cidr_close,
	},
	.lookup = cidr_lookup,
};

static const struct ost_provide cidr_provides[] = {
	{ OST_KIND_TABLE, "cidr", &cidr_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(cidr, .version = "1.0", .summary = "networks in CIDR notation", .license = "Apache-2.0", .provides = cidr_provides,
	   .load = cidr_load);
