/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/domainlist.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { FILE_BYTES = 1 << 20, NESTING = 8, DOMAIN_BYTES = 1024 };

struct entry {
	char *name; /* NULL: a table */
	struct ost_table *table;
	bool negated;
};

struct domainlist {
	struct entry *entries;
	size_t count, room;
};

struct reading {
	const struct ost_host *host;
	struct ost_instance *instance;
	struct domainlist *list;
	int depth;
	struct ost_why *why;
};

static bool read_words(struct reading *, char *text);

/* ---- opening ------------------------------------------------------------------------------------------------------------ */

static bool add(struct reading *r, const char *name, struct ost_table *table, bool negated)
{
	struct domainlist *l = r->list;
	if (l->count == l->room) {
		size_t room = l->room ? l->room * 2 : 16;
		struct entry *entries = realloc(l->entries, room * sizeof *entries);
		if (!entries)
			return r->host->why(r->why, "out of memory");
		l->entries = entries;
		l->room = room;
	}
	char *copy = name ? strdup(name) : NULL;
	if (name && !copy)
		return r->host->why(r->why, "out of memory");
	l->entries[l->count++] = (struct entry){ copy, table, negated };
	return true;
}

static char *read_all(int fd)
{
	char *text = malloc(FILE_BYTES + 1);
	size_t len = 0;
	ssize_t n = 1;
	while (text && len < FILE_BYTES && (n = read(fd, text + len, FILE_BYTES - len)) > 0)
		len += (size_t)n;
	if (!text || n < 0 || len == FILE_BYTES) {
		free(text);
		return NULL;
	}
	text[len] = '\0';
	return text;
}

/* Lines that start with '#' are comments. */
static void drop_comments(char *text)
{
	for (char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n')
		if (line[strspn(line, " \t")] == '#')
			memset(line, ' ', strcspn(line, "\n"));
}

static bool read_file(struct reading *r, const char *path)
{
	int fd = r->host->file_open(r->instance, path, "", r->why);
	if (fd < 0)
		return false;
	char *text = read_all(fd);
	close(fd);
	if (!text)
		return r->host->why(r->why, "%s: cannot be read, or too large", path);
	drop_comments(text);
	bool ok =
		r->depth < NESTING || r->host->why(r->why, "%s: files of domains are nested too deep", path);
	r->depth++;
	ok = ok && read_words(r, text);
	r->depth--;
	free(text);
	return ok;
}

static bool read_word(struct reading *r, const char *word)
{
	bool negated = *word == '!';
	word += negated;
	if (*word == '/' && !negated)
		return read_file(r, word);
	if (*word == '/' || !*word)
		return r->host->why(r->why, "parameter domain: bad word: !%s", word);
	if (!strchr(word, ':') || *word == '[')
		return add(r, word, NULL, negated);
	struct ost_why inner = { "" };
	struct ost_table *table = r->host->table_open(r->instance, word, &inner);
	if (!table)
		return r->host->why(r->why, "parameter domain: %s", inner.text);
	if (inner.text[0])
		r->host->log(r->instance, OST_LOG_WARNING, "parameter domain: %s: %s", word, inner.text);
	return add(r, NULL, table, negated);
}

static bool read_words(struct reading *r, char *text)
{
	char *save = NULL;
	for (char *word = strtok_r(text, ", \t\r\n", &save); word; word = strtok_r(NULL, ", \t\r\n", &save))
		if (!read_word(r, word))
			return false;
	return true;
}

bool domainlist_open(const struct ost_host *host, struct ost_instance *instance, const char *text,
		     struct domainlist **list, struct ost_why *why)
{
	*list = NULL;
	if (!text || text[strspn(text, ", \t\r\n")] == '\0')
		return true;
	struct domainlist *l = calloc(1, sizeof *l);
	char *copy = strdup(text);
	struct reading r = { .host = host, .instance = instance, .list = l, .why = why };
	bool ok = (l && copy) || host->why(why, "out of memory");
	ok = ok && read_words(&r, copy);
	free(copy);
	if (ok)
		*list = l;
	else
		domainlist_free(l);
	return ok;
}

void domainlist_free(struct domainlist *l)
{
	for (size_t i = 0; l && i < l->count; i++)
		free(l->entries[i].name);
	if (l)
		free(l->entries);
	free(l);
}

/* ---- asking --------------------------------------------------------------------------------------------------------------- */

enum ost_found domainlist_match(const struct ost_host *host, const struct domainlist *l, const char *domain,
				size_t len, int64_t deadline, struct ost_answer *answer)
{
	char folded[DOMAIN_BYTES];
	if (len >= sizeof folded)
		return OST_NOTFOUND;
	for (size_t i = 0; i < len; i++)
		folded[i] = (char)(domain[i] >= 'A' && domain[i] <= 'Z' ? domain[i] + 'a' - 'A' : domain[i]);
	folded[len] = '\0';
	for (size_t i = 0; i < l->count; i++) {
		const struct entry *e = &l->entries[i];
		struct ost_query query = {
			.size = sizeof query, .key = folded, .klen = len, .deadline = deadline
		};
		enum ost_found result = e->table ? host->table_ask(e->table, &query, answer)
					: strcasecmp(e->name, folded) == 0 ? OST_FOUND
									   : OST_NOTFOUND;
		if (result == OST_FOUND)
			return e->negated ? OST_NOTFOUND : OST_FOUND;
		if (result != OST_NOTFOUND)
			return result;
	}
	return OST_NOTFOUND;
}
