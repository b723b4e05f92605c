/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `regexp`: POSIX regular expressions, asked in the order of the file, with IF and ENDIF. */
#include <regex.h>
#include <stdlib.h>

#include "shared/patterns.h"

enum { FLAGS = OST_TABLE_IMMEDIATE | OST_TABLE_WHOLE_KEYS };

static const struct ost_host *host;

static bool regexp_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

/* ---- the engine: regcomp() and regexec() ------------------------------------------------------------------------- */

static void *compile(const char *pattern, uint32_t options, size_t groups, size_t *has, char text[PATTERNS_TEXT])
{
	regex_t *expression = calloc(1, sizeof *expression);
	if (!expression)
		return NULL;
	int error = regcomp(expression, pattern, (int)options | (groups == 0 ? REG_NOSUB : 0));
	*has = expression->re_nsub;
	if (error == 0)
		return expression;
	regerror(error, expression, text, PATTERNS_TEXT);
	free(expression);
	return NULL;
}

static int match(const void *compiled, const char *key, size_t klen, struct pattern_group *groups, size_t n, char text[PATTERNS_TEXT])
{
	regmatch_t found[PATTERNS_MAX_GROUPS]; /* only what is asked for is written: this runs for each rule */
	found[0] = (regmatch_t){ .rm_so = 0, .rm_eo = (regoff_t)klen };
	int result = regexec(compiled, key, n, found, REG_STARTEND);
	for (size_t i = 0; result == 0 && i < n; i++)
		groups[i] = (struct pattern_group){ found[i].rm_so, found[i].rm_eo };
	if (result != 0 && result != REG_NOMATCH)
		regerror(result, compiled, text, PATTERNS_TEXT);
	return result == 0 ? 1 : result == REG_NOMATCH ? 0 : -1;
}

static void discard(void *compiled)
{
	regfree(compiled);
	free(compiled);
}

static const struct pattern_flag flags[] = { { 'i', REG_ICASE }, { 'm', REG_NEWLINE }, { 'x', REG_EXTENDED }, { 0 } };

static const struct pattern_engine engine = {
	.type = "regexp",
	.table_flags = FLAGS,
	.flags = flags,
	.options = REG_EXTENDED | REG_ICASE,
	.no_pattern = "no regular expression",
	.no_if_pattern = "no expression after IF",
	.dropping = "skipping",
	.compile = compile,
	.match = match,
	.free = discard,
};

/* ---- the table ------------------------------------------------------------------------------------------------------ */

static bool regexp_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	*self = patterns_open(host, instance, &engine, why);
	return *self;
}

static void regexp_close(void *self)
{
	patterns_close(self);
}

static enum ost_found regexp_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	return patterns_lookup(host, self, query, answer);
}

static const struct ost_table_ops regexp_ops = {
	.ops = {
		.size = sizeof regexp_ops,
		.flags = FLAGS,
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
