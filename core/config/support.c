/* SPDX-License-Identifier: Apache-2.0 */
#include "config/support.h"

#include <stddef.h>
#include <string.h>

static const struct reason {
	const char *pattern, *text;
} reasons[] = {
#define REASON(rpattern, rtext) { .pattern = rpattern, .text = rtext },
#include "config/reasons.def"
#undef REASON
};
enum { REASON_COUNT = sizeof reasons / sizeof *reasons };

static const struct harmless {
	const char *name, *values;
} harmless[] = {
#define HARMLESS(hname, hvalues) { .name = hname, .values = hvalues },
#include "config/harmless.def"
#undef HARMLESS
};

bool support_fits(const char *pattern, const char *name)
{
	size_t len = strlen(pattern), name_len = strlen(name);
	if (*pattern == '*')
		return name_len >= len - 1 && !strcmp(name + name_len - (len - 1), pattern + 1);
	if (pattern[len - 1] == '*')
		return !strncmp(name, pattern, len - 1);
	return !strcmp(name, pattern);
}

const char *support_pattern(unsigned i)
{
	return i < REASON_COUNT ? reasons[i].pattern : NULL;
}

const char *support_reason(const char *name)
{
	for (size_t i = 0; i < REASON_COUNT; i++)
		if (support_fits(reasons[i].pattern, name))
			return reasons[i].text;
	return NULL;
}

/* Is it one of the words, which single spaces separate? */
static bool has_word(const char *words, const char *word)
{
	size_t len = strlen(word);
	for (const char *at = words; *at;) {
		size_t n = strcspn(at, " ");
		if (n == len && !memcmp(at, word, n))
			return true;
		at += n + strspn(at + n, " ");
	}
	return false;
}

bool support_harmless(const char *name, const char *value)
{
	for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
		if (!strcmp(harmless[i].name, name))
			return !*value || has_word(harmless[i].values, value);
	return false;
}
