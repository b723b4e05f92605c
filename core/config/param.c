/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h> /* of the build, not of this folder */

#include "config/param.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const struct param core_params[] = {
#define PARAM(pname, ptype, pdefval, pmin, pmax, pdaemons, phelp)                                            \
	{ .name = #pname,                                                                                    \
	  .type = CFG_##ptype,                                                                               \
	  .grade = CFG_IMPLEMENTED,                                                                          \
	  .defval = pdefval,                                                                                 \
	  .min = pmin,                                                                                       \
	  .max = pmax,                                                                                       \
	  .daemons = pdaemons,                                                                               \
	  .help = phelp },
#include "config/params.def"
#undef PARAM
};
static const struct param known_params[] = {
#define NAME(pname, ptype, pdefval, pdaemons, pgrade)                                                        \
	{ .name = #pname,                                                                                    \
	  .type = CFG_##ptype,                                                                               \
	  .grade = CFG_##pgrade,                                                                             \
	  .defval = pdefval,                                                                                 \
	  .daemons = pdaemons },
#include "config/names.def"
#undef NAME
};
enum { KNOWN_COUNT = sizeof known_params / sizeof *known_params };

static const struct deprecated {
	const char *name, *successor;
} deprecated[] = {
#define DEPRECATED(dname, dsuccessor) { .name = #dname, .successor = dsuccessor },
#include "config/deprecated.def"
#undef DEPRECATED
};

static const struct param_family families[] = {
	{ "_destination_concurrency_failed_cohort_limit",
	  "$default_destination_concurrency_failed_cohort_limit", BY_QMGR, CFG_INT },
	{ "_destination_concurrency_limit", "$default_destination_concurrency_limit", BY_QMGR, CFG_INT },
	{ "_destination_concurrency_negative_feedback", "$default_destination_concurrency_negative_feedback",
	  BY_QMGR, CFG_STR },
	{ "_destination_concurrency_positive_feedback", "$default_destination_concurrency_positive_feedback",
	  BY_QMGR, CFG_STR },
	{ "_destination_rate_delay", "$default_destination_rate_delay", BY_QMGR, CFG_TIME },
	{ "_destination_recipient_limit", "$default_destination_recipient_limit", BY_QMGR, CFG_INT },
	{ "_initial_destination_concurrency", "$initial_destination_concurrency", BY_QMGR, CFG_INT },
	{ "_transport_rate_delay", "$default_transport_rate_delay", BY_QMGR, CFG_TIME },
	{ "_delivery_slot_cost", "$default_delivery_slot_cost", BY_QMGR, CFG_INT },
	{ "_delivery_slot_discount", "$default_delivery_slot_discount", BY_QMGR, CFG_INT },
	{ "_delivery_slot_loan", "$default_delivery_slot_loan", BY_QMGR, CFG_INT },
	{ "_extra_recipient_limit", "$default_extra_recipient_limit", BY_QMGR, CFG_INT },
	{ "_minimum_delivery_slots", "$default_minimum_delivery_slots", BY_QMGR, CFG_INT },
	{ "_recipient_limit", "$default_recipient_limit", BY_QMGR, CFG_INT },
	{ "_recipient_refill_delay", "$default_recipient_refill_delay", BY_QMGR, CFG_TIME },
	{ "_recipient_refill_limit", "$default_recipient_refill_limit", BY_QMGR, CFG_INT },
	{ "_time_limit", "$command_time_limit", BY_PIPE | BY_SPAWN | BY_LOCAL, CFG_TIME },
};
enum { FAMILY_COUNT = sizeof families / sizeof *families };

const struct param *param_get(enum param_id id)
{
	assert((unsigned)id < P_COUNT);
	return &core_params[id];
}

int param_number(const struct param *p)
{
	return p->grade == CFG_IMPLEMENTED ? (int)(p - core_params) : -1;
}

static int compare_name(const void *key, const void *param)
{
	return strcmp(key, ((const struct param *)param)->name);
}

const struct param *param_find(const char *name)
{
	const struct param *p = bsearch(name, core_params, P_COUNT, sizeof *core_params, compare_name);
	return p ? p : bsearch(name, known_params, KNOWN_COUNT, sizeof *known_params, compare_name);
}

const struct param *param_at(size_t i)
{
	if (i >= P_COUNT + KNOWN_COUNT)
		return NULL;
	/* Merge the two sorted tables: find how many of the first i + 1 come from the core's. */
	size_t low = i > KNOWN_COUNT ? i - KNOWN_COUNT : 0, high = i < P_COUNT ? i : P_COUNT;
	while (low < high) {
		size_t core = (low + high) / 2;
		if (i - core > 0 && strcmp(known_params[i - core - 1].name, core_params[core].name) > 0)
			low = core + 1;
		else
			high = core;
	}
	size_t known = i - low;
	if (low == P_COUNT)
		return &known_params[known];
	if (known == KNOWN_COUNT)
		return &core_params[low];
	return strcmp(core_params[low].name, known_params[known].name) < 0 ? &core_params[low]
									   : &known_params[known];
}

const struct param_family *param_family(size_t i)
{
	return i < FAMILY_COUNT ? &families[i] : NULL;
}

const struct param_family *param_family_of(const char *name, size_t *service_len)
{
	size_t len = strlen(name);
	const struct param_family *best = NULL;
	for (size_t i = 0; i < FAMILY_COUNT; i++) {
		size_t n = strlen(families[i].suffix);
		if (n < len && !strcmp(name + len - n, families[i].suffix) &&
		    (!best || n > strlen(best->suffix)))
			best = &families[i];
	}
	if (best && service_len)
		*service_len = len - strlen(best->suffix);
	return best;
}

const struct param_family *param_family_by_base(const char *base)
{
	for (size_t i = 0; i < FAMILY_COUNT; i++)
		if (!strcmp(families[i].defval + 1, base))
			return &families[i];
	return NULL;
}

const char *param_successor(const char *name)
{
	for (size_t i = 0; i < sizeof deprecated / sizeof *deprecated; i++)
		if (!strcmp(deprecated[i].name, name))
			return deprecated[i].successor;
	return NULL;
}

/* ---- the nearest name ---- */

enum { NEAR_LENGTH = 64, NEAR_MAX = 4 };

static size_t least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;
	return ab < c ? ab : c;
}

/* How many letters to insert, delete or replace to make one name of the other; both shorter than NEAR_LENGTH.
 */
static size_t distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b), row[NEAR_LENGTH + 1];
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t corner = row[0];
		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t replace = corner + (a[i - 1] != b[j - 1]);
			corner = row[j];
			row[j] = least(replace, row[j] + 1, row[j - 1] + 1);
		}
	}
	return row[lb];
}

const char *param_nearest(const char *name)
{
	size_t len = strlen(name), best = len / 4 < NEAR_MAX ? len / 4 + 1 : NEAR_MAX + 1;
	const char *found = NULL;
	if (len >= NEAR_LENGTH)
		return NULL;
	const struct param *p;
	for (size_t i = 0; (p = param_at(i)) != NULL; i++) {
		size_t plen = strlen(p->name);
		if (plen >= NEAR_LENGTH || plen + best <= len || len + best <= plen)
			continue;
		size_t d = distance(name, p->name);
		if (d < best) {
			best = d;
			found = p->name;
		}
	}
	return found;
}
