/* SPDX-License-Identifier: Apache-2.0 */
#include "command/map_query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/sanitize.h"
#include "command/base64.h"
#include "command/map_input.h"
#include "command/map_message.h"
#include "command/map_module.h"
#include "command/unprivileged.h"
#include "config/config.h"
#include "table/handle.h"

/* One command under way. */
struct run {
	const struct map_query *q;
	struct table **tables; /* ends with NULL */
	struct buf decoded;
	bool any; /* something was found */
};

/* ---- tables -------------------------------------------------------------------------------------------------------- */

char *map_full_name(const struct cfg_view *view, const char *text)
{
	return strchr(text, ':') ? mem_strdup(text)
				 : mem_printf("%s:%s", cfg_str(view, P_default_database_type), text);
}

/* A table as Postfix calls it in its complaints: some with the file's suffix. */
static const char *shown_name(struct arena *a, const char *name)
{
	static const char *const suffixes[][2] = { { "hash:", ".db" },
						   { "btree:", ".db" },
						   { "cdb:", ".cdb" } };
	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
		if (strncmp(name, suffixes[i][0], strlen(suffixes[i][0])) == 0)
			return arena_printf(a, "%s%s", name, suffixes[i][1]);
	return name;
}

/* Opens the tables, then becomes an ordinary user: files are opened while root still may. */
static struct table **open_tables(const struct map_query *q, size_t count)
{
	struct ost_why why = { "" };
	struct table **tables = mem_zalloc((count + 1) * sizeof(struct table *));
	for (size_t i = 0; command_is_root() && i < count; i++) {
		const char *colon = strchr(q->names[i], ':');
		map_module_keep_open(colon ? colon + 1 : q->names[i]);
	}
	if (!command_become_mail_owner(q->view, &why))
		log_fatal("%s", why.text);
	for (size_t i = 0; i < count; i++) {
		char *name = map_full_name(q->view, q->names[i]);
		tables[i] = table_open(q->view, name, &why);
		if (why.text[0])
			log_fatal("%s", why.text);
		free(name);
	}
	return tables;
}

/* ---- values -------------------------------------------------------------------------------------------------------- */

/* The value as it is shown; false: with -F, that it is no base64 was said. */
static bool decode(struct run *r, const char *table, const char *key, const char *value, size_t len)
{
	buf_reset(&r->decoded);
	if (!r->q->files) {
		buf_add(&r->decoded, value, len);
		return true;
	}
	if (base64_decode(&r->decoded, value, len))
		return true;
	log_warning("table %s: key %s: malformed BASE64 value: %s", shown_name(r->q->arena, table), key,
		    value);
	return false;
}

/* A value that is a file is shown up to its first NUL. */
static void print(const char *key, size_t klen, const char *separator, const struct buf *value)
{
	fwrite(key, 1, klen, stdout);
	fputs(separator, stdout);
	fwrite(buf_str(value), 1, strlen(buf_str(value)), stdout);
	putchar('\n');
}

static void warn_of_empty_value(const char *table, const char *key)
{
	log_warning("table %s: key %s: empty string result is not allowed", table, key);
	log_warning("table %s should return NO RESULT in case of NOT FOUND", table);
}

/* ---- keys ---------------------------------------------------------------------------------------------------------- */

static bool key_is_text(const struct run *r, const char *table, const char *key)
{
	if (!r->q->utf8 || utf8_valid(key, strlen(key)))
		return true;
	log_warning("%s: non-UTF-8 key \"%s\": malformed UTF-8 or invalid codepoint",
		    shown_name(r->q->arena, table), key);
	return false;
}

/* One table; false: it does not have the key. with_key: the key is shown, too. */
static bool ask_table(struct run *r, struct table *t, const char *key, size_t klen, bool with_key)
{
	struct lookup found;
	struct arena *a = r->q->arena;
	bool fold = r->q->fold && !(table_flags(t) & OST_TABLE_WHOLE_KEYS);
	const char *asked = fold ? table_fold(a, key) : key;
	enum ost_found result =
		key_is_text(r, table_name(t), key) ? table_lookup(t, a, asked, klen, &found) : OST_NOTFOUND;
	if (result == OST_NOTFOUND)
		return false;
	if (result != OST_FOUND)
		log_fatal("table %s: query error: %s", found.table, found.why.text);
	if (!decode(r, found.table, key, found.value, found.len))
		log_fatal("table %s: query error", shown_name(a, found.table));
	if (found.len == 0)
		warn_of_empty_value(with_key ? shown_name(a, found.table) : found.table, key);
	print(key, with_key ? klen : 0, with_key ? r->q->separator : "", &r->decoded);
	return true;
}

/* The first table that has the key shows it. */
static void ask(struct run *r, const char *key, size_t klen, bool with_key)
{
	arena_reset(r->q->arena);
	for (size_t i = 0; r->tables[i]; i++) {
		if (ask_table(r, r->tables[i], key, klen, with_key)) {
			r->any = true;
			return;
		}
	}
}

static void ask_part(void *ctx, const char *key, size_t len)
{
	ask(ctx, key, len, true);
}

static void ask_input(struct run *r)
{
	struct map_input in = { 0 };
	size_t len;
	if (r->q->message)
		map_message_each(&in, r->q->message, ask_part, r);
	else
		for (const char *line = map_input_line(&in, &len); line; line = map_input_line(&in, &len))
			ask(r, line, strlen(line), true);
	map_input_free(&in);
}

int map_query_key(struct map_query *q, const char *key)
{
	struct run r = { .q = q, .tables = open_tables(q, q->count) };
	if (strcmp(key, "-") == 0)
		ask_input(&r);
	else
		ask(&r, key, strlen(key), false);
	free(r.tables);
	buf_free(&r.decoded);
	return r.any ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- lists --------------------------------------------------------------------------------------------------------- */

static bool show_entry(void *ctx, const char *key, size_t klen, const char *value, size_t vlen)
{
	struct run *r = ctx;
	if (vlen == 0)
		warn_of_empty_value(table_name(r->tables[0]), key);
	if (decode(r, table_name(r->tables[0]), key, value, vlen))
		print(key, klen, r->q->separator, &r->decoded);
	return true;
}

int map_query_list(struct map_query *q)
{
	struct run r = { .q = q, .tables = open_tables(q, 1) };
	struct ost_why why;
	if (!table_can_walk(r.tables[0]))
		log_fatal("table %s: sequence operation is not supported",
			  shown_name(q->arena, table_name(r.tables[0])));
	struct arena *a = arena_new(); /* emptied before each entry */
	if (!table_walk(r.tables[0], a, show_entry, &r, &why))
		log_fatal("%s", why.text);
	arena_destroy(&a);
	free(r.tables);
	buf_free(&r.decoded);
	return EXIT_SUCCESS;
}
