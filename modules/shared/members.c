/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/members.h"

#include <stdlib.h>
#include <string.h>

#include "shared/braces.h"
#include "shared/text_record.h"

static void *flaw(const struct ost_host *host, const char *type, const char *name, struct ost_why *why)
{
	host->why(why, "bad syntax: \"%s:%s\"; need \"%s:{type:name...}\"", type, name, type);
	return NULL;
}

/* Opens the items of the text one after the other; false with the reason, in *syntax whether it is that of
 * the text. */
static bool open_items(struct members *m, struct ost_instance *instance, char *content, bool *syntax,
		       struct ost_why *why)
{
	for (char *at = content, *item; (item = braces_item(&at));) {
		struct ost_why inner = { "" };
		braces_group(&item);
		*syntax = strchr(item, ':') != NULL;
		if (!*syntax)
			return false;
		struct ost_table *table = m->host->table_open(instance, item, &inner);
		if (!table || inner.text[0])
			return m->host->why(why, "%s", inner.text);
		m->list[m->count++] = table;
	}
	*syntax = m->count > 0;
	return *syntax;
}

/* As Postfix does it: the first member says whether it is a table of patterns, the least trusted one whether
 * it is safe. */
static uint32_t flags_of(const struct members *m)
{
	uint32_t flags = OST_TABLE_IMMEDIATE | (m->host->table_flags(m->list[0]) & OST_TABLE_WHOLE_KEYS);
	for (size_t i = 0; i < m->count; i++) {
		uint32_t member = m->host->table_flags(m->list[i]);
		flags |= member & (OST_TABLE_UNSAFE | OST_TABLE_SUBSTITUTES);
		if (!(member & OST_TABLE_IMMEDIATE))
			flags &= ~OST_TABLE_IMMEDIATE;
	}
	return flags;
}

struct members *members_open(const struct ost_host *host, struct ost_instance *instance, const char *type,
			     struct ost_why *why)
{
	const char *name = host->instance_name(instance);
	char *content = braces_content(name);
	if (!content)
		return flaw(host, type, name, why);
	/* An item has a letter and a separator at least. */
	struct members *m = malloc(sizeof *m + (strlen(content) / 2 + 1) * sizeof *m->list);
	bool syntax = true;
	if (!m) {
		host->why(why, "out of memory");
	} else {
		*m = (struct members){ .host = host };
		if (open_items(m, instance, content, &syntax, why)) {
			host->set_table_flags(instance, flags_of(m));
		} else {
			free(m);
			m = syntax ? NULL : flaw(host, type, name, why);
		}
	}
	free(content);
	return m;
}

static bool has_capitals(const char *key, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (key[i] >= 'A' && key[i] <= 'Z')
			return true;
	return false;
}

enum ost_found member_ask(const struct ost_host *host, struct ost_table *table, const struct ost_query *query,
			  struct ost_answer *answer)
{
	bool as_is = host->table_flags(table) & OST_TABLE_WHOLE_KEYS;
	if (as_is || !has_capitals(query->key, query->klen))
		return host->table_ask(table, query, answer);
	char *folded = malloc(query->klen + 1);
	if (!folded) {
		host->answer_why(answer, "out of memory");
		return OST_TEMPFAIL;
	}
	memcpy(folded, query->key, query->klen);
	folded[query->klen] = '\0';
	text_record_fold(folded, query->klen);
	struct ost_query lower = *query;
	lower.key = folded;
	enum ost_found result = host->table_ask(table, &lower, answer);
	free(folded);
	return result;
}
