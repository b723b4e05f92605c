/* SPDX-License-Identifier: Apache-2.0 */
#include "process/mentions.h"

#include <string.h>

#include "base/arena.h"
#include "config/param.h"

static const char *const suffixes[] = { "", ".db", ".cdb", ".lmdb", ".dir", ".pag" };

static bool is_before(char c)
{
	return strchr(" \t\r\n,:={(", c) != NULL;
}

static bool is_behind(char c)
{
	return strchr(" \t\r\n,})", c) != NULL; /* the end as well */
}

/* The first len bytes of path as a word of its own in value. */
static bool has_word(const char *value, const char *path, size_t len)
{
	for (const char *at = strchr(value, path[0]); at; at = strchr(at + 1, path[0])) {
		if (strncmp(at, path, len) == 0 && (at == value || is_before(at[-1])) && is_behind(at[len]))
			return true;
	}
	return false;
}

bool value_mentions(const char *value, const char *path)
{
	size_t len = strlen(path);
	for (size_t i = 0; path[0] == '/' && i < sizeof suffixes / sizeof suffixes[0]; i++) {
		size_t n = strlen(suffixes[i]);
		if (len > n && strcmp(path + len - n, suffixes[i]) == 0 && has_word(value, path, len - n))
			return true;
	}
	return false;
}

static bool class_mentions(const struct cfg_view *view, const char *path)
{
	struct arena *a = arena_new();
	bool found = false;
	for (const char **name = cfg_split(a, cfg_str(view, P_smtpd_restriction_classes)); *name && !found;
	     name++) {
		const char *value = cfg_lookup(view, *name);
		found = value && value_mentions(value, path);
	}
	arena_destroy(&a);
	return found;
}

static bool view_mentions(const struct cfg_view *view, const char *path)
{
	for (enum param_id id = 0; id < P_COUNT; id++) {
		if (param_get(id)->type == CFG_STR && value_mentions(cfg_str(view, id), path))
			return true;
	}
	return class_mentions(view, path);
}

bool config_mentions(const struct config *c, const char *path)
{
	const struct service *const *list;
	size_t n = config_services(c, &list);
	bool found = view_mentions(config_main_view(c), path);
	for (size_t i = 0; i < n && !found; i++)
		found = list[i]->overlay && view_mentions(list[i]->view, path);
	return found;
}
