/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/patterns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/braces.h"
#include "shared/pattern_rules.h"
#include "shared/text_lines.h"

struct patterns {
	struct rules rules;
};

/* What is needed while a table is being opened. */
struct opening {
	const struct ost_host *host;
	struct ost_instance *instance;
	struct patterns *p;
	const char *name;
	struct ost_why *why;
};

/* ---- opening --------------------------------------------------------------------------------------------------- */

static void complain(void *ctx, int line, const char *text)
{
	const struct opening *o = ctx;
	o->host->log(o->instance, OST_LOG_WARNING, "%s map %s, line %d: %s", o->p->rules.engine->type, o->name, line, text);
}

static bool add_lines(struct opening *o, char *text, size_t len)
{
	struct text_lines lines;
	size_t n;
	text_lines_start(&lines, text, len);
	for (char *line = text_lines_next(&lines, &n); line; line = text_lines_next(&lines, &n))
		if (lines.orphan)
			complain(o, lines.line, "logical line must not start with whitespace: skipping this rule");
		else if (!rules_add(&o->p->rules, line, lines.line, complain, o))
			return false;
	return true;
}

static bool load_file(struct opening *o)
{
	size_t len;
	int fd = o->host->file_open(o->instance, o->name, "", o->why);
	if (fd < 0)
		return false;
	char *text = text_read_file(fd, &len);
	int error = errno;
	close(fd);
	if (!text)
		return o->host->why(o->why, "read %s: %s", o->name, strerror(error));
	bool ok = add_lines(o, text, len);
	free(text);
	return ok || o->host->why(o->why, "out of memory");
}

/* type:{ { rule }, { rule } }: each group is a line. */
static bool load_inline(struct opening *o)
{
	const char *type = o->p->rules.engine->type;
	char *content = braces_content(o->name);
	bool ok = content || o->host->why(o->why, "bad syntax: \"%s:%s\"; need \"%s:{{rule}, {rule}}\"", type, o->name, type);
	int line = 0;
	for (char *at = content, *item; ok && (item = braces_item(&at));) {
		if (*item != '{')
			ok = o->host->why(o->why, "%s map: no '{' at start of text in \"%s\"", type, item);
		else if (!braces_strip(&item))
			ok = o->host->why(o->why, "%s map: syntax error after '}' in \"%s\"", type, item);
		else if (!rules_add(&o->p->rules, item, ++line, complain, o))
			ok = o->host->why(o->why, "out of memory");
	}
	free(content);
	return ok;
}

/* Do results hold what somebody outside may have chosen? */
static bool substitutes(const struct rules *rules)
{
	for (size_t i = 0; i < rules->count; i++)
		if (rules->list[i].groups > 0)
			return true;
	return false;
}

struct patterns *patterns_open(const struct ost_host *host, struct ost_instance *instance, const struct pattern_engine *engine,
			       struct ost_why *why)
{
	struct opening o = { .host = host, .instance = instance, .name = host->instance_name(instance), .why = why };
	o.p = calloc(1, sizeof *o.p);
	if (!o.p) {
		host->why(why, "out of memory");
		return NULL;
	}
	o.p->rules.engine = engine;
	if (!(*o.name == '{' ? load_inline(&o) : load_file(&o))) {
		patterns_close(o.p);
		return NULL;
	}
	rules_finish(&o.p->rules, complain, &o);
	if (substitutes(&o.p->rules))
		host->set_table_flags(instance, engine->table_flags | OST_TABLE_UNSAFE | OST_TABLE_SUBSTITUTES);
	return o.p;
}

void patterns_close(struct patterns *p)
{
	if (!p)
		return;
	rules_free(&p->rules);
	free(p);
}

/* ---- asking ---------------------------------------------------------------------------------------------------- */

static size_t group_length(const struct pattern_group *g)
{
	return g->start >= 0 && g->end > g->start ? (size_t)(g->end - g->start) : 0;
}

/* Puts the result together from its text and what the groups matched. */
static enum ost_found answer_with(const struct ost_host *host, const struct rule *rule, const char *key,
				  const struct pattern_group *groups, struct ost_answer *answer)
{
	size_t len = 0;
	if (rule->groups == 0) { /* one piece of text */
		host->answer(answer, rule->pieces[0].text, rule->pieces[0].len);
		return OST_FOUND;
	}
	for (const struct piece *p = rule->pieces; p->text; p++)
		len += p->len + (p->group ? group_length(&groups[p->group]) : 0);
	char *text = malloc(len + 1), *out = text;
	if (!text) {
		host->answer_why(answer, "out of memory");
		return OST_TEMPFAIL;
	}
	for (const struct piece *p = rule->pieces; p->text; p++) {
		out = (char *)mempcpy(out, p->text, p->len);
		if (p->group && group_length(&groups[p->group]) > 0)
			out = (char *)mempcpy(out, key + groups[p->group].start, group_length(&groups[p->group]));
	}
	host->answer(answer, text, len);
	free(text);
	return OST_FOUND;
}

enum ost_found patterns_lookup(const struct ost_host *host, const struct patterns *p, const struct ost_query *query,
			       struct ost_answer *answer)
{
	const struct pattern_engine *e = p->rules.engine;
	struct pattern_group groups[PATTERNS_MAX_GROUPS];
	_Alignas(max_align_t) unsigned char prepared[PATTERNS_PREPARED];
	const char *key = query->key;
	char text[PATTERNS_TEXT] = "";
	if (e->prepare) {
		if (!e->prepare(query->key, query->klen, prepared, sizeof prepared))
			return OST_NOTFOUND;
		key = (const char *)prepared;
	}
	for (size_t i = 0; i < p->rules.count;) {
		const struct rule *rule = &p->rules.list[i];
		int yes = rule->kind == RULE_ENDIF ? 0 : e->match(rule->compiled, key, query->klen, groups, rule->groups, text);
		if (yes < 0) {
			host->answer_why(answer, "line %d: %s", rule->line, text);
			return OST_TEMPFAIL;
		}
		yes = rule->kind != RULE_ENDIF && (yes == 1) != rule->negated;
		if (rule->kind == RULE_MATCH && yes)
			return answer_with(host, rule, query->key, groups, answer);
		i = rule->kind == RULE_IF && !yes ? rule->after : i + 1;
	}
	return OST_NOTFOUND;
}
