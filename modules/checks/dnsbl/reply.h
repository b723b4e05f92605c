/* SPDX-License-Identifier: Apache-2.0
 * What somebody is told who is listed. */
#ifndef DNSBL_REPLY_H
#define DNSBL_REPLY_H

#include "checks/dnsbl/zone.h"
#include "ostler/host.h"

struct dnsbl_config {
	const char *default_reply, *maps_rbl_domains;
	int64_t reject_code;
	struct ost_tables *reply_maps;
};

struct dnsbl_reply {
	const struct dnsbl_config *config;
	const struct dnsbl_zone *zone;
	const char *class, *what, *reason; /* "Client host"; "192.0.2.1"; of the list, "" when it gives none */
};

/* Sets the reply and answers OST_REJECT; OST_CHECK_FAILED: the table of replies failed. */
enum ost_verdict dnsbl_reply_set(const struct dnsbl_reply *, const struct ost_host *, struct ost_instance *, struct ost_session *);

#endif
