/* SPDX-License-Identifier: Apache-2.0
 * The restriction engine's inside: parsed lists, and one run over them. */
#ifndef SMTPD_CHECK_H
#define SMTPD_CHECK_H

#include "module/module.h"
#include "net/dns.h"
#include "ostler/host.h"
#include "smtpd/restrict.h"

enum stage { STAGE_CLIENT, STAGE_HELO, STAGE_SENDER, STAGE_RELAY, STAGE_RECIPIENT, STAGE_DATA, STAGE_END_OF_DATA,
	     STAGE_ETRN, STAGE_COUNT };

struct step; /* one restriction of a list */

/* One run at one point of the session. */
struct check {
	struct session *s;
	struct restrictions *r;
	struct arena *arena;      /* of the transaction, or of this run */
	enum stage stage;         /* of the list that is being run */
	const char *name, *kind;  /* the list's object: "<name>" of replies; "Client host", "Sender address" … */
	const char *rcpt;         /* internal form, or NULL */
	const char *etrn;         /* ETRN's argument, or NULL */
	const char *source;       /* whose words access_apply() reads: the table or service, for the log; or NULL */
	struct resolved *resolved, *resolved_sender; /* of rcpt and of the sender, once they have been asked for */
	bool rcpt_listed_checked, sender_listed_checked;
};

struct list {
	const char *name; /* the parameter, or the class */
	struct step *steps;
	size_t count;
};

typedef enum outcome core_restriction_fn(struct check *, const struct step *);
struct core_restriction {
	const char *name;
	core_restriction_fn *run;
	unsigned args;        /* words that follow: 0 or 1 */
	bool protects_relay;  /* one of those that a recipient list needs, so that it is no open relay */
	bool final;           /* what stands behind it in a list is never reached */
	const char *successor; /* of an old name that the manual advises against, or NULL */
};
/* One table for each subject; each ends with a row without a name. Spellings of old stand beside the new ones. */
extern const struct core_restriction restrictions_plain[], restrictions_client[], restrictions_helo[], restrictions_sender[],
	restrictions_recipient[];
/* NULL: no such restriction of the core. */
const struct core_restriction *core_restriction_find(const char *name);

struct step {
	const char *name;
	bool warn;                           /* warn_if_reject stood before it */
	const char *arg;                     /* the first word behind it, or NULL */
	const struct core_restriction *core; /* or */
	const struct list *class;            /* or */
	const struct ost_check_ops *ops;     /* a module's */
	struct mod_instance *instance;
	void *prepared;
	size_t state; /* which of the session's module states */
};

struct restrictions {
	const struct cfg_view *view;
	struct arena *arena;
	struct list lists[STAGE_COUNT];
	struct list *classes;
	size_t nclasses;
	struct opened { /* check modules that are in use */
		const struct mod_provider *provider;
		struct mod_instance *instance;
	} *opened;
	size_t nopened;
	struct dns *dns; /* for the restrictions that look names up */
	/* Reply codes, by parameter. */
	int reject_code, defer_code, relay_code, access_reject_code, access_defer_code, unknown_address_code, unknown_client_code,
		unknown_hostname_code, non_fqdn_code, invalid_hostname_code, multi_bounce_code;
	bool reject_unlisted_rcpt, reject_unlisted_sender, relay_first, untrusted_routing;
	bool defer_unknown_address, defer_unknown_helo; /* *_tempfail_action: 450 at once, not only before a permit */
	struct matchlist *mx_backup_networks; /* permit_mx_backup_networks; NULL: any */
	struct matchlist *logged_permits;     /* smtpd_log_access_permit_actions */
	size_t nstates; /* check modules with something per session */
};

struct list *restrict_class(const struct restrictions *, const char *name); /* NULL: no such class */
void *restrict_module_state(struct session *, const struct step *, struct ost_session *);

enum outcome check_list(struct check *, const struct list *);
/* Refuses: "CODE DSN TEXT", DSN with the class that the code has; logs it. Inside warn_if_reject it only logs and answers
 * OUTCOME_DUNNO. */
enum outcome check_reject(struct check *, int code, const char *dsn, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The same for what cannot be told: warn_if_reject makes no yes of it. */
enum outcome check_fail(struct check *, int code, const char *dsn, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void check_say(struct check *, const char *text); /* text is the reply now; it is logged */
enum outcome check_unsure(struct check *, const char *name); /* 451 4.3.0 <name>: Temporary lookup failure */
/* The same when nothing else decides: at the list's end. Answers OUTCOME_DUNNO. */
enum outcome check_postpone(struct check *, struct postponed *, int code, const char *dsn, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* Answers OUTCOME_PERMIT, and logs it when smtpd_log_access_permit_actions names the action. */
enum outcome check_permit(struct check *, const char *action, const char *kind, const char *name);
const struct resolved *check_resolve_rcpt(struct check *);
const struct resolved *check_resolve_sender(struct check *);
/* The detail of a status code that fits what was refused: an address is bad as a sender (x.1.7, x.1.8) or as a recipient, and
 * other things have no address that could be bad. In the run's arena. */
const char *check_dsn_for(struct check *, const char *dsn, const char *kind);
/* What the tables say about an address that is not there, as a refusal. */
enum outcome check_unlisted(struct check *, const char *address, const struct resolved *, const char *kind);
/* Refusals of what is wrong with an address: its form, its domain in the DNS. */
enum outcome check_non_fqdn(struct check *, const char *address, const char *kind);
enum outcome check_unknown_domain(struct check *, const char *address, const struct resolved *, const char *kind);

/* ---- restrict_mx.c ---- */
core_restriction_fn check_mx_backup;

/* ---- restrict_dns.c: waits for name servers ---- */
enum name_known { NAME_KNOWN, NAME_UNKNOWN, NAME_UNSURE, NAME_NULL_MX, NAME_GARBLED };
enum name_known check_mail_domain(struct check *, const char *domain); /* has it MX, or else address records? */
enum name_known check_host_name(struct check *, const char *host);     /* has it address records, or else MX ones? */
/* The names of a domain's servers by records of this type, as host->session_servers() gives them. */
enum ost_dns check_servers(struct check *, const char *domain, enum dns_type, const char *const **names, struct ost_why *);
enum dns_outcome check_dns(struct check *, const char *name, enum dns_type, struct dns_answer *, struct ost_why *);
/* A restriction of the core, or a class, by name: for access tables. Without either: there is none. */
struct step check_step_by_name(const struct restrictions *, const char *name);

/* ---- access.c: right-hand sides of access(5) ---- */
enum outcome access_apply(struct check *, const char *action, const char *kind, const char *name);

/* What a module sees as struct ost_session. */
#define MODULE_SESSION_MAGIC 0x53e55002u
struct ost_session {
	unsigned magic;
	struct check *check;
	bool rejected;  /* access_action() has set and logged the reply */
	bool permitted; /* access_action() has logged the permission */
	int code;       /* of host->reply(), 0: not called */
	char dsn[12];
	char text[400];
};

#endif
