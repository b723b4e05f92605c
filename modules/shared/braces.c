/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/braces.h"

#include <stdlib.h>
#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

/* Where the brace closes that opens at s; NULL: nowhere. */
static char *closing(char *s)
{
	int level = 0;
	for (; *s; s++) {
		level += *s == '{' ? 1 : *s == '}' ? -1 : 0;
		if (level == 0)
			return s;
	}
	return NULL;
}

bool braces_strip(char **item)
{
	char *start = *item;
	if (*start != '{')
		return true;
	char *end = closing(start);
	if (!end || end[1])
		return false;
	for (start++; start < end && is_space(*start);)
		start++;
	while (end > start && is_space(end[-1]))
		end--;
	*end = '\0';
	*item = start;
	return true;
}

char *braces_content(const char *text)
{
	char *copy = strdup(text);
	char *start = copy;
	if (!copy || *copy != '{' || !braces_strip(&start)) {
		free(copy);
		return NULL;
	}
	memmove(copy, start, strlen(start) + 1);
	return copy;
}

char *braces_item(char **at)
{
	char *s = *at;
	while (*s && (is_space(*s) || *s == ','))
		s++;
	if (!*s)
		return NULL;
	char *start = s;
	int level = 0;
	for (; *s && (level > 0 || !(is_space(*s) || *s == ',')); s++)
		level += *s == '{' ? 1 : *s == '}' && level > 0 ? -1 : 0;
	*at = s + (*s != '\0');
	*s = '\0';
	return start;
}
