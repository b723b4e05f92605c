/* SPDX-License-Identifier: Apache-2.0 */
#include "qmgr/concurrency.h"

/* How much collected feedback moves the window, and by how much: a whole delivery, or the feedback when that
 * is more. */
static double step_of(const struct feedback *f)
{
	return f->kind == FEEDBACK_CONSTANT && f->base > 1 ? f->base : 1;
}

void concurrency_init(struct concurrency *c, const struct transport_settings *s)
{
	double window = (double)s->initial_concurrency;
	*c = (struct concurrency){ .window = window < 1 ? 1 : window };
}

void concurrency_success(struct concurrency *c, const struct transport_settings *s, uint32_t busy)
{
	double limit = (double)s->concurrency_limit;
	double step = step_of(&s->positive);
	c->failed_cohorts = 0;
	if ((limit > 0 && c->window >= limit) || c->window >= busy + (double)s->initial_concurrency)
		return;
	double gain = feedback_value(&s->positive, c->window);
	c->success += gain;
	/* Half a gain more or less is rounding. */
	while (c->success + gain / 2 >= step) {
		c->window += step;
		c->success -= step;
		c->failure = 0;
		if (gain <= 0)
			break;
	}
	if (limit > 0 && c->window > limit)
		c->window = limit;
}

bool concurrency_failure(struct concurrency *c, const struct transport_settings *s)
{
	double step = step_of(&s->negative);
	c->failed_cohorts += 1 / c->window;
	/* The sum of window-many fractions may be a hair below the whole. */
	if (s->failed_cohort_limit > 0 && c->failed_cohorts >= s->failed_cohort_limit - 1e-9)
		return true;
	double loss = feedback_value(&s->negative, c->window);
	c->failure -= loss;
	while (c->failure - loss / 2 < 0) {
		c->window -= step;
		c->success = 0;
		c->failure += step;
		if (c->window <= 1 || loss <= 0)
			break;
	}
	if (c->window < 1)
		c->window = 1;
	return false;
}

void concurrency_revive(struct concurrency *c)
{
	*c = (struct concurrency){ .window = 1 };
}
