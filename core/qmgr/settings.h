/* SPDX-License-Identifier: Apache-2.0
 * What the queue manager reads from the configuration, once. Times in microseconds. */
#ifndef QMGR_SETTINGS_H
#define QMGR_SETTINGS_H

#include "base/arena.h"
#include "config/view.h"

struct qmgr_settings {
	int64_t active_limit;    /* messages in the active queue */
	int64_t recipient_limit; /* recipients in memory; a message gets recipient_minimum whatever that says
				  */
	int64_t recipient_minimum;
	int64_t minimal_backoff, maximal_backoff;
	int64_t lifetime, bounce_lifetime;
	int64_t run_delay; /* between looks for messages whose hint was lost */
	int64_t transport_retry;
	const char *const *defer_transports;
	const char *recipient_delimiter;
	const char *filter_nexthop; /* default_filter_nexthop; NULL or "": the recipient's domain */
	const char *double_bounce;  /* whole address: a failed notice to the postmaster comes from it */
	const char *mailq_users, *flush_users;
	bool notify_double_bounce; /* notify_classes has 2bounce */
	bool long_queue_ids;
};

/* How much one delivery changes a destination's concurrency: base, base/concurrency, base/sqrt(concurrency).
 */
enum feedback_kind { FEEDBACK_CONSTANT, FEEDBACK_PER_CONCURRENCY, FEEDBACK_PER_SQUARE_ROOT };
struct feedback {
	enum feedback_kind kind;
	double base;
};

struct transport_settings {
	int64_t concurrency_limit; /* 0: none */
	int64_t initial_concurrency;
	int64_t recipient_limit; /* per delivery; 0: none */
	int64_t rate_delay, transport_rate_delay;
	double failed_cohort_limit; /* 0: a destination is never dead */
	struct feedback positive, negative;
};

void qmgr_settings_read(struct qmgr_settings *, struct arena *, const struct cfg_view *);
void transport_settings_read(struct transport_settings *, const struct cfg_view *, const char *transport);
/* "1", "0.5", "1/concurrency", "1/sqrt_concurrency"; false: none of these (then *f stays). */
bool feedback_parse(const char *text, struct feedback *f);
double feedback_value(const struct feedback *, double concurrency);

#endif
