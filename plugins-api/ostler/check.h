/* SPDX-License-Identifier: Apache-2.0
 *
 * ostler/check.h: restrictions (names for smtpd_*_restrictions) and, later, content stages.
 */
#ifndef OSTLER_CHECK_H
#define OSTLER_CHECK_H

#include "ostler/module.h"

struct ost_session; /* read through host->session_field() */
struct ost_tables;

enum ost_stage {
	OST_STAGE_CONNECT = 0x1, OST_STAGE_HELO = 0x2, OST_STAGE_MAIL = 0x4, OST_STAGE_RCPT = 0x8, OST_STAGE_DATA = 0x10,
	OST_STAGE_END_OF_DATA = 0x20, OST_STAGE_ETRN = 0x40, OST_STAGE_HEADER = 0x80, OST_STAGE_BODY = 0x100,
	OST_STAGE_MESSAGE = 0x200,
};

enum ost_verdict {
	OST_DUNNO = 0,  /* no opinion: the next restriction */
	OST_PERMIT,     /* this list ends, allowed */
	OST_REJECT,     /* with host->reply() */
	OST_DEFER,      /* with host->reply() */
	OST_DEFER_IF_PERMIT, OST_DEFER_IF_REJECT, /* access(5) */
	OST_DISCARD,    /* pretend to accept */
	OST_CHECK_FAILED, /* cannot tell: 451 4.3.5, or what the parameter says */
};

/* Search orders of access(5), for host->access_search(). */
enum ost_access_order {
	OST_ACCESS_HOST,    /* name: domain.tld and .domain.tld as parent_domain_matches_subdomains says */
	OST_ACCESS_ADDRESS, /* network address: net.work.addr.ess, net.work.addr, net.work, net; IPv6 likewise */
	OST_ACCESS_MAIL,    /* user@domain, domain and parents, user@; <> by smtpd_null_access_lookup_key */
};

struct ost_restriction {
	const char *name;
	unsigned args;     /* how many words follow it */
	unsigned stages;   /* OST_STAGE_* in which it may stand */
	const char *help;
};

struct ost_check_ops {
	struct ost_ops ops;
	unsigned stages;                            /* of content stages; 0 for restrictions only */
	const struct ost_restriction *restrictions; /* ends with name NULL */
	/* Once per mention in the configuration, at start. *prepared goes to run(). */
	bool (*prepare)(void *self, const char *name, const char *const argv[], void **prepared, struct ost_why *);
	void (*unprepare)(void *self, void *prepared);
	/* Optional: per SMTP session state. */
	bool (*session_begin)(void *self, struct ost_session *, void **state);
	void (*session_end)(void *self, void *state);
	enum ost_verdict (*run)(void *self, void *state, void *prepared, enum ost_stage, struct ost_session *);
	/* Optional, since 1.4: the longest that run() takes, in microseconds, where that may be more than ostler_module_timeout. */
	int64_t (*longest)(void *self, void *prepared);
	/* Optional, since 1.4: before the first of them runs, all restrictions of this instance in the list that is being run, so
	 * that what they need of others can be asked for at once. */
	void (*foresee)(void *self, void *state, void *const prepared[], size_t n, struct ost_session *);
};

#endif
