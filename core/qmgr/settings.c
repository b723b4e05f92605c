/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr/settings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* Is the word in the list? */
static bool list_has(const char *const *list, const char *word)
{
	for (; *list; list++)
		if (strcasecmp(*list, word) == 0)
			return true;
	return false;
}

void qmgr_settings_read(struct qmgr_settings *s, struct arena *a, const struct cfg_view *view)
{
	const char *double_bounce = cfg_str(view, P_double_bounce_sender);
	*s = (struct qmgr_settings){
		.active_limit = cfg_int(view, P_qmgr_message_active_limit),
		.recipient_limit = cfg_int(view, P_qmgr_message_recipient_limit),
		.recipient_minimum = cfg_int(view, P_qmgr_message_recipient_minimum),
		.minimal_backoff = cfg_time(view, P_minimal_backoff_time),
		.maximal_backoff = cfg_time(view, P_maximal_backoff_time),
		.lifetime = cfg_time(view, P_maximal_queue_lifetime),
		.bounce_lifetime = cfg_time(view, P_bounce_queue_lifetime),
		.run_delay = cfg_time(view, P_queue_run_delay),
		.transport_retry = cfg_time(view, P_transport_retry_time),
		.defer_transports = cfg_split(a, cfg_str(view, P_defer_transports)),
		.recipient_delimiter = cfg_str(view, P_recipient_delimiter),
		.filter_nexthop = cfg_lookup(view, "default_filter_nexthop"),
		.mailq_users = cfg_str(view, P_authorized_mailq_users),
		.flush_users = cfg_str(view, P_authorized_flush_users),
		.notify_double_bounce = list_has(cfg_split(a, cfg_str(view, P_notify_classes)), "2bounce"),
		.long_queue_ids = cfg_bool(view, P_enable_long_queue_ids),
		.double_bounce = strchr(double_bounce, '@')
					 ? double_bounce
					 : arena_printf(a, "%s@%s", double_bounce, cfg_str(view, P_myorigin)),
	};
	if (s->maximal_backoff < s->minimal_backoff)
		s->maximal_backoff = s->minimal_backoff;
}

bool feedback_parse(const char *text, struct feedback *f)
{
	static const struct {
		const char *suffix;
		enum feedback_kind kind;
	} forms[] = {
		{ "", FEEDBACK_CONSTANT },
		{ "concurrency", FEEDBACK_PER_CONCURRENCY },
		{ "sqrt_concurrency", FEEDBACK_PER_SQUARE_ROOT },
	};
	char *end;
	double base = strtod(text, &end);
	if (end == text || !(base >= 0 && base <= 1000))
		return false;
	end += strspn(end, " \t");
	if (*end == '/') {
		end++;
		end += strspn(end, " \t");
		if (!*end)
			return false;
	}
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		if (strcmp(end, forms[i].suffix) == 0) {
			*f = (struct feedback){ .kind = forms[i].kind, .base = base };
			return true;
		}
	}
	return false;
}

double feedback_value(const struct feedback *f, double concurrency)
{
	if (concurrency < 1)
		concurrency = 1;
	switch (f->kind) {
	case FEEDBACK_PER_CONCURRENCY:
		return f->base / concurrency;
	case FEEDBACK_PER_SQUARE_ROOT:
		return f->base / sqrt(concurrency);
	case FEEDBACK_CONSTANT:
	default:
		return f->base;
	}
}

/* <transport>_<tail> when it is set, else the default parameter. */
static struct feedback read_feedback(const struct cfg_view *view, const char *transport, const char *tail,
				     enum param_id general)
{
	struct feedback f = { .kind = FEEDBACK_CONSTANT, .base = 1 };
	struct arena *a = arena_new();
	const char *name = arena_printf(a, "%s_%s", transport, tail);
	const char *value = cfg_lookup(view, name);
	if (!value || !*value)
		value = cfg_str(view, general);
	if (!feedback_parse(value, &f))
		log_warning("%s: bad feedback \"%s\": using 1", name, value);
	arena_destroy(&a);
	return f;
}

void transport_settings_read(struct transport_settings *s, const struct cfg_view *view, const char *transport)
{
	*s = (struct transport_settings){
		.concurrency_limit =
			cfg_derived_int(view, transport, P_default_destination_concurrency_limit),
		.initial_concurrency = cfg_derived_int(view, transport, P_initial_destination_concurrency),
		.recipient_limit = cfg_derived_int(view, transport, P_default_destination_recipient_limit),
		.rate_delay = cfg_derived_time(view, transport, P_default_destination_rate_delay),
		.transport_rate_delay = cfg_derived_time(view, transport, P_default_transport_rate_delay),
		.failed_cohort_limit = (double)cfg_derived_int(
			view, transport, P_default_destination_concurrency_failed_cohort_limit),
		.positive = read_feedback(view, transport, "destination_concurrency_positive_feedback",
					  P_default_destination_concurrency_positive_feedback),
		.negative = read_feedback(view, transport, "destination_concurrency_negative_feedback",
					  P_default_destination_concurrency_negative_feedback),
	};
	if (s->concurrency_limit > 0 && s->initial_concurrency > s->concurrency_limit)
		s->initial_concurrency = s->concurrency_limit;
	if (s->rate_delay > 0)
		s->concurrency_limit = s->initial_concurrency = 1;
}
