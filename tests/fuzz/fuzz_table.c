/* SPDX-License-Identifier: Apache-2.0
 * What people write about tables: files of entries and of regular expressions, tables in the configuration, alias files,
 * networks. The first byte chooses the form; behind a NUL stands a key to look up. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "command/entries.h"
#include "module/answer.h"
#include "module/module.h"
#include "ostler/host.h"
#include "shared/text_lines.h"
#include "shared/text_record.h"
#include "table/network.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

extern const struct ost_module inline_LTX_ost_module, regexp_LTX_ost_module, static_LTX_ost_module;

/* Opens a table with this name, asks it for the key and for what else it has. */
static void ask_module(const struct ost_module *m, const char *name, const char *key, size_t klen)
{
	const struct ost_provide *p = m->provides;
	const struct mod_provider provider = { .kind = p->kind, .name = p->name, .module = m->name, .ops = p->ops };
	const struct ost_table_ops *ops = (const struct ost_table_ops *)p->ops;
	struct ost_why why = { "" };
	m->load(&mod_host, &why);
	struct mod_instance *in = mod_open(&provider, NULL, name, &why);
	if (!in) {
		if (!why.text[0])
			abort(); /* a refusal has a reason */
		return;
	}
	struct arena *a = arena_new();
	struct ost_answer answer = { .arena = a, .why = &why };
	struct ost_query query = { .size = sizeof query, .key = key, .klen = klen, .deadline = CLOCK_NEVER };
	enum ost_found found = ops->lookup(mod_self(in), &query, &answer);
	if ((found == OST_FOUND) != (answer.value != NULL))
		abort();
	mod_close(&in);
	arena_destroy(&a);
}

static void fuzz_inline(char *text, size_t len, const char *key, size_t klen)
{
	(void)len;
	ask_module(&inline_LTX_ost_module, text, key, klen);
	ask_module(&static_LTX_ost_module, text, key, klen);
}

/* Expressions are the administrator's: those that only take long are of no interest. */
static void fuzz_regexp(char *text, size_t len, const char *key, size_t klen)
{
	if (len > 300 || klen > 40 || strpbrk(text + 1, "*+?") || strspn(text, "{ ") < 2)
		return;
	for (const char *p = text; *p; p++)
		if (*p == '{' && p[1] >= '0' && p[1] <= '9')
			return; /* repetition */
	ask_module(&regexp_LTX_ost_module, text, key, klen);
}

static void fuzz_text(char *text, size_t len, const char *key, size_t klen)
{
	struct text_lines lines;
	struct text_record r;
	size_t n;
	(void)key;
	text_lines_start(&lines, text, len);
	for (char *line = text_lines_next(&lines, &n); line; line = text_lines_next(&lines, &n)) {
		if (line[n] != '\0' || lines.line < 1 || n == 0)
			abort();
		enum text_record_flaw flaw = klen % 2 ? text_record_split(line, n, &r) : text_record_split_alias(line, n, &r);
		if (!text_record_flaw_fatal(flaw) && (r.klen == 0 || r.vlen == 0 || r.key[r.klen] != '\0'))
			abort();
	}
}

static void fuzz_entries(char *text, size_t len, const char *key, size_t klen)
{
	struct entries e;
	struct entry entry;
	(void)key;
	entries_open(&e, "input", text, len, klen % 2 ? ENTRY_ALIAS : ENTRY_MAP, true, true);
	while (entries_next(&e, &entry))
		if (entry.klen == 0 || entry.vlen == 0 || entry.key[entry.klen] || entry.value[entry.vlen])
			abort();
	entries_close(&e);
}

static void fuzz_network(char *text, size_t len, const char *key, size_t klen)
{
	struct network net;
	struct ip ip;
	struct ost_why why;
	(void)len;
	(void)klen;
	if (!network_like(text) || !network_parse(text, &net, &why))
		return;
	if (!network_contains(&net, &net.ip))
		abort();
	if (ip_parse(key, &ip))
		network_contains(&net, &ip);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct log_to nowhere = { .syslog_name = "fuzz", .file = "/dev/null", .fd = -1 };
	(void)argc;
	(void)argv;
	log_open(&nowhere);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const forms[])(char *, size_t, const char *, size_t) = { fuzz_inline, fuzz_regexp, fuzz_text,
									       fuzz_entries, fuzz_network };
	if (size < 2 || size > 20000)
		return 0;
	char *copy = mem_alloc(size + 1), *text = copy + 1;
	memcpy(copy, data, size);
	copy[size] = '\0';
	size_t len = strnlen(text, size - 1);
	const char *key = len < size - 1 ? text + len + 1 : "";
	size_t klen = len < size - 1 ? size - 2 - len : 0;
	forms[data[0] % (sizeof forms / sizeof *forms)](text, len, key, klen);
	free(copy);
	return 0;
}
