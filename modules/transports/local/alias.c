/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/local/alias.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NAME_SIZE = 512 };

/* ---- lists of names ------------------------------------------------------------------------------------------------------ */

bool names_add(struct names *n, const char *name)
{
	for (size_t i = 0; i < n->count; i++)
		if (strcasecmp(n->list[i], name) == 0)
			return false;
	if (n->count == n->cap) {
		n->cap = n->cap ? n->cap * 2 : 8;
		char **list = reallocarray(n->list, n->cap, sizeof *list);
		if (!list)
			abort();
		n->list = list;
	}
	n->list[n->count] = strdup(name);
	if (!n->list[n->count++])
		abort();
	return true;
}

void names_free(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->list[i]);
	free(n->list);
	*n = (struct names){ .count = 0 };
}

void local_alias_free(struct alias_expansion *e)
{
	names_free(&e->users);
	names_free(&e->addresses);
	names_free(&e->seen);
}

/* ---- right-hand sides ---------------------------------------------------------------------------------------------------- */

struct element { /* one, while it is read */
	char *out;
	size_t used, size;
	int comment; /* depth of ( ) */
	bool quoted, any_quoted;
};

static void put(struct element *e, char c)
{
	if (e->used + 1 < e->size)
		e->out[e->used++] = c;
}

/* One character; answers how many were used. */
static size_t element_char(struct element *e, const char *p)
{
	if (*p == '\\' && p[1] && (e->quoted || e->comment)) {
		if (!e->comment)
			put(e, p[1]);
		return 2;
	}
	if (*p == '"' && !e->comment) {
		e->quoted = !e->quoted;
		e->any_quoted = true;
	} else if (e->quoted) {
		put(e, *p);
	} else if (*p == '(') {
		e->comment++;
	} else if (*p == ')' && e->comment > 0) {
		e->comment--;
	} else if (*p == '<' && !e->comment) {
		e->used = 0; /* what came before was a display name */
	} else if (*p != '>' && !e->comment) {
		put(e, isspace((unsigned char)*p) ? ' ' : *p);
	}
	return 1;
}

bool alias_next(const char **value, char *out, size_t size)
{
	const char *p = *value;
	struct element e = { .out = out, .size = size };
	while (*p == ',' || isspace((unsigned char)*p))
		p++;
	bool whole = *p == '|' || *p == '/' || *p == ':'; /* commands, files and includes keep their blanks and signs */
	if (*p == '\0')
		return false;
	while (*p && (e.quoted || e.comment || (*p != ',' && *p != '\n'))) {
		if (whole)
			put(&e, *p++);
		else
			p += element_char(&e, p);
	}
	while (e.used > 0 && out[e.used - 1] == ' ')
		e.used--;
	out[e.used] = '\0';
	*value = p;
	return true;
}

size_t alias_base_length(const char *name, const char *delimiters)
{
	size_t len = strlen(name);
	if (!*delimiters || strcasecmp(name, "mailer-daemon") == 0 || strcasecmp(name, "double-bounce") == 0 ||
	    strncasecmp(name, "owner-", 6) == 0 || (len > 8 && strcasecmp(name + len - 8, "-request") == 0))
		return len;
	for (size_t i = 1; i < len; i++)
		if (strchr(delimiters, name[i]))
			return i;
	return len;
}

/* ---- expansion ----------------------------------------------------------------------------------------------------------- */

static enum alias_outcome expand(struct alias_expansion *e, const char *name, const char *parent, int depth);

/* Looks a name up, then without its extension. *value is a copy to be freed. */
static enum ost_found look_up(struct alias_expansion *e, const char *name, char **value)
{
	struct ost_why why = { .text = "" };
	const char *found_value;
	char base[NAME_SIZE];
	enum ost_found found = e->host->tables_lookup(e->maps, name, &found_value, &why);
	size_t len = alias_base_length(name, e->delimiters);
	if (found == OST_NOTFOUND && name[len]) {
		snprintf(base, sizeof base, "%.*s", (int)len, name);
		found = e->host->tables_lookup(e->maps, base, &found_value, &why);
	}
	if (found == OST_FOUND) {
		*value = strdup(found_value);
		if (!*value)
			abort();
	} else if (found != OST_NOTFOUND) {
		snprintf(e->why, sizeof e->why, "%.250s", why.text);
	}
	return found;
}

/* Is the domain one of ours? Tables and patterns are not looked at: such an address takes the way over the queue. */
static bool local_domain(const struct alias_expansion *e, const char *domain)
{
	for (const char *p = e->domains; *p;) {
		p += strspn(p, ", \t\r\n");
		size_t len = strcspn(p, ", \t\r\n");
		if (len > 0 && strlen(domain) == len && strncasecmp(p, domain, len) == 0)
			return true;
		p += len;
	}
	return false;
}

static enum alias_outcome unsupported(struct alias_expansion *e, const char *element)
{
	snprintf(e->why, sizeof e->why, "alias target %.200s: commands, files and includes are not supported yet", element);
	return ALIAS_UNSUPPORTED;
}

/* One element of a right-hand side. */
static enum alias_outcome take_element(struct alias_expansion *e, const char *element, const char *parent, int depth)
{
	char local[NAME_SIZE];
	const char *at = strrchr(element, '@');
	if (*element == '|' || *element == '/' || strncasecmp(element, ":include:", 9) == 0)
		return unsupported(e, element);
	if (*element == '\0')
		return ALIAS_OK;
	if (at && at != element && !local_domain(e, at + 1)) {
		names_add(&e->addresses, element);
		return ALIAS_OK;
	}
	snprintf(local, sizeof local, "%.*s", at ? (int)(at - element) : (int)strlen(element), element);
	if (*local == '\\') { /* a mailbox, whatever aliases say */
		names_add(&e->users, local + 1);
		return ALIAS_OK;
	}
	return expand(e, local, parent, depth);
}

static enum alias_outcome take_elements(struct alias_expansion *e, const char *value, const char *name, int depth)
{
	char element[NAME_SIZE];
	enum alias_outcome outcome = ALIAS_OK;
	while (outcome == ALIAS_OK && alias_next(&value, element, sizeof element)) {
		if (e->users.count + e->addresses.count + e->seen.count > ALIAS_RESULTS_MAX) {
			snprintf(e->why, sizeof e->why, "alias %.200s has too many members", name);
			outcome = ALIAS_TOO_MUCH;
		} else {
			outcome = take_element(e, element, name, depth);
		}
	}
	return outcome;
}

static void add_user(struct alias_expansion *e, const char *name)
{
	char user[NAME_SIZE];
	snprintf(user, sizeof user, "%.*s", (int)alias_base_length(name, e->delimiters), name);
	for (char *p = user; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	names_add(&e->users, user);
}

/* parent: the alias that names it, NULL for the recipient itself. */
static enum alias_outcome expand(struct alias_expansion *e, const char *name, const char *parent, int depth)
{
	char *value = NULL;
	if (parent && strcasecmp(name, parent) == 0) { /* "joe: joe, …": the mailbox */
		add_user(e, name);
		return ALIAS_OK;
	}
	if (depth > ALIAS_DEPTH_MAX) {
		snprintf(e->why, sizeof e->why, "alias %.200s is nested too deeply", name);
		return ALIAS_TOO_MUCH;
	}
	switch (look_up(e, name, &value)) {
	case OST_FOUND:
		break;
	case OST_NOTFOUND:
		add_user(e, name);
		return ALIAS_OK;
	default:
		return ALIAS_TEMPFAIL;
	}
	e->aliased = true;
	enum alias_outcome outcome = ALIAS_OK;
	if (names_add(&e->seen, name))
		outcome = take_elements(e, value, name, depth + 1);
	free(value);
	return outcome;
}

/* "owner-NAME", when there is such an alias: who hears of failures of a list's members. */
static enum alias_outcome find_owner(struct alias_expansion *e, const char *name)
{
	char *value = NULL;
	char owner[NAME_SIZE];
	size_t len = alias_base_length(name, e->delimiters);
	snprintf(owner, sizeof owner, "owner-%.*s", (int)len, name);
	if (strncasecmp(name, "owner-", 6) == 0)
		return ALIAS_OK;
	enum ost_found found = look_up(e, owner, &value);
	free(value);
	if (found == OST_FOUND)
		snprintf(e->owner, sizeof e->owner, "%.255s", owner);
	return found == OST_FOUND || found == OST_NOTFOUND ? ALIAS_OK : ALIAS_TEMPFAIL;
}

enum alias_outcome local_alias_expand(struct alias_expansion *e, const char *name)
{
	enum alias_outcome outcome = expand(e, name, NULL, 0);
	if (outcome == ALIAS_OK && e->aliased)
		outcome = find_owner(e, name);
	if (outcome == ALIAS_OK && e->users.count + e->addresses.count == 0) {
		snprintf(e->why, sizeof e->why, "alias database loop for %.200s", name);
		outcome = ALIAS_LOOP;
	}
	return outcome;
}
