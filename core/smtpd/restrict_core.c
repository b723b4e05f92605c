/* SPDX-License-Identifier: Apache-2.0
 * The core's own restrictions by name, and those that look at no one thing. */
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "mail/ascii.h"
#include "smtpd/check.h"

static enum outcome r_permit(struct check *c, const struct step *step)
{
	return check_permit(c, step->name, c->kind, c->name);
}

static enum outcome r_reject(struct check *c, const struct step *step)
{
	(void)step;
	return check_reject(c, c->r->reject_code, "5.7.1", "<%s>: %s rejected: Access denied", c->name, c->kind);
}

static enum outcome r_defer(struct check *c, const struct step *step)
{
	(void)step;
	return check_reject(c, c->r->defer_code, "4.3.2", "<%s>: %s rejected: Try again later", c->name, c->kind);
}

static enum outcome r_defer_if_permit(struct check *c, const struct step *step)
{
	(void)step;
	return check_postpone(c, &c->s->verdict.if_permit, 450, "4.7.0", "<%s>: %s rejected: defer_if_permit requested", c->name,
			      c->kind);
}

static enum outcome r_defer_if_reject(struct check *c, const struct step *step)
{
	(void)step;
	return check_postpone(c, &c->s->verdict.if_reject, 450, "4.7.0", "<%s>: %s rejected: defer_if_reject requested", c->name,
			      c->kind);
}

/* The pause comes in front of the reply: the session is parked, no thread sleeps. Several pauses add up. */
static enum outcome r_sleep(struct check *c, const struct step *step)
{
	int64_t seconds = 0, now = clock_mono();
	for (const char *p = step->arg; ascii_digit((unsigned char)*p) && seconds < 1000; p++)
		seconds = seconds * 10 + (*p - '0');
	if (c->s->sleep_until < now)
		c->s->sleep_until = now;
	c->s->sleep_until += seconds * CLOCK_SECOND;
	return OUTCOME_DUNNO;
}

static enum outcome r_reject_unauth_pipelining(struct check *c, const struct step *step)
{
	(void)step;
	if (!c->s->ill_pipelining)
		return OUTCOME_DUNNO;
	return check_reject(c, 503, "5.5.0", "<%s>: %s rejected: Improper use of SMTP command pipelining", c->name, c->kind);
}

const struct core_restriction restrictions_plain[] = {
	{ .name = "defer", .run = r_defer, .protects_relay = true, .final = true },
	{ .name = "defer_if_permit", .run = r_defer_if_permit, .protects_relay = true },
	{ .name = "defer_if_reject", .run = r_defer_if_reject },
	{ .name = "permit", .run = r_permit, .final = true },
	{ .name = "reject", .run = r_reject, .protects_relay = true, .final = true },
	{ .name = "reject_unauth_pipelining", .run = r_reject_unauth_pipelining },
	{ .name = "sleep", .run = r_sleep, .args = 1 },
	{ .name = NULL },
};

/* Others add the tables of their subjects. */
static const struct core_restriction *const subjects[] = {
	restrictions_plain, restrictions_client, restrictions_helo, restrictions_sender, restrictions_recipient,
};

const struct core_restriction *core_restriction_find(const char *name)
{
	for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++)
		for (const struct core_restriction *r = subjects[i]; r->name; r++)
			if (strcasecmp(r->name, name) == 0)
				return r;
	return NULL;
}
