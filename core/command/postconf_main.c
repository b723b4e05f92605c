/* SPDX-License-Identifier: Apache-2.0
 * postconf: main.cf's parameters. */
#include <stdlib.h>
#include <string.h>

#include "command/postconf.h"

/* The folder is shown as the caller named it, and counts as set unless it is the default one. */
static const char *shown_folder(const struct postconf *p)
{
	bool usual = !strcmp(p->folder, OST_CONFDIR);
	if (p->defaults)
		return OST_CONFDIR;
	return usual && p->set_only ? NULL : p->folder;
}

static const char *shown_default(const struct postconf *p, const char *name)
{
	return p->defaults ? config_builtin_value(p->config, p->arena, name)
			   : config_default_value(p->config, name);
}

const char *postconf_value(const struct postconf *p, const char *name, const char **where)
{
	const char *set = p->defaults ? NULL : config_set_value(p->config, name);
	*where = set ? config_set_where(p->config, name) : "default";
	if (!set && !strcmp(name, "config_directory")) {
		const char *folder = shown_folder(p);
		*where = folder == p->folder ? "command line" : "default";
		return folder;
	}
	const char *value = set || p->set_only ? set : shown_default(p, name);
	if (value && p->expanded && !p->defaults)
		value = cfg_lookup(config_main_view(p->config), name);
	return value;
}

/* The names that are to be shown: those of the command line that mean something, or all. */
static size_t choose(const struct postconf *p, char **names, const char *const **list)
{
	const char **chosen;
	size_t n = 0;
	if (!*names)
		return config_names(p->config, p->defaults ? p->classes & ~(unsigned)NAMES_USER : p->classes,
				    p->arena, list);
	while (names[n])
		n++;
	chosen = arena_alloc(p->arena, (n + 1) * sizeof *chosen);
	n = 0;
	for (; *names; names++) {
		bool known = p->defaults ? config_default_value(p->config, *names) != NULL
					 : config_name_exists(p->config, *names);
		if (known)
			chosen[n++] = *names;
		else
			postconf_warn(p, "%s: unknown parameter", *names);
	}
	*list = chosen;
	return n;
}

int postconf_parameters(const struct postconf *p, char **names)
{
	const char *const *list;
	const char *where;
	size_t n = choose(p, names, &list);
	if (p->json)
		return postconf_json_parameters(p, list, n);
	for (size_t i = 0; i < n; i++) {
		const char *value = postconf_value(p, list[i], &where);
		if (value)
			postconf_print(p, list[i], value, where);
	}
	return EXIT_SUCCESS;
}
