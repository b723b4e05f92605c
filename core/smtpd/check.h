/* SPDX-License-Identifier: Apache-2.0
 * The restriction engine's inside: parsed lists, and one run over them. */
#ifndef SMTPD_CHECK_H
#define SMTPD_CHECK_H

#include "module/module.h"
#include "net/dns.h"
#include "ostler/check.h"
#include "smtpd/restrict.h"

enum stage { STAGE_CLIENT, STAGE_HELO, STAGE_SENDER, STAGE_RELAY, STAGE_RECIPIENT, STAGE_DATA, STAGE_END_OF_DATA,
	     STAGE_COUNT };

struct step; /* one restriction of a list */

/* One run at one point of the session. */
struct check {
	struct session *s;
	struct restrictions *r;
	struct arena *arena;      /* of the transaction, or of this run */
	enum stage stage;         /* of the list that is being run */
	const char *name, *kind;  /* the list's object: "<name>" of replies; "Client host", "Sender address" … */
	const char *rcpt;         /* internal form, or NULL */
	struct resolved *resolved; /* of rcpt, once it has been asked for */
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
	unsigned args;        /* words that follow */
	bool protects_relay;  /* one of those that a recipient list needs, so that it is no open relay */
};
/* NULL: no such restriction of the core. */
const struct core_restriction *core_restriction_find(const char *name);
size_t core_restriction_names(const char **names, size_t max); /* for "did you mean" */

struct step {
	const char *name;
	bool warn;                           /* warn_if_reject stood before it */
	const char *arg;
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
	size_t nstates; /* check modules with something per session */
};

struct list *restrict_class(const struct restrictions *, const char *name); /* NULL: no such class */
void *restrict_module_state(struct session *, const struct step *, struct ost_session *);

enum outcome check_list(struct check *, const struct list *);
/* Refuses: "CODE DSN TEXT"; logs it. Inside warn_if_reject it only logs and answers OUTCOME_DUNNO. */
enum outcome check_reject(struct check *, int code, const char *dsn, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The same when nothing else decides: at the list's end. Answers OUTCOME_DUNNO. */
enum outcome check_postpone(struct check *, struct postponed *, int code, const char *dsn, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
const struct resolved *check_resolve_rcpt(struct check *);
/* A restriction without arguments, or a class, by name: for access tables. NULL: there is none. */
struct step *check_step_by_name(const struct restrictions *, struct arena *, const char *name);

/* ---- access.c: right-hand sides of access(5) ---- */
enum outcome access_apply(struct check *, const char *action, const char *kind, const char *name);

/* ---- policy_fields.c ---- */
/* A field by its name; NULL: not known (yet), or no field. In the run's arena or the session's. */
const char *policy_field(const struct check *, const char *name);

/* What a module sees as struct ost_session. */
#define MODULE_SESSION_MAGIC 0x53e55002u
struct ost_session {
	unsigned magic;
	struct check *check;
	bool rejected;  /* access_action() has set and logged the reply */
	bool whole;     /* text is all of the reply */
	int code;       /* of host->reply(), 0: not called */
	char dsn[12];
	char text[512];
};

#endif
