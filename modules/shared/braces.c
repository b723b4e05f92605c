/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/braces.h"

#include <stdlib.h>
#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n'; /* as in lists of the configuration */
}

size_t braces_length(const char *text)
{
	int level = 0;
	for (const char *s = text; *s; s++) {
		level += *s == '{' ? 1 : *s == '}' ? -1 : 0;
		if (level == 0)
			return *s == '}' ? (size_t)(s - text) + 1 : 0;
	}
	return 0;
}

bool braces_group(char **item)
{
	char *start = *item;
	size_t len = braces_length(start);
	if (len == 0 || start[len])
		return false;
	char *end = start + len - 1;
	for (start++; start < end && is_space(*start);)
		start++;
	while (end > start && is_space(end[-1]))
		end--;
	*end = '\0';
	*item = start;
	return true;
}

bool braces_strip(char **item)
{
	return **item != '{' || braces_group(item);
}

char *braces_content(const char *text)
{
	char *copy = strdup(text);
	char *start = copy;
	if (!copy || !braces_group(&start)) {
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
