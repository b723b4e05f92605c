/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/domain_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "shared/text_lines.h"
#include "shared/text_record.h"

enum { FILES_DEEP = 5, LONGEST_DOMAIN = 1024 };

struct item {
	struct item *next;
	bool negated;
	struct ost_table *table; /* NULL: the name itself */
	char name[];
};

struct domain_list {
	struct item *first, **last;
};

struct opening {
	const struct ost_host *host;
	struct ost_instance *instance;
	struct domain_list *list;
	struct ost_why *why;
	int depth; /* of files in files */
};

static bool add_items(struct opening *, char *text, bool negated);

static bool add_file(struct opening *o, const char *path, bool negated)
{
	size_t len;
	if (o->depth == FILES_DEEP)
		return o->host->why(o->why, "parameter domain: %s: files in files are nested too deep", path);
	int fd = o->host->file_open(o->instance, path, "", o->why);
	if (fd < 0)
		return false;
	char *text = text_read_file(fd, &len), *line;
	int error = errno;
	close(fd);
	if (!text)
		return o->host->why(o->why, "parameter domain: read %s: %s", path, strerror(error));
	struct text_lines lines;
	bool ok = true;
	o->depth++;
	text_lines_start(&lines, text, len);
	while (ok && (line = text_lines_next(&lines, &len)) != NULL)
		ok = add_items(o, line, negated);
	o->depth--;
	free(text);
	return ok;
}

static bool is_table(const char *name)
{
	return name[0] != '[' && strchr(name, ':');
}

static bool add_name(struct opening *o, const char *name, bool negated)
{
	size_t len = strlen(name);
	struct item *item = calloc(1, sizeof *item + len + 1);
	if (!item)
		return o->host->why(o->why, "parameter domain: out of memory");
	item->negated = negated;
	memcpy(item->name, name, len + 1);
	*o->list->last = item;
	o->list->last = &item->next;
	if (!is_table(name))
		return true;
	struct ost_why unusable = { "" }; /* such a table answers "try again" */
	item->table = o->host->table_open(o->instance, name, &unusable);
	if (!item->table)
		return o->host->why(o->why, "parameter domain: %s", unusable.text);
	if (unusable.text[0])
		o->host->log(o->instance, OST_LOG_WARNING, "parameter domain: %s: %s", name, unusable.text);
	return true;
}

static bool add_items(struct opening *o, char *text, bool negated)
{
	static const char between[] = ", \t\r\n";
	char *save = NULL;
	bool ok = true;
	for (char *word = strtok_r(text, between, &save); word && ok; word = strtok_r(NULL, between, &save)) {
		size_t marks = strspn(word, "!");
		bool turned = negated ^ (marks % 2);
		ok = word[marks] == '/' ? add_file(o, word + marks, turned)
					: add_name(o, word + marks, turned);
	}
	return ok;
}

bool domain_list_open(const struct ost_host *host, struct ost_instance *instance, const char *text,
		      struct domain_list **list, struct ost_why *why)
{
	char *copy = strdup(text);
	struct domain_list *l = calloc(1, sizeof *l);
	struct opening o = { .host = host, .instance = instance, .list = l, .why = why };
	bool ok = false;
	if (copy && l) {
		l->last = &l->first;
		ok = add_items(&o, copy, false);
	} else {
		host->why(why, "parameter domain: out of memory");
	}
	free(copy);
	if (!ok || !l->first) {
		domain_list_close(l);
		l = NULL;
	}
	*list = l;
	return ok;
}

void domain_list_close(struct domain_list *l)
{
	while (l && l->first) {
		struct item *item = l->first;
		l->first = item->next;
		free(item);
	}
	free(l);
}

static enum ost_found matches(const struct ost_host *host, const struct item *item, const char *domain,
			      size_t len, int64_t deadline, struct ost_answer *answer)
{
	if (item->table) {
		struct ost_query query = {
			.size = sizeof query, .key = domain, .klen = len, .deadline = deadline
		};
		return host->table_ask(item->table, &query, answer);
	}
	return strlen(item->name) == len && strncasecmp(item->name, domain, len) == 0 ? OST_FOUND
										      : OST_NOTFOUND;
}

enum ost_found domain_list_has(const struct ost_host *host, const struct domain_list *l,
			       const struct expansion_key *key, int64_t deadline, struct ost_answer *answer)
{
	char domain[LONGEST_DOMAIN + 1];
	size_t len = key->domain.len;
	if (!l)
		return OST_FOUND;
	if (!key->has_at || key->user.len == 0 || len > LONGEST_DOMAIN)
		return OST_NOTFOUND;
	memcpy(domain, key->domain.text, len);
	domain[len] = '\0';
	text_record_fold(domain, len);
	for (const struct item *item = l->first; item; item = item->next) {
		enum ost_found found = matches(host, item, domain, len, deadline, answer);
		if (found == OST_FOUND)
			return item->negated ? OST_NOTFOUND : OST_FOUND;
		if (found != OST_NOTFOUND)
			return found;
	}
	return OST_NOTFOUND;
}
