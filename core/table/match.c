/* SPDX-License-Identifier: Apache-2.0
 * Lists that match names or networks (mydestination, relay_domains, mynetworks …). Parsed once, then constant. */
#include "table/match.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/io.h"
#include "base/log.h"
#include "base/magic.h"
#include "config/lines.h"
#include "table/network.h"

#define MATCHLIST_MAGIC 0x6d617463u
enum { FILE_BYTES = 16 << 20, FILE_DEPTH = 5 };

struct pattern {
	struct pattern *next;
	enum { PATTERN_NAME, PATTERN_NETWORK, PATTERN_TABLE, PATTERN_BROKEN } kind;
	bool negated;
	const char *text;
	struct network network;
	struct table *table;
};

struct matchlist {
	unsigned magic;
	struct matchlist *next;
	struct arena *arena; /* holds the struct itself */
	const struct cfg_view *view;
	const char *param;
	bool exact;    /* names as a whole alone: neither .example.com nor parent domains in tables */
	bool parents;  /* example.com stands for its subdomains */
	bool networks; /* patterns may be addresses */
	struct pattern *first, **last;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list of all */
static struct matchlist *all;

/* ---- parsing --------------------------------------------------------------------------------------------------- */

/* The first thing that is wrong; later ones do not hide it. */
static void complain(const struct matchlist *m, struct ost_why *why, const char *text)
{
	log_warning("%s: %s", m->param, text);
	if (why && !why->text[0])
		why_set(why, "%s", text);
}

static struct pattern *add_pattern(struct matchlist *m, const char *text, bool negated)
{
	struct pattern *p = ARENA_NEW(m->arena, struct pattern);
	p->text = text;
	p->negated = negated;
	*m->last = p;
	m->last = &p->next;
	return p;
}

static void add_broken(struct matchlist *m, const char *text, bool negated, const struct ost_why *reason, struct ost_why *why)
{
	add_pattern(m, text, negated)->kind = PATTERN_BROKEN;
	complain(m, why, reason->text);
}

static void parse_list(struct matchlist *m, const char *spec, bool negated, int depth, struct ost_why *why);

/* "/file": its lines are lists like this one. */
static void parse_file(struct matchlist *m, const char *path, bool negated, int depth, struct ost_why *why)
{
	struct ost_why reason = { "" };
	size_t len = 0;
	char *text = depth < FILE_DEPTH ? io_read_file(AT_FDCWD, path, FILE_BYTES, &len) : NULL;
	if (!text) {
		if (depth < FILE_DEPTH)
			why_errno(&reason, "open file %s", path);
		else
			why_set(&reason, "%s: files that name files are nested too deep", path);
		add_broken(m, path, negated, &reason, why);
		return;
	}
	struct lines lines;
	struct logical_line line;
	lines_open(&lines, text, len);
	while (lines_next(&lines, &line))
		parse_list(m, arena_strdup(m->arena, line.text), negated, depth + 1, why);
	lines_close(&lines);
	free(text);
}

static void parse_item(struct matchlist *m, const char *item, bool negated, int depth, struct ost_why *why)
{
	struct ost_why reason = { "" };
	for (; *item == '!'; item++)
		negated = !negated;
	if (*item == '/') {
		parse_file(m, item, negated, depth, why);
	} else if (*item != '[' && strchr(item, ':')) {
		struct pattern *p = add_pattern(m, item, negated);
		p->kind = PATTERN_TABLE;
		p->table = table_open(m->view, item, &reason);
		if (reason.text[0])
			complain(m, why, reason.text);
	} else if (m->networks && network_like(item)) {
		struct network network;
		if (!network_parse(item, &network, &reason)) {
			add_broken(m, item, negated, &reason, why);
			return;
		}
		struct pattern *p = add_pattern(m, item, negated);
		p->kind = PATTERN_NETWORK;
		p->network = network;
	} else {
		add_pattern(m, item, negated)->kind = PATTERN_NAME;
	}
}

static void parse_list(struct matchlist *m, const char *spec, bool negated, int depth, struct ost_why *why)
{
	for (const char **item = cfg_split(m->arena, spec); *item; item++)
		parse_item(m, *item, negated, depth, why);
}

bool match_parents(const struct cfg_view *view, struct arena *a, const char *param)
{
	for (const char **name = cfg_split(a, cfg_str(view, P_parent_domain_matches_subdomains)); *name; name++)
		if (strcmp(*name, param) == 0)
			return true;
	return false;
}

/* Lists that Postfix compares with whole names alone. */
static bool is_exact(const char *param)
{
	static const char *const exact[] = { "mydestination", "virtual_alias_domains", "virtual_mailbox_domains",
					     "authorized_submit_users" };
	for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
		if (strcmp(param, exact[i]) == 0)
			return true;
	return false;
}

static struct matchlist *new_list(const struct cfg_view *view, const char *param, const char *spec, bool networks,
				  struct ost_why *why)
{
	struct arena *a = arena_new();
	struct matchlist *m = ARENA_NEW(a, struct matchlist);
	*m = (struct matchlist){ .magic = MATCHLIST_MAGIC, .arena = a, .view = view, .networks = networks };
	m->param = arena_strdup(a, param);
	m->exact = is_exact(param);
	m->parents = !m->exact && match_parents(view, a, param);
	m->last = &m->first;
	if (why)
		why->text[0] = '\0';
	parse_list(m, spec, false, 0, why);
	pthread_mutex_lock(&lock);
	m->next = all;
	all = m;
	pthread_mutex_unlock(&lock);
	return m;
}

struct matchlist *matchlist_names(const struct cfg_view *view, const char *param, const char *spec, struct ost_why *why)
{
	return new_list(view, param, spec, false, why);
}

struct matchlist *matchlist_networks(const struct cfg_view *view, const char *param, const char *spec, struct ost_why *why)
{
	return new_list(view, param, spec, true, why);
}

void match_close_all(void)
{
	pthread_mutex_lock(&lock);
	while (all) {
		struct matchlist *m = all;
		struct arena *a = m->arena;
		all = m->next;
		m->magic = 0;
		arena_destroy(&a);
	}
	pthread_mutex_unlock(&lock);
}

/* ---- matching -------------------------------------------------------------------------------------------------- */

/* example.com against a name: equal, or a subdomain as the parameter has it (.example.com, or example.com itself). */
static bool name_matches(const struct matchlist *m, const struct pattern *p, const char *name)
{
	if (strcasecmp(name, p->text) == 0)
		return true;
	if (m->exact)
		return false;
	size_t n = strlen(name), len = strlen(p->text);
	if (n <= len + m->parents || strcasecmp(name + n - len, p->text) != 0)
		return false;
	return m->parents ? name[n - len - 1] == '.' : p->text[0] == '.';
}

/* A key in the pattern's table; case is folded as for all tables. */
static enum ost_found ask(const struct pattern *p, struct arena *a, const char *key, bool whole, struct lookup *found)
{
	bool pattern = table_flags(p->table) & OST_TABLE_WHOLE_KEYS;
	return pattern && !whole ? OST_NOTFOUND : table_lookup(p->table, a, pattern ? key : table_fold(a, key), strlen(key), found);
}

/* The name and its parent domains in the pattern's table. */
static enum ost_found table_has_name(const struct matchlist *m, const struct pattern *p, struct arena *a, const char *name,
				     struct lookup *found)
{
	for (const char *at = name; *at;) {
		enum ost_found result = ask(p, a, at, at == name, found);
		const char *dot = strchr(at + 1, '.');
		if (result != OST_NOTFOUND || !dot || m->exact)
			return result;
		at = dot + m->parents;
	}
	return OST_NOTFOUND;
}

/* What is asked: a name, an address, or both. */
struct subject {
	const char *name, *address; /* NULL: not known */
	struct ip ip;
	bool numeric;
};

static enum ost_found match_pattern(const struct matchlist *m, const struct pattern *p, struct arena *a,
				    const struct subject *s, struct lookup *found)
{
	enum ost_found result = OST_NOTFOUND;
	switch (p->kind) {
	case PATTERN_NAME:
		return s->name && name_matches(m, p, s->name) ? OST_FOUND : OST_NOTFOUND;
	case PATTERN_NETWORK:
		return s->numeric && network_contains(&p->network, &s->ip) ? OST_FOUND : OST_NOTFOUND;
	case PATTERN_TABLE:
		if (s->name)
			result = table_has_name(m, p, a, s->name, found);
		if (result == OST_NOTFOUND && s->address)
			result = ask(p, a, s->address, true, found);
		return result;
	case PATTERN_BROKEN:
		break;
	}
	why_set(&found->why, "%s cannot be used", p->text);
	return OST_TEMPFAIL;
}

/* The first pattern that matches decides. */
static enum ost_found match(const struct matchlist *m, struct arena *a, const struct subject *s, struct lookup *found)
{
	CHECK_MAGIC(m, MATCHLIST_MAGIC);
	*found = (struct lookup){ 0 };
	for (const struct pattern *p = m->first; p; p = p->next) {
		enum ost_found result = match_pattern(m, p, a, s, found);
		if (result == OST_NOTFOUND)
			continue;
		if (result != OST_FOUND) {
			log_warning("%s: %s: table lookup problem", m->param, p->text);
			return result;
		}
		found->table = p->text;
		if (p->negated)
			found->value = NULL;
		else if (!found->value)
			found->value = p->text;
		return p->negated ? OST_NOTFOUND : OST_FOUND;
	}
	return OST_NOTFOUND;
}

enum ost_found matchlist_name(const struct matchlist *m, struct arena *a, const char *name, struct lookup *found)
{
	struct subject s = { .name = name };
	return match(m, a, &s, found);
}

enum ost_found matchlist_client(const struct matchlist *m, struct arena *a, const char *name, const char *address,
				struct lookup *found)
{
	struct subject s = { .name = name, .address = address };
	s.numeric = address && ip_parse(address, &s.ip);
	return match(m, a, &s, found);
}
