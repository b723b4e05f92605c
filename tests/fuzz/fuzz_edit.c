/* SPDX-License-Identifier: Apache-2.0
 * What postconf edits and reads beside main.cf: a byte that chooses what is done, a request up to the first
 * newline, and a text: master.cf, or a file of bounce templates. An entry that is read, printed and read
 * again is the same. */
#include <stdlib.h>
#include <string.h>

#include "bounce/template.h"
#include "config/edit.h"

/* The line as an entry, printed and read again. */
static void check_entry(struct arena *arena, const char *line)
{
	struct master_entry e, again;
	struct buf text = BUF_INIT, second = BUF_INIT;
	struct ost_why why;
	if (strpbrk(line, "{}") || !master_entry_read(arena, line, &e, &why))
		return; /* braces within words may come out as others */
	master_entry_print(&text, &e, false);
	if (!master_entry_read(arena, buf_str(&text), &again, &why))
		abort();
	master_entry_print(&second, &again, false);
	if (strcmp(buf_str(&text), buf_str(&second)) != 0)
		abort();
	buf_free(&text);
	buf_free(&second);
}

static void edit(struct arena *arena, unsigned choice, const char *request, const char *text, size_t len)
{
	enum edit_level level = (enum edit_level)(choice % 3);
	enum edit_action action = (enum edit_action)(choice / 3 % 3);
	struct edit_master_request r;
	struct buf out = BUF_INIT;
	struct ost_why why;
	if (level == EDIT_FIELD)
		action = EDIT_SET;
	if (level == EDIT_OPTION && action == EDIT_COMMENT)
		action = EDIT_REMOVE;
	if (edit_master_requests_read(arena, level, action, &request, 1, &r, &why))
		edit_master_cf(text, len, level, action, &r, 1, true, &out, &why);
	buf_free(&out);
}

static void ignore(void *ctx, const char *text)
{
	(void)ctx;
	(void)text;
}

static void templates(struct arena *arena, const char *text, size_t len)
{
	struct bounce_template list[TEMPLATE_COUNT];
	struct buf out = BUF_INIT;
	template_defaults(list);
	template_read(arena, "fuzz", text, len, list, ignore, NULL);
	for (int i = 0; i < TEMPLATE_COUNT; i++)
		template_print(&out, (enum template_kind)i, &list[i]);
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct arena *arena = arena_new();
	const char *all = arena_strndup(arena, (const char *)data + 1, size - 1);
	const char *nl = memchr(all, '\n', size - 1);
	size_t first = nl ? (size_t)(nl - all) : size - 1;
	const char *request = arena_strndup(arena, all, first), *text = nl ? nl + 1 : all + first;
	size_t len = (size_t)(all + size - 1 - text);
	check_entry(arena, request);
	edit(arena, data[0], request, text, len);
	templates(arena, text, len);
	arena_destroy(&arena);
	return 0;
}
