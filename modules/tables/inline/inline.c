/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `inline`: a small table in the configuration itself, inline:{ key=value, { key = text with spaces } }. */
#include <stdlib.h>
#include <string.h>

#include "ostler/host.h"
#include "shared/braces.h"
#include "shared/text_record.h"
#include "shared/textmap.h"

static const struct ost_host *host;

static bool inline_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

static bool flaw(struct ost_why *why, const char *text, const char *name)
{
	return host->why(why, "%s: \"inline:%s\"; need \"inline:{name=value...}\"", text, name);
}

static char *trim(char *s)
{
	static const char space[] = " \t\r\n\v\f";
	s += strspn(s, space);
	size_t len = strlen(s);
	while (len > 0 && strchr(space, s[len - 1]))
		len--;
	s[len] = '\0';
	return s;
}

/* "key=value" or "{ key = value }" into the map; a later key replaces an earlier one. */
static bool add_item(struct textmap *map, char *item, const char *name, struct ost_why *why)
{
	if (!braces_strip(&item))
		return flaw(why, "syntax error after '}'", name);
	char *equals = strchr(item, '=');
	if (!equals)
		return flaw(why, "missing '=' after attribute name", name);
	*equals = '\0';
	char *key = trim(item), *value = trim(equals + 1);
	if (!*key)
		return flaw(why, "missing attribute name", name);
	text_record_fold(key, strlen(key));
	if (textmap_put(map, key, strlen(key), value, strlen(value), true) == TEXTMAP_NO_MEMORY)
		return host->why(why, "out of memory");
	return true;
}

/* All items of the text between the outer braces; at least one. */
static bool add_items(struct textmap *map, char *content, const char *name, struct ost_why *why)
{
	size_t count = 0;
	for (char *at = content, *item; (item = braces_item(&at)); count++)
		if (!add_item(map, item, name, why))
			return false;
	return count > 0 || flaw(why, "empty table", name);
}

static bool inline_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	const char *name = host->instance_name(instance);
	char *content = strcmp(name, "{}") != 0 ? braces_content(name) : NULL;
	if (!content)
		return flaw(why, "bad syntax", name);
	struct textmap *map = textmap_new();
	bool ok = map ? add_items(map, content, name, why) : host->why(why, "out of memory");
	free(content);
	if (ok)
		*self = map;
	else
		textmap_free(map);
	return ok;
}

static void inline_close(void *self)
{
	textmap_free(self);
}

static enum ost_found inline_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	return textmap_lookup(host, self, query, answer);
}

static enum ost_found inline_walk(void *self, struct ost_cursor **cursor, struct ost_answer *key, struct ost_answer *value)
{
	return textmap_walk(host, self, cursor, key, value);
}

static void inline_cursor_free(void *self, struct ost_cursor *cursor)
{
	(void)self;
	free(cursor);
}

static const struct ost_table_ops inline_ops = {
	.ops = {
		.size = sizeof inline_ops,
		.flags = OST_TABLE_IMMEDIATE,
		.open = inline_open,
		.close = inline_close,
	},
	.lookup = inline_lookup,
	.walk = inline_walk,
	.cursor_free = inline_cursor_free,
};

static const struct ost_provide inline_provides[] = {
	{ OST_KIND_TABLE, "inline", &inline_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(inline, .version = "1.0", .summary = "a small table in the configuration itself", .license = "Apache-2.0",
	   .provides = inline_provides, .load = inline_load);
