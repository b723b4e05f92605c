/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tables/ldap/directory.h"

static const char between[] = ", \t\r\n";

static size_t count_words(const char *text)
{
	size_t n = 0;
	for (text += strspn(text, between); *text; text += strspn(text, between)) {
		text += strcspn(text, between);
		n++;
	}
	return n;
}

static bool has(const struct attributes *a, const char *name)
{
	for (size_t i = 0; i < a->count; i++)
		if (strcasecmp(a->names[i], name) == 0)
			return true;
	return false;
}

static bool add_words(struct attributes *a, const char *text, enum attribute_kind kind)
{
	for (text += strspn(text, between); *text; text += strspn(text, between)) {
		size_t len = strcspn(text, between);
		char *name = strndup(text, len);
		text += len;
		if (!name)
			return false;
		if (has(a, name)) {
			free(name);
			continue;
		}
		a->kinds[a->count] = kind;
		a->names[a->count++] = name;
		a->of_kind[kind]++;
	}
	return true;
}

bool directory_attributes_parse(struct attributes *a, const char *const lists[ATTRIBUTE_KINDS])
{
	size_t most = 0;
	for (int i = 0; i < ATTRIBUTE_KINDS; i++)
		most += count_words(lists[i]);
	*a = (struct attributes){ 0 };
	a->names = calloc(most + 1, sizeof *a->names);
	a->kinds = calloc(most + 1, sizeof *a->kinds);
	bool ok = a->names && a->kinds;
	for (int i = 0; i < ATTRIBUTE_KINDS && ok; i++)
		ok = add_words(a, lists[i], (enum attribute_kind)i);
	return ok;
}

void directory_attributes_free(struct attributes *a)
{
	for (size_t i = 0; i < a->count; i++)
		free(a->names[i]);
	free(a->names);
	free(a->kinds);
	*a = (struct attributes){ 0 };
}

/* Is one the other, or the other with options behind it ("mail", "mail;lang-en")? */
static bool is_subtype(const char *name, const char *of)
{
	size_t len = strlen(of);
	return strncasecmp(name, of, len) == 0 && (name[len] == '\0' || name[len] == ';');
}

size_t directory_attributes_find(const struct attributes *a, const char *name)
{
	size_t i = 0;
	while (i < a->count && !is_subtype(name, a->names[i]))
		i++;
	return i;
}

char **directory_attributes_select(const struct attributes *a, char **of_url)
{
	size_t urls = 0, n = 0;
	while (of_url && of_url[urls])
		urls++;
	char **list = calloc((of_url ? urls * a->count : a->count) + 1, sizeof *list);
	for (size_t i = 0; list && !of_url && i < a->count; i++)
		list[n++] = a->names[i];
	for (size_t u = 0; list && u < urls; u++)
		for (size_t i = 0; i < a->count; i++) {
			if (is_subtype(a->names[i], of_url[u]))
				list[n++] = a->names[i];
			else if (is_subtype(of_url[u], a->names[i]))
				list[n++] = of_url[u];
		}
	return list;
}
