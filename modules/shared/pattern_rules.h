/* SPDX-License-Identifier: Apache-2.0
 * The rules of a table of patterns: one per logical line. Used by patterns.c alone. */
#ifndef SHARED_PATTERN_RULES_H
#define SHARED_PATTERN_RULES_H

#include "shared/patterns.h"

enum rule_kind { RULE_MATCH, RULE_IF, RULE_ENDIF };

struct piece { /* of a result: text, then what a group matched */
	const char *text;
	size_t len;
	int group; /* 0: none follows */
};

struct rule {
	enum rule_kind kind;
	bool negated;
	void *compiled; /* the engine's */
	int line;
	size_t groups;        /* how many matches are asked for: 0, or the highest $number + 1 */
	size_t after;         /* of an IF: the number of the rule behind its ENDIF */
	struct piece *pieces; /* the result; ends with text NULL */
	char *result;         /* what the pieces point into */
};

struct rules {
	const struct pattern_engine *engine;
	struct rule *list;
	size_t count, room;
};

/* Who hears about lines that are skipped: "regexp map NAME, line N: text". */
typedef void rules_complain_fn(void *ctx, int line, const char *text);

/* Adds a rule from a logical line, which is changed. A bad line is complained about and skipped. False: out of memory. */
bool rules_add(struct rules *, char *line, int number, rules_complain_fn *, void *ctx);
/* Pairs each IF with its ENDIF; call once, after the last line. */
void rules_finish(struct rules *, rules_complain_fn *, void *ctx);
void rules_free(struct rules *);

#endif
