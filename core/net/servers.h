/* SPDX-License-Identifier: Apache-2.0
 * Where a domain's mail goes: RFC 5321 5.1, for host->mail_servers(). */
#ifndef NET_SERVERS_H
#define NET_SERVERS_H

#include "config/view.h"
#include "net/dns.h"
#include "ostler/host.h"

/* Once per process that looks up servers, before the first lookup and before its file system shrinks; a second call
 * replaces all. */
void net_servers_init(const struct cfg_view *);
void net_servers_end(void);
/* The process's resolver; NULL before net_servers_init(). */
struct dns *net_dns(void);

enum ost_dns net_mail_servers(struct ost_instance *, const char *domain, unsigned flags, struct ost_mx *list, size_t max,
			      size_t *count, int64_t deadline, struct ost_why *);

#endif
