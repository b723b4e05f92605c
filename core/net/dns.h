/* SPDX-License-Identifier: Apache-2.0
 * Name lookups with a deadline, bounded in records, names and time; through the name servers of a resolv.conf file
 * ("nameserver 127.0.0.1@5353" names a port, too). Answers are kept as long as their TTL says, an hour at most. All calls
 * may come from any thread. */
#ifndef NET_DNS_H
#define NET_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/why.h"

struct dns;

enum dns_type { DNS_A = 1, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28 };

enum dns_outcome {
	DNS_FOUND = 0,
	DNS_NO_NAME,  /* the name does not exist */
	DNS_NO_DATA,  /* the name has no record of this type */
	DNS_TRY_LATER, /* no answer in time, or a server failed */
	DNS_BAD,      /* not a name, or an answer that makes no sense */
};

enum { DNS_RECORDS_MAX = 100 };

struct dns_record {
	uint16_t preference; /* MX */
	const char *text;    /* MX, PTR: a host name without the last dot, "" for the root; TXT: the text, its strings joined; A, AAAA: numeric */
};

struct dns_answer { /* in the asker's arena */
	struct dns_record *list;
	size_t count;          /* at most DNS_RECORDS_MAX; records that are malformed are left out */
	const char *canonical; /* the name behind the CNAMEs */
};

/* path: the resolv.conf to use; it is read at once. The resolver itself starts with the first lookup. */
struct dns *dns_new(const char *path);
void dns_destroy(struct dns **); /* no lookup is under way; accepts NULL */
/* *why has the reason in Postfix's words: "Host not found, try again". */
enum dns_outcome dns_lookup(struct dns *, struct arena *, const char *name, enum dns_type, int64_t deadline,
			    struct dns_answer *, struct ost_why *);
/* Several at once: together they take as long as the slowest of them. */
struct dns_query {
	const char *name;
	enum dns_type type;
	enum dns_outcome outcome; /* the three are filled in */
	struct dns_answer answer;
	struct ost_why why;
};
void dns_lookup_all(struct dns *, struct arena *, struct dns_query *, size_t n, int64_t deadline);
const char *dns_type_name(enum dns_type);

/* ---- pure: wire format, for the lookup and its tests ------------------------------------------------------------- */
/* A name in wire form (no compression) as text without the last dot; false: malformed, too long, or not a host name. */
bool dns_wire_name(const uint8_t *data, size_t len, char text[256]);
/* The strings of a TXT record as one text of at most DNS_TEXT_MAX bytes; NULL: malformed. */
enum { DNS_TEXT_MAX = 2048 };
const char *dns_wire_text(struct arena *, const uint8_t *data, size_t len);
/* The name servers of a resolv.conf text, "address@port" each, at most 3; answers how many. */
enum { DNS_SERVERS_MAX = 3, DNS_SERVER_SIZE = 72 };
size_t dns_parse_resolv(const char *text, char servers[DNS_SERVERS_MAX][DNS_SERVER_SIZE]);

#endif
