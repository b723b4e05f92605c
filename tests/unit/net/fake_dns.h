/* SPDX-License-Identifier: Apache-2.0
 * A name server for tests, on a UDP and TCP port of 127.0.0.1. */
#ifndef TEST_FAKE_DNS_H
#define TEST_FAKE_DNS_H

#include <stddef.h>
#include <stdint.h>

/* A record of the zone. Names are without the last dot, in lower case. data: for A and AAAA the address, for CNAME and PTR a
 * name, for MX "10 name" ("0 ." is the null MX), "xHEX…" for the bytes themselves, of any type. type 0: the name's answer is
 * `data` as a number, the RCODE; -1: none at all, -2: one for another question. count: so many records, the number in place
 * of a '#' in data (0 and 1: one). */
struct fake_record {
	const char *name;
	uint16_t type;
	const char *data;
	unsigned count;
};

struct fake_dns;
struct fake_dns *fake_dns_start(const struct fake_record *zone, size_t n);
uint16_t fake_dns_port(const struct fake_dns *);
unsigned fake_dns_questions(const struct fake_dns *); /* asked so far */
void fake_dns_stop(struct fake_dns **);

#endif
