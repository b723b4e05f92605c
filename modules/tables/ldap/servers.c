/* SPDX-License-Identifier: Apache-2.0
 * server_host: names, name:port, [address]:port, LDAP URLs, with white space or commas between them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tables/ldap/directory.h"

static bool has_port(const char *host)
{
	const char *bracket = strrchr(host, ']');
	return strchr(bracket ? bracket : host, ':') != NULL;
}

static bool is_url(const char *text)
{
	LDAPURLDesc *url = NULL;
	bool ok = ldap_url_parse(text, &url) == LDAP_URL_SUCCESS;
	if (ok)
		ldap_free_urldesc(url);
	return ok;
}

/* NULL: no memory, or no server. */
static char *to_url(const char *word, int64_t port)
{
	char *url = NULL;
	int n;
	if (strstr(word, "://"))
		n = asprintf(&url, "%s", word);
	else if (has_port(word))
		n = asprintf(&url, "ldap://%s", word);
	else
		n = asprintf(&url, "ldap://%s:%" PRId64, word, port);
	if (n >= 0 && is_url(url))
		return url;
	if (n >= 0)
		free(url);
	return NULL;
}

bool directory_servers_parse(struct servers *s, const char *server_host, int64_t server_port,
			     struct expansion_flaw *flaw)
{
	static const char between[] = ", \t\r\n";
	char *copy = strdup(server_host), *save = NULL;
	bool ok = copy != NULL;
	*s = (struct servers){ .urls = calloc(strlen(server_host) / 2 + 1, sizeof *s->urls) };
	for (char *w = ok ? strtok_r(copy, between, &save) : NULL; w && s->urls && ok;
	     w = strtok_r(NULL, between, &save)) {
		s->urls[s->count] = to_url(w, server_port);
		ok = s->urls[s->count] != NULL;
		if (ok)
			s->count++;
		else
			snprintf(flaw->text, sizeof flaw->text,
				 "parameter server_host: no LDAP server: %.80s", w);
	}
	if (ok && s->count == 0) {
		snprintf(flaw->text, sizeof flaw->text, "parameter server_host: no server is named");
		ok = false;
	}
	free(copy);
	return ok;
}

void directory_servers_free(struct servers *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->urls[i]);
	free(s->urls);
	*s = (struct servers){ 0 };
}
