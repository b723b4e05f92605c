/* SPDX-License-Identifier: Apache-2.0
 * One search: asked without waiting, answered before a deadline or abandoned, bounded in entries. */
#include <limits.h>
#include <stdlib.h>

#include "tables/ldap/directory.h"

enum { MOST_ENTRIES = 1000000 };

static bool keep(struct entries *e, LDAPMessage *message)
{
	if (e->count == e->room) {
		size_t room = e->room ? e->room * 2 : 8;
		LDAPMessage **list = room <= MOST_ENTRIES ? reallocarray(e->list, room, sizeof *list) : NULL;
		if (!list)
			return false;
		e->list = list;
		e->room = room;
	}
	e->list[e->count++] = message;
	return true;
}

/* Entries until the end of the search, whose result it is. */
static int gather(struct lookup_state *s, int request, struct entries *e)
{
	for (;;) {
		LDAPMessage *m;
		int result = LDAP_OTHER,
		    error = directory_connection_await(s->link, request, LDAP_MSG_ONE, &m);
		if (error != LDAP_SUCCESS)
			return error;
		switch (ldap_msgtype(m)) {
		case LDAP_RES_SEARCH_ENTRY:
			if (keep(e, m))
				continue;
			ldap_msgfree(m);
			ldap_abandon_ext(s->link->ld, request, NULL, NULL);
			return LDAP_NO_MEMORY;
		case LDAP_RES_SEARCH_RESULT:
			error = ldap_parse_result(s->link->ld, m, &result, NULL, NULL, NULL, NULL, 1);
			return error == LDAP_SUCCESS ? result : error;
		default: /* a reference to another server */
			ldap_msgfree(m);
		}
	}
}

int directory_search_entries(struct lookup_state *s, const char *base, int scope, const char *filter,
			     char **attributes, struct entries *e)
{
	const struct directory *d = s->d;
	int64_t deadline = d->host->now() + d->c->timeout;
	s->link->deadline = deadline < s->deadline ? deadline : s->deadline;
	struct timeval seconds = { .tv_sec = d->c->timeout / 1000000 + (d->c->timeout % 1000000 != 0) };
	int request, limit = d->size_limit > INT_MAX ? INT_MAX : (int)d->size_limit;
	int error = ldap_search_ext(s->link->ld, base, scope, filter, attributes, 0, NULL, NULL, &seconds,
				    limit, &request);
	return error == LDAP_SUCCESS ? gather(s, request, e) : error;
}

void directory_search_free(struct entries *e)
{
	for (size_t i = 0; i < e->count; i++)
		ldap_msgfree(e->list[i]);
	free(e->list);
	*e = (struct entries){ 0 };
}

/* Is it the server, or the connection to it, and not this question? */
static bool is_silent(int result)
{
	switch (result) {
	case LDAP_SERVER_DOWN:
	case LDAP_TIMEOUT:
	case LDAP_CONNECT_ERROR:
	case LDAP_DECODING_ERROR:
	case LDAP_ENCODING_ERROR:
	case LDAP_LOCAL_ERROR:
	case LDAP_BUSY:
	case LDAP_UNAVAILABLE:
		return true;
	default:
		return false;
	}
}

void directory_search_failed(struct lookup_state *s, int result, const char *what)
{
	s->failed = true;
	s->silent_server = is_silent(result);
	s->d->host->why(&s->why, "%s: Search error %d: %s", what, result, ldap_err2string(result));
}
