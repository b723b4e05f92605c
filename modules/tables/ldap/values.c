/* SPDX-License-Identifier: Apache-2.0
 * From entries to values: attributes in the order in which the server gives them; what a special attribute
 * names (an entry, or an LDAP URL) is searched for in its place. That may go a thousand levels deep: they are
 * a list on the heap. */
#include <stdlib.h>
#include <string.h>

#include "shared/utf8.h"
#include "tables/ldap/directory.h"

static void fail(struct lookup_state *s, const char *what)
{
	s->failed = true;
	s->d->host->why(&s->why, "%s exceeded for key: '%.100s'", what, s->key->whole.text);
}

/* ---- which attributes of an entry count --------------------------------------------------------------------------------- */

static bool has_values(const struct lookup_state *s, LDAPMessage *entry, enum attribute_kind kind)
{
	const struct attributes *a = &s->d->attributes;
	for (size_t i = 0; i < a->count; i++) {
		if (a->kinds[i] != kind)
			continue;
		struct berval **values = ldap_get_values_len(s->link->ld, entry, a->names[i]);
		bool any = ldap_count_values_len(values) > 0;
		ldap_value_free_len(values);
		if (any)
			return true;
	}
	return false;
}

struct entry_kind {
	bool terminal; /* it has terminal attributes: they alone count */
	bool special;  /* it refers to others: leaf attributes do not count */
};

static bool counts(struct entry_kind e, enum attribute_kind kind)
{
	if (e.terminal)
		return kind == ATTRIBUTE_TERMINAL;
	return !e.special || kind != ATTRIBUTE_LEAF;
}

/* ---- levels -------------------------------------------------------------------------------------------------------------- */

/* The entries of one search, and which value of them is next. */
struct level {
	struct level *above; /* the level with the reference to this one */
	struct entries found;
	size_t next; /* entry */
	LDAPMessage *entry;
	struct entry_kind kind;
	BerElement *position; /* in the entry's attributes */
	enum attribute_kind of;
	struct berval **values; /* of one attribute, of this kind */
	size_t value;
};

static bool push(struct lookup_state *s, struct level **top, struct entries *found)
{
	struct level *l = calloc(1, sizeof *l);
	if (!l) {
		directory_search_failed(s, LDAP_NO_MEMORY, "an entry's values");
		return false;
	}
	*l = (struct level){ .above = *top, .found = *found };
	*found = (struct entries){ 0 };
	*top = l;
	s->depth++;
	if (s->d->size_limit > 0 && l->found.count > (size_t)s->d->size_limit)
		fail(s, "Size limit");
	return true;
}

static void pop(struct lookup_state *s, struct level **top)
{
	struct level *l = *top;
	*top = l->above;
	ldap_value_free_len(l->values);
	ber_free(l->position, 0);
	directory_search_free(&l->found);
	free(l);
	s->depth--;
}

static bool next_entry(struct lookup_state *s, struct level *l)
{
	const struct attributes *a = &s->d->attributes;
	if (l->next == l->found.count)
		return false;
	l->entry = l->found.list[l->next++];
	l->kind.terminal = a->of_kind[ATTRIBUTE_TERMINAL] > 0 && has_values(s, l->entry, ATTRIBUTE_TERMINAL);
	l->kind.special = !l->kind.terminal && a->of_kind[ATTRIBUTE_LEAF] > 0 &&
			  has_values(s, l->entry, ATTRIBUTE_SPECIAL);
	return true;
}

/* The next attribute of the entry that counts, with its values. */
static bool next_attribute(struct lookup_state *s, struct level *l)
{
	const struct attributes *a = &s->d->attributes;
	char *name;
	while (l->entry &&
	       (name = l->position ? ldap_next_attribute(s->link->ld, l->entry, l->position)
				   : ldap_first_attribute(s->link->ld, l->entry, &l->position)) != NULL) {
		size_t at = directory_attributes_find(a, name);
		bool wanted = at < a->count && counts(l->kind, a->kinds[at]);
		if (wanted) {
			l->of = a->kinds[at];
			l->values = ldap_get_values_len(s->link->ld, l->entry, name);
			l->value = 0;
		}
		ldap_memfree(name);
		if (wanted && l->values)
			return true;
	}
	ber_free(l->position, 0);
	l->position = NULL;
	l->entry = NULL;
	return false;
}

/* The next value; NULL: the level is done. */
static const struct berval *next_value(struct lookup_state *s, struct level *l)
{
	for (;;) {
		if (l->values && l->values[l->value])
			return l->values[l->value++];
		ldap_value_free_len(l->values);
		l->values = NULL;
		if (!next_attribute(s, l) && !next_entry(s, l))
			return NULL;
	}
}

/* ---- values ------------------------------------------------------------------------------------------------------------- */

static void add_value(struct lookup_state *s, const struct berval *value)
{
	size_t len = strnlen(value->bv_val, value->bv_len);
	if (!utf8_well_formed(value->bv_val, len)) {
		s->failed = true;
		s->d->host->why(&s->why, "a value that is not UTF-8, for key: '%.100s'", s->key->whole.text);
		return;
	}
	enum expansion_added added = expansion_add(s->d->format, s->key, value->bv_val, len, &s->result);
	if (added == EXPANSION_EMPTY)
		s->d->host->log(s->d->instance, OST_LOG_WARNING,
				"table \"ldap:%s\": empty lookup result for: \"%.200s\" -- ignored",
				s->d->host->instance_name(s->d->instance), s->key->whole.text);
	else if (added == EXPANSION_TOO_MANY)
		fail(s, "Expansion limit");
	else if (s->result.text.spoilt)
		fail(s, "Size of an answer");
}

/* The entry that is named there may be gone: as if it had no attributes. */
static void push_search(struct lookup_state *s, struct level **top, const char *base, int scope,
			const char *filter, char **attributes)
{
	struct entries found = { 0 };
	int result = directory_search_entries(s, base, scope, filter, attributes, &found);
	if (result == LDAP_SUCCESS)
		push(s, top, &found);
	else if (result == LDAP_NO_SUCH_OBJECT)
		s->d->host->log(s->d->instance, OST_LOG_WARNING, "ldap:%s: DN %.200s not found, skipping",
				s->d->host->instance_name(s->d->instance), base);
	else
		directory_search_failed(s, result, base);
	directory_search_free(&found);
}

static void push_url(struct lookup_state *s, struct level **top, const char *text)
{
	LDAPURLDesc *url = NULL;
	if (ldap_url_parse(text, &url) != LDAP_URL_SUCCESS) {
		s->failed = true;
		s->d->host->why(&s->why, "malformed LDAP URL: %.150s", text);
		return;
	}
	int scope = url->lud_scope == LDAP_SCOPE_DEFAULT ? LDAP_SCOPE_BASE : url->lud_scope;
	const char *base = url->lud_dn ? url->lud_dn : "",
		   *filter = url->lud_filter ? url->lud_filter : "(objectClass=*)";
	char **attributes = directory_attributes_select(&s->d->attributes, url->lud_attrs);
	if (!attributes)
		directory_search_failed(s, LDAP_NO_MEMORY, "an LDAP URL");
	else if (attributes[0])
		push_search(s, top, base, scope, filter, attributes);
	free(attributes);
	ldap_free_urldesc(url);
}

static void follow(struct lookup_state *s, struct level **top, const char *name)
{
	if (s->depth >= s->d->c->recursion_limit)
		fail(s, "Recursion limit");
	else if (ldap_is_ldap_url(name))
		push_url(s, top, name);
	else
		push_search(s, top, name, LDAP_SCOPE_BASE, "(objectClass=*)", s->d->attributes.names);
}

void directory_values_collect(struct lookup_state *s, struct entries *found)
{
	struct level *top = NULL;
	push(s, &top, found);
	while (top && !s->failed) {
		const struct berval *value = next_value(s, top);
		if (!value)
			pop(s, &top);
		else if (top->of == ATTRIBUTE_SPECIAL)
			follow(s, &top, value->bv_val);
		else
			add_value(s, value);
	}
	while (top)
		pop(s, &top);
}
