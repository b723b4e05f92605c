/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `regexp`: POSIX regular expressions, asked in the order of the file, with IF and ENDIF. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ostler/host.h"
#include "shared/braces.h"
#include "shared/text_lines.h"
#include "rules.h"

struct regexp {
	struct rules rules;
};

static const struct ost_host *host;

static bool regexp_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

/* ---- opening --------------------------------------------------------------------------------------------------- */

static void complain(void *ctx, int line, const char *text)
{
	struct ost_instance *instance = ctx;
	host->log(instance, OST_LOG_WARNING, "regexp map %s, line %d: %s", host->instance_name(instance), line, text);
}

static bool add_lines(struct regexp *re, struct ost_instance *instance, char *text, size_t len)
{
	struct text_lines lines;
	size_t n;
	text_lines_start(&lines, text, len);
	for (char *line = text_lines_next(&lines, &n); line; line = text_lines_next(&lines, &n))
		if (lines.orphan)
			complain(instance, lines.line, "logical line must not start with whitespace: skipping this rule");
		else if (!rules_add(&re->rules, line, lines.line, complain, instance))
			return false;
	return true;
}

static bool load_file(struct regexp *re, struct ost_instance *instance, const char *path, struct ost_why *why)
{
	size_t len;
	int fd = host->file_open(instance, path, "", why);
	if (fd < 0)
		return false;
	char *text = text_read_file(fd, &len);
	int error = errno;
	close(fd);
	if (!text)
		return host->why(why, "read %s: %s", path, strerror(error));
	bool ok = add_lines(re, instance, text, len);
	free(text);
	return ok || host->why(why, "out of memory");
}

/* regexp:{ { rule }, { rule } }: each group is a line. */
static bool load_inline(struct regexp *re, struct ost_instance *instance, const char *name, struct ost_why *why)
{
	char *content = braces_content(name);
	bool ok = content || host->why(why, "bad syntax: \"regexp:%s\"; need \"regexp:{{rule}, {rule}}\"", name);
	int line = 0;
	for (char *at = content, *item; ok && (item = braces_item(&at));) {
		if (*item != '{')
			ok = host->why(why, "regexp map: no '{' at start of text in \"%s\"", item);
		else if (!braces_strip(&item))
			ok = host->why(why, "regexp map: syntax error after '}' in \"%s\"", item);
		else if (!rules_add(&re->rules, item, ++line, complain, instance))
			ok = host->why(why, "out of memory");
	}
	free(content);
	return ok;
}

static void regexp_close(void *self)
{
	struct regexp *re = self;
	rules_free(&re->rules);
	free(re);
}

static bool regexp_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	const char *name = host->instance_name(instance);
	struct regexp *re = calloc(1, sizeof *re);
	if (!re)
		return host->why(why, "out of memory");
	if (!(*name == '{' ? load_inline(re, instance, name, why) : load_file(re, instance, name, why))) {
		regexp_close(re);
		return false;
	}
	rules_finish(&re->rules, complain, instance);
	*self = re;
	return true;
}

/* ---- asking ---------------------------------------------------------------------------------------------------- */

/* Puts the result together from its text and what the groups matched. */
static enum ost_found answer_with(const struct rule *rule, const char *key, const regmatch_t *groups, struct ost_answer *answer)
{
	size_t len = 0;
	if (rule->groups == 0) { /* one piece of text */
		host->answer(answer, rule->pieces[0].text, rule->pieces[0].len);
		return OST_FOUND;
	}
	for (const struct piece *p = rule->pieces; p->text; p++) {
		len += p->len;
		if (p->group && groups[p->group].rm_so >= 0)
			len += (size_t)(groups[p->group].rm_eo - groups[p->group].rm_so);
	}
	char *text = malloc(len + 1), *out = text;
	if (!text) {
		host->answer_why(answer, "out of memory");
		return OST_TEMPFAIL;
	}
	for (const struct piece *p = rule->pieces; p->text; p++) {
		out = (char *)mempcpy(out, p->text, p->len);
		if (p->group && groups[p->group].rm_so >= 0)
			out = (char *)mempcpy(out, key + groups[p->group].rm_so,
					      (size_t)(groups[p->group].rm_eo - groups[p->group].rm_so));
	}
	host->answer(answer, text, len);
	free(text);
	return OST_FOUND;
}

/* 1: the rule applies (negation seen to), 0: not, -1: the matcher failed. groups has room for all that the rule asks for. */
static int applies(const struct rule *rule, const struct ost_query *query, regmatch_t *groups)
{
	groups[0] = (regmatch_t){ .rm_so = 0, .rm_eo = (regoff_t)query->klen };
	int result = regexec(&rule->expression, query->key, rule->groups, groups, REG_STARTEND);
	if (result != 0 && result != REG_NOMATCH)
		return -1;
	return (result == 0) != rule->negated;
}

static enum ost_found regexp_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	const struct regexp *re = self;
	regmatch_t groups[RULES_MAX_GROUPS];
	for (size_t i = 0; i < re->rules.count;) {
		const struct rule *rule = &re->rules.list[i];
		int yes = rule->kind == RULE_ENDIF ? 0 : applies(rule, query, groups);
		if (yes < 0) {
			host->answer_why(answer, "line %d: the expression cannot be matched", rule->line);
			return OST_TEMPFAIL;
		}
		if (rule->kind == RULE_MATCH && yes)
			return answer_with(rule, query->key, groups, answer);
		i = rule->kind == RULE_IF && !yes ? rule->after : i + 1;
	}
	return OST_NOTFOUND;
}

static const struct ost_table_ops regexp_ops = {
	.ops = {
		.size = sizeof regexp_ops,
		.flags = OST_TABLE_IMMEDIATE | OST_TABLE_WHOLE_KEYS,
		.open = regexp_open,
		.close = regexp_close,
	},
	.lookup = regexp_lookup,
};

static const struct ost_provide regexp_provides[] = {
	{ OST_KIND_TABLE, "regexp", &regexp_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(regexp, .version = "1.0", .summary = "POSIX regular expressions", .license = "Apache-2.0",
	   .provides = regexp_provides, .load = regexp_load);
