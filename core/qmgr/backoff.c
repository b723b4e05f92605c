/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr/backoff.h"

#include "base/clock.h"

int64_t backoff_next_try(const struct qmgr_settings *s, int64_t arrival, int64_t now)
{
	int64_t age = now - arrival;
	if (age < s->minimal_backoff)
		age = s->minimal_backoff;
	if (age > s->maximal_backoff)
		age = s->maximal_backoff;
	return now + age;
}

int64_t backoff_wait(const struct qmgr_settings *s, int64_t next_try, int64_t now)
{
	if (next_try <= now)
		return 0;
	return next_try - now < s->maximal_backoff ? next_try - now : s->maximal_backoff;
}

bool backoff_due(const struct qmgr_settings *s, int64_t next_try, int64_t now)
{
	/* Timers and the calendar drift apart: a second is close enough. */
	return next_try <= now + CLOCK_SECOND || next_try > now + s->maximal_backoff + CLOCK_SECOND;
}

bool backoff_expired(const struct qmgr_settings *s, bool null_sender, int64_t arrival, int64_t now)
{
	return now - arrival >= (null_sender ? s->bounce_lifetime : s->lifetime);
}
