/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `pcre`: Perl's regular expressions (PCRE2, compiled to machine code where that is allowed), asked in the order of
 * the file, with IF and ENDIF. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/patterns.h"

/* What one match may cost, so that no pattern can hold a process up: steps, and KiB of heap. */
enum { MATCH_STEPS = 1000000, MATCH_HEAP = 20000 };

enum { FLAGS = OST_TABLE_IMMEDIATE | OST_TABLE_WHOLE_KEYS };

static const struct ost_host *host;

static bool pcre_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

/* ---- the engine ------------------------------------------------------------------------------------------------------ */

struct expression {
	pcre2_code *code;
	pcre2_match_context *limits;
};

static void discard(void *compiled)
{
	struct expression *e = compiled;
	pcre2_match_context_free(e->limits);
	pcre2_code_free(e->code);
	free(e);
}

/* "error in regex at offset 2: missing closing parenthesis". */
static void *flaw(char text[PATTERNS_TEXT], int error, size_t at)
{
	PCRE2_UCHAR message[128] = "";
	pcre2_get_error_message(error, message, sizeof message);
	snprintf(text, PATTERNS_TEXT, "error in regex at offset %zu: %s", at, (const char *)message);
	return NULL;
}

static void *compile(const char *pattern, uint32_t options, size_t groups, size_t *has, char text[PATTERNS_TEXT])
{
	int error;
	PCRE2_SIZE at;
	uint32_t captures = 0;
	(void)groups;
	pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &error, &at, NULL);
	if (!code)
		return flaw(text, error, at);
	struct expression *e = calloc(1, sizeof *e);
	pcre2_match_context *limits = pcre2_match_context_create(NULL);
	if (!e || !limits) {
		free(e);
		pcre2_match_context_free(limits);
		pcre2_code_free(code);
		return NULL;
	}
	pcre2_set_match_limit(limits, MATCH_STEPS);
	pcre2_set_heap_limit(limits, MATCH_HEAP);
	*e = (struct expression){ .code = code, .limits = limits };
	pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* when it cannot, the interpreter does it */
	pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &captures);
	*has = captures;
	return e;
}

static int match(const void *compiled, const char *key, size_t klen, struct pattern_group *groups, size_t n, char text[PATTERNS_TEXT])
{
	const struct expression *e = compiled;
	pcre2_match_data *data = pcre2_match_data_create(n > 0 ? (uint32_t)n : 1, NULL);
	int result = data ? pcre2_match(e->code, (PCRE2_SPTR)key, klen, 0, 0, data, e->limits) : PCRE2_ERROR_NOMEMORY;
	size_t found = result > 0 ? (size_t)result : result == 0 ? n : 0; /* 0: more groups than are asked for */
	for (size_t i = 0; i < n && result >= 0; i++) {
		const PCRE2_SIZE *at = pcre2_get_ovector_pointer(data) + 2 * i;
		bool took_part = i < found && at[0] != PCRE2_UNSET && at[0] <= at[1];
		groups[i] = took_part ? (struct pattern_group){ (ptrdiff_t)at[0], (ptrdiff_t)at[1] } : (struct pattern_group){ -1, -1 };
	}
	pcre2_match_data_free(data);
	if (result < 0 && result != PCRE2_ERROR_NOMATCH)
		pcre2_get_error_message(result, (PCRE2_UCHAR *)text, PATTERNS_TEXT);
	return result >= 0 ? 1 : result == PCRE2_ERROR_NOMATCH ? 0 : -1;
}

static const struct pattern_flag flags[] = {
	{ 'i', PCRE2_CASELESS }, { 'm', PCRE2_MULTILINE },      { 's', PCRE2_DOTALL },   { 'x', PCRE2_EXTENDED },
	{ 'A', PCRE2_ANCHORED }, { 'E', PCRE2_DOLLAR_ENDONLY }, { 'U', PCRE2_UNGREEDY }, { 0 },
};

static const struct pattern_engine engine = {
	.type = "pcre",
	.table_flags = FLAGS,
	.flags = flags,
	.options = PCRE2_CASELESS | PCRE2_DOTALL,
	.obsolete = "X",
	.no_pattern = "no regexp",
	.no_if_pattern = "no regexp",
	.dropping = "ignoring",
	.shows_extra = true,
	.compile = compile,
	.match = match,
	.free = discard,
};

/* ---- the table ------------------------------------------------------------------------------------------------------- */

static bool pcre_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	*self = patterns_open(host, instance, &engine, why);
	return *self;
}

static void pcre_close(void *self)
{
	patterns_close(self);
}

static enum ost_found pcre_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	return patterns_lookup(host, self, query, answer);
}

static const struct ost_table_ops pcre_ops = {
	.ops = {
		.size = sizeof pcre_ops,
		.flags = FLAGS,
		.open = pcre_open,
		.close = pcre_close,
	},
	.lookup = pcre_lookup,
};

static const struct ost_provide pcre_provides[] = {
	{ OST_KIND_TABLE, "pcre", &pcre_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(pcre, .version = "1.0", .summary = "Perl's regular expressions", .license = "Apache-2.0", .provides = pcre_provides,
	   .load = pcre_load);
