/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "config/view.h"

/* White space and commas separate. */
static bool is_separator(char c)
{
	return c != '\0' && strchr(", \t\r\n", c) != NULL;
}

/* The end of the item at s: the first separator outside of { }. */
static const char *item_end(const char *s)
{
	int level = 0;
	for (; *s && (level > 0 || !is_separator(*s)); s++)
		level += *s == '{' ? 1 : *s == '}' && level > 0 ? -1 : 0;
	return s;
}

/* Is the item one group, closed by its last letter? */
static bool is_group(const char *s, const char *end)
{
	int level = 0;
	if (*s != '{' || end[-1] != '}')
		return false;
	for (; s < end - 1; s++) {
		level += *s == '{' ? 1 : *s == '}' ? -1 : 0;
		if (level == 0)
			return false;
	}
	return level == 1; /* else a brace within is not closed, and the item is what stands there */
}

/* A copy of the item, without the braces and the white space inside them. */
static const char *item_copy(struct arena *arena, const char *s, const char *end)
{
	if (is_group(s, end)) {
		s++;
		end--;
		while (s < end && is_separator(*s) && *s != ',')
			s++;
		while (s < end && is_separator(end[-1]) && end[-1] != ',')
			end--;
	}
	return arena_strndup(arena, s, (size_t)(end - s));
}

const char **cfg_split(struct arena *arena, const char *value)
{
	size_t count = 0;
	for (const char *p = value; *p; p++)
		count += is_separator(*p);
	const char **list = arena_alloc(arena, (count + 2) * sizeof *list);
	size_t n = 0;
	for (const char *p = value; *p;) {
		if (is_separator(*p)) {
			p++;
			continue;
		}
		const char *end = item_end(p);
		list[n++] = item_copy(arena, p, end);
		p = end;
	}
	return list;
}
