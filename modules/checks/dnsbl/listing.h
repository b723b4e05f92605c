/* SPDX-License-Identifier: Apache-2.0
 * One restriction of this module as it stands in the configuration: which lists are asked about what. */
#ifndef DNSBL_LISTING_H
#define DNSBL_LISTING_H

#include "checks/dnsbl/zone.h"
#include "ostler/host.h"

enum {
	LISTING_STAGES = OST_STAGE_CONNECT | OST_STAGE_HELO | OST_STAGE_MAIL | OST_STAGE_RCPT | OST_STAGE_DATA |
			 OST_STAGE_END_OF_DATA | OST_STAGE_ETRN,
};

struct listing_kind {
	const char *name;  /* of the restriction */
	const char *class; /* for replies: "Client host" */
	const char *field; /* of the session, that is asked about */
	bool domain;       /* the field's domain; else an address */
	bool permits;
	bool several;      /* lists with white space between them; else one */
	bool scored;       /* with weights and a threshold */
};

struct listing {
	const struct listing_kind *kind;
	struct dnsbl_zone *zones;
	size_t count;
	long threshold; /* from this score on */
};

/* NULL: flaw says what is wrong. */
struct listing *listing_parse(const char *restriction, const char *argument, char *flaw, size_t size);
void listing_free(struct listing *);
/* What is asked about, whole; NULL: nothing is known, or nothing that a list could know. */
const char *listing_object(const struct listing *, const struct ost_host *, const struct ost_session *);
/* The name under which the i-th list would have it. False: under none. */
bool listing_query(const struct listing *, size_t i, const char *object, char query[DNSBL_QUERY_SIZE]);

#endif
