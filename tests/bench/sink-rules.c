/* SPDX-License-Identifier: Apache-2.0
 * Which answer a stage of the dialogue gets, when it is not the usual one. */
#include "sink.h"

#include <stdlib.h>
#include <string.h>

static const char *const stage_names[SINK_STAGES] = {
	[SINK_CONNECT] = "connect", [SINK_HELO] = "helo", [SINK_MAIL] = "mail", [SINK_RCPT] = "rcpt",
	[SINK_DATA] = "data",       [SINK_DOT] = "dot",   [SINK_RSET] = "rset", [SINK_QUIT] = "quit",
};

static const struct {
	const char *name;
	enum sink_action action;
} actions[] = {
	{ "!close", SINK_CLOSE },   { "!take", SINK_TAKE },       { "!reset", SINK_RESET },
	{ "!silent", SINK_SILENT }, { "!garbage", SINK_GARBAGE }, { "!endless", SINK_ENDLESS },
};

static enum sink_stage stage_of(const char *name)
{
	for (unsigned i = 0; i < SINK_STAGES; i++)
		if (strcmp(name, stage_names[i]) == 0)
			return (enum sink_stage)i;
	bench_die("\"%s\" is no stage: connect, helo, mail, rcpt, data, dot, rset, quit", name);
}

static void set_answer(struct sink_rule *rule, const char *text)
{
	rule->action = SINK_ANSWER;
	rule->text = text;
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
		if (strcmp(text, actions[i].name) == 0) {
			rule->action = actions[i].action;
			return;
		}
	}
	if (strlen(text) < 3 || text[0] < '2' || text[0] > '5' || strlen(text) > SINK_LINE_MAX)
		bench_die("\"%s\" is no SMTP reply and no action: !close !take !reset !silent !garbage "
			  "!endless",
			  text);
}

/* Cuts the text at its first colon; returns what follows. */
static char *cut(char *text, const char *whole)
{
	char *colon = strchr(text, ':');

	if (!colon)
		bench_die("\"%s\" is not of the form STAGE[*N][/N]:REGEX:ANSWER", whole);
	*colon = '\0';
	return colon + 1;
}

/* Takes a number off the end of the stage, if `mark` is there. */
static uint64_t take_number(char *stage, char mark, uint64_t otherwise)
{
	char *at = strchr(stage, mark);
	uint64_t n;

	if (!at)
		return otherwise;
	*at = '\0';
	n = bench_number("reply", at + 1, UINT32_MAX);
	if (n == 0)
		bench_die("reply: a number after %c is at least 1", mark);
	return n;
}

void sink_rules_add(struct sink_rules *r, char *text)
{
	struct sink_rule *rule = &r->rule[r->n];
	char *regex = cut(text, text);
	char *answer = cut(regex, regex);

	if (r->n == SINK_RULES_MAX)
		bench_die("reply: at most %d", SINK_RULES_MAX);
	rule->every = take_number(text, '/', 1);
	rule->limit = take_number(text, '*', 0);
	rule->stage = stage_of(text);
	rule->has_regex = regex[0] != '\0';
	if (rule->has_regex && regcomp(&rule->regex, regex, REG_EXTENDED | REG_NOSUB | REG_ICASE) != 0)
		bench_die("reply: \"%s\" is no regular expression", regex);
	set_answer(rule, answer);
	r->n++;
}

void sink_rules_delay(struct sink_rules *r, char *text)
{
	char *colon = strchr(text, ':');

	if (!colon)
		bench_die("\"%s\" is not of the form STAGE:MILLISECONDS", text);
	*colon = '\0';
	r->delay_ns[stage_of(text)] = bench_number("delay", colon + 1, 1000000) * BENCH_MS;
}

struct sink_rule *sink_rules_find(struct sink_rules *r, enum sink_stage stage, const char *subject)
{
	for (unsigned i = 0; i < r->n; i++) {
		struct sink_rule *rule = &r->rule[i];

		if (rule->stage != stage || (rule->limit && rule->used >= rule->limit))
			continue;
		if (rule->has_regex && regexec(&rule->regex, subject, 0, NULL, 0) != 0)
			continue;
		if (++rule->matches % rule->every != 0)
			continue;
		rule->used++;
		return rule;
	}
	return NULL;
}
