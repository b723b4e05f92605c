/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/pattern_rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A line that is being read. */
struct reading {
	const struct pattern_engine *engine;
	char *at;
	int line;
	rules_complain_fn *complain;
	void *ctx;
};

/* Reports what is wrong with the line; answers false. */
static bool bad(const struct reading *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool bad(const struct reading *r, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	r->complain(r->ctx, r->line, text);
	return false;
}

static void skip_space(struct reading *r)
{
	while (is_space(*r->at))
		r->at++;
}

/* ---- /pattern/flags, or a word ---------------------------------------------------------------------------------- */

/* Takes the text up to the closing delimiter; the delimiter is replaced by NUL. */
static bool read_delimited(struct reading *r, char **pattern)
{
	char delimiter = *r->at;
	*pattern = ++r->at;
	for (; *r->at && *r->at != delimiter; r->at++)
		if (*r->at == '\\' && r->at[1])
			r->at++;
	if (!*r->at)
		return bad(r, "no closing regexp delimiter \"%c\": %s this rule", delimiter, r->engine->dropping);
	*r->at++ = '\0';
	return true;
}

/* Takes a word. */
static bool read_word(struct reading *r, char **pattern)
{
	*pattern = r->at;
	while (*r->at && !is_space(*r->at))
		r->at++;
	return true;
}

static const struct pattern_flag *find_flag(const struct pattern_engine *e, char letter)
{
	const struct pattern_flag *f = e->flags;
	while (f->letter && f->letter != letter)
		f++;
	return f->letter ? f : NULL;
}

/* Each letter turns an option over. */
static bool read_flags(struct reading *r, uint32_t *options)
{
	const struct pattern_engine *e = r->engine;
	*options = e->options;
	for (; !e->words && *r->at && !is_space(*r->at); r->at++) {
		const struct pattern_flag *f = find_flag(e, *r->at);
		if (f)
			*options ^= f->option;
		else if (e->obsolete && strchr(e->obsolete, *r->at))
			bad(r, "ignoring obsolete regexp option \"%c\"", *r->at);
		else
			return bad(r, "unknown regexp option \"%c\": skipping this rule", *r->at);
	}
	return true;
}

/* "!/pattern/flags", not compiled yet: how many groups are asked for is known when the result has been read. */
static bool read_expression(struct reading *r, struct rule *rule, char **pattern, uint32_t *options)
{
	for (; *r->at == '!'; r->at++) {
		rule->negated = !rule->negated;
		while (is_space(r->at[1]))
			r->at++;
	}
	if (!*r->at)
		return bad(r, "%s: skipping this rule", r->engine->no_pattern);
	return (r->engine->words ? read_word(r, pattern) : read_delimited(r, pattern)) && read_flags(r, options);
}

static bool compile(struct reading *r, struct rule *rule, const char *pattern, uint32_t options, size_t *has)
{
	char text[PATTERNS_TEXT] = "";
	rule->compiled = r->engine->compile(pattern, options, rule->groups, has, text);
	return rule->compiled || bad(r, "%s", text);
}

/* ---- the result ------------------------------------------------------------------------------------------------ */

/* The number in $n, ${n} and $(n) at `at` (behind the dollar); *end is behind it. -1: it is none of these. */
static int group_number(char *at, char **end)
{
	char close = *at == '{' ? '}' : *at == '(' ? ')' : '\0';
	int n = 0, digits = 0;
	for (at += close != '\0'; is_digit(*at); at++, digits++)
		n = n < 10000 ? n * 10 + (*at - '0') : n;
	if (digits == 0 || (close && *at != close))
		return -1;
	*end = at + (close != '\0');
	return n;
}

/* Splits the result into pieces of text and groups. rule->result is changed: a "$$" loses a dollar. */
static bool split_result(struct reading *r, struct rule *rule)
{
	size_t n = 0;
	char *text = rule->result, *out = text;
	for (char *in = text; *in;) {
		char *end = in + 2;
		if (*in != '$' || in[1] == '$') {
			in += in[0] == '$';
			*out++ = *in++;
			continue;
		}
		int group = group_number(in + 1, &end);
		if (group < 0)
			return bad(r, "bad replacement syntax: skipping this rule");
		if (rule->negated)
			return bad(r, "$number found in negative match replacement text: skipping this rule");
		if (group == 0 || group >= PATTERNS_MAX_GROUPS)
			return bad(r, "out of range replacement index \"%d\": skipping this rule", group);
		rule->pieces[n++] = (struct piece){ .text = text, .len = (size_t)(out - text), .group = group };
		if ((size_t)group + 1 > rule->groups)
			rule->groups = (size_t)group + 1;
		text = out = in = end;
	}
	rule->pieces[n++] = (struct piece){ .text = text, .len = (size_t)(out - text) };
	rule->pieces[n] = (struct piece){ 0 };
	return true;
}

/* What follows the flags; each dollar may start a group, so there are at most that many pieces, and two more. */
static bool read_result(struct reading *r, struct rule *rule)
{
	size_t dollars = 0;
	skip_space(r);
	if (!*r->at && r->engine->words)
		return bad(r, "no lookup result: skipping this rule");
	if (!*r->at)
		bad(r, "no replacement text: using empty string");
	for (const char *p = r->at; *p; p++)
		dollars += *p == '$';
	rule->result = strdup(r->at);
	rule->pieces = calloc(dollars + 2, sizeof *rule->pieces);
	if (!rule->result || !rule->pieces)
		return false;
	if (!r->engine->words)
		return split_result(r, rule);
	rule->pieces[0] = (struct piece){ .text = rule->result, .len = strlen(rule->result) };
	return true;
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

static bool read_match(struct reading *r, struct rule *rule)
{
	char *pattern;
	uint32_t options;
	size_t has = 0;
	rule->kind = RULE_MATCH;
	if (!read_expression(r, rule, &pattern, &options))
		return false;
	if (*r->at)
		*r->at++ = '\0';
	bool early = r->engine->words; /* no group to be counted: the pattern's flaw is told first */
	if ((early && !compile(r, rule, pattern, options, &has)) || !read_result(r, rule) ||
	    (!early && !compile(r, rule, pattern, options, &has)))
		return false;
	if (rule->groups > has + 1)
		return bad(r, "out of range replacement index \"%zu\": skipping this rule", rule->groups - 1);
	return true;
}

static bool read_if(struct reading *r, struct rule *rule)
{
	char *pattern;
	uint32_t options;
	size_t has;
	rule->kind = RULE_IF;
	r->at += 2;
	skip_space(r);
	if (!*r->at)
		return bad(r, "%s: skipping this rule", r->engine->no_if_pattern);
	if (!read_expression(r, rule, &pattern, &options))
		return false;
	if (*r->at)
		*r->at++ = '\0';
	skip_space(r);
	if (*r->at && r->engine->words)
		return bad(r, "bad mask value in \"%s %s\": skipping this rule", pattern, r->at);
	if (*r->at && r->engine->shows_extra)
		bad(r, "ignoring extra text after IF statement: \"%s\"", r->at);
	else if (*r->at)
		bad(r, "ignoring extra text after \"IF /pattern/\"");
	return compile(r, rule, pattern, options, &has);
}

static bool read_endif(struct reading *r, struct rule *rule)
{
	rule->kind = RULE_ENDIF;
	r->at += 5;
	skip_space(r);
	if (*r->at && r->engine->words)
		return bad(r, "garbage after ENDIF: skipping this rule");
	if (*r->at)
		bad(r, "ignoring extra text after ENDIF");
	return true;
}

/* Is it the word, alone or before something that cannot belong to it? */
static bool is_word(const char *at, const char *word)
{
	size_t len = strlen(word);
	char next = strncasecmp(at, word, len) == 0 ? at[len] : 'x';
	return !(next >= 'a' && next <= 'z') && !(next >= 'A' && next <= 'Z') && !is_digit(next);
}

static bool read_rule(struct reading *r, struct rule *rule)
{
	unsigned char c = (unsigned char)*r->at;
	bool letter = !r->engine->words && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit((char)c));
	if (is_word(r->at, "if"))
		return read_if(r, rule);
	if (is_word(r->at, "endif"))
		return read_endif(r, rule);
	return letter ? bad(r, "ignoring unrecognized request") : read_match(r, rule);
}

static void free_rule(const struct pattern_engine *engine, struct rule *rule)
{
	if (rule->compiled)
		engine->free(rule->compiled);
	free(rule->pieces);
	free(rule->result);
}

static bool make_room(struct rules *rules)
{
	if (rules->count < rules->room)
		return true;
	size_t room = rules->room ? rules->room * 2 : 32;
	struct rule *list = realloc(rules->list, room * sizeof *list);
	if (!list)
		return false;
	rules->list = list;
	rules->room = room;
	return true;
}

bool rules_add(struct rules *rules, char *line, int number, rules_complain_fn *complain, void *ctx)
{
	struct reading r = { .engine = rules->engine, .at = line, .line = number, .complain = complain, .ctx = ctx };
	struct rule rule = { .line = number };
	if (!make_room(rules))
		return false;
	skip_space(&r);
	if (*r.at && read_rule(&r, &rule))
		rules->list[rules->count++] = rule;
	else
		free_rule(rules->engine, &rule);
	return true;
}

/* The ENDIF of the IF at `from`; the number of rules when it has none. */
static size_t find_endif(const struct rules *rules, size_t from)
{
	int level = 0;
	for (size_t i = from; i < rules->count; i++) {
		enum rule_kind kind = rules->list[i].kind;
		level += kind == RULE_IF ? 1 : kind == RULE_ENDIF ? -1 : 0;
		if (level == 0)
			return i;
	}
	return rules->count;
}

void rules_finish(struct rules *rules, rules_complain_fn *complain, void *ctx)
{
	int level = 0;
	for (size_t i = 0; i < rules->count; i++) {
		struct rule *rule = &rules->list[i];
		if (rule->kind == RULE_IF) {
			size_t end = find_endif(rules, i);
			rule->after = end < rules->count ? end + 1 : end;
			if (end == rules->count)
				complain(ctx, rule->line, "IF has no matching ENDIF");
		}
		level += rule->kind == RULE_IF ? 1 : rule->kind == RULE_ENDIF ? -1 : 0;
		if (level < 0) {
			complain(ctx, rule->line, "ignoring ENDIF without matching IF");
			level = 0;
		}
	}
}

void rules_free(struct rules *rules)
{
	for (size_t i = 0; i < rules->count; i++)
		free_rule(rules->engine, &rules->list[i]);
	free(rules->list);
	rules->list = NULL;
	rules->count = rules->room = 0;
}
