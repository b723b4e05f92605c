/* SPDX-License-Identifier: Apache-2.0 */
#include "config/value.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

/* Digits with an optional sign in front; *end is behind them. False: no digits, or too many. */
static bool take_number(const char *s, const char **end, int64_t *value)
{
	bool negative = *s == '-';
	if (*s == '-' || *s == '+')
		s++;
	if (!isdigit((unsigned char)*s))
		return false;
	*value = 0;
	for (; isdigit((unsigned char)*s); s++)
		if (__builtin_mul_overflow(*value, INT64_C(10), value) ||
		    __builtin_add_overflow(*value, (int64_t)(*s - '0'), value))
			return false;
	if (negative)
		*value = -*value;
	*end = s;
	return true;
}

static bool parse_number(const char *text, int64_t *value, struct ost_why *why)
{
	const char *end;
	if (!take_number(text, &end, value) || *end)
		return why_set(why, "bad numerical value: %.80s", text);
	return true;
}

static bool parse_bool(const char *text, int64_t *value, struct ost_why *why)
{
	if (strcasecmp(text, "yes") != 0 && strcasecmp(text, "no") != 0)
		return why_set(why, "bad boolean value (yes or no is wanted): %.80s", text);
	*value = !strcasecmp(text, "yes");
	return true;
}

/* Seconds in a unit, 0 when the letter is none. */
static int64_t unit_seconds(char unit)
{
	switch (tolower((unsigned char)unit)) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 3600;
	case 'd':
		return 86400;
	case 'w':
		return 7 * 86400;
	default:
		return 0;
	}
}

static bool parse_time(char unit, const char *text, int64_t *value, struct ost_why *why)
{
	const char *end;
	bool ok = take_number(text, &end, value);
	if (ok && *end) {
		unit = *end++;
		ok = *end == '\0';
	}
	int64_t seconds = ok ? unit_seconds(unit) : 0;
	if (!seconds || __builtin_mul_overflow(*value, seconds * CLOCK_SECOND, value))
		return why_set(why, "bad time value or unit (a number with s, m, h, d or w is wanted): %.80s",
			       text);
	return true;
}

bool value_parse_type(enum cfg_type type, char unit, const char *text, int64_t *value, struct ost_why *why)
{
	switch (type) {
	case CFG_INT:
	case CFG_SIZE:
		return parse_number(text, value, why);
	case CFG_BOOL:
		return parse_bool(text, value, why);
	case CFG_TIME:
		return parse_time(unit, text, value, why);
	default:
		assert(!"a text is not parsed");
		return false;
	}
}

bool value_parse(const struct param *p, char unit, const char *text, int64_t *value, struct ost_why *why)
{
	if (!value_parse_type(p->type, unit, text, value, why))
		return false;
	if (p->type == CFG_BOOL)
		return true;
	int64_t scale = p->type == CFG_TIME ? CLOCK_SECOND : 1;
	const char *unit_text = p->type == CFG_TIME ? "s" : "";
	if (*value < p->min * scale)
		return why_set(why, "value %.80s is too small (at least %" PRId64 "%s)", text, p->min,
			       unit_text);
	if (p->max && *value > p->max * scale)
		return why_set(why, "value %.80s is too large (at most %" PRId64 "%s)", text, p->max,
			       unit_text);
	return true;
}

char value_unit(const char *defval)
{
	size_t n = strlen(defval);
	return n && unit_seconds(defval[n - 1]) && (n == 1 || defval[n - 2] != '$') ? defval[n - 1] : 's';
}
