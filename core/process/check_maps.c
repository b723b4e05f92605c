/* SPDX-License-Identifier: Apache-2.0 */
#include "process/check_maps.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "config/param.h"
#include "module/module.h"
#include "table/table.h"

/* Parameters whose value is, or may hold, tables: by the end of their name. */
static const char *const endings[] = { "_maps",         "_checks",    "_domains", "_restrictions",
				       "mydestination", "mynetworks", "_clients", "_exceptions",
				       "_users",        "_classes" };

struct checking {
	struct arena *arena;
	check_tell_fn *tell;
	void *ctx;
};

static bool holds_tables(const char *name)
{
	size_t len = strlen(name);
	for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
		size_t end = strlen(endings[i]);
		if (len >= end && strcmp(name + len - end, endings[i]) == 0)
			return true;
	}
	return false;
}

/* Does the word look like "type:name", rather than like an address, a file or a port? */
static bool is_table(const char *word)
{
	size_t len = 0;
	if (!islower((unsigned char)word[0]))
		return false;
	while (islower((unsigned char)word[len]) || isdigit((unsigned char)word[len]) || word[len] == '_' ||
	       word[len] == '-')
		len++;
	return word[len] == ':' && word[len + 1] && word[len + 1] != ':' &&
	       strspn(word, "0123456789abcdef:") != strlen(word);
}

/* Words with a colon that name sockets of other programs. */
static bool is_socket(const char *word)
{
	return strncmp(word, "inet:", 5) == 0 ||
	       (strncmp(word, "unix:", 5) == 0 && strcmp(word, "unix:passwd.byname") != 0);
}

static void check_word(struct checking *k, const struct cfg_view *view, const char *param, const char *word)
{
	struct ost_why why = { "" };
	char type[64], text[800];
	while (strncmp(word, "proxy:", 6) == 0)
		word += 6;
	if (!is_table(word) || is_socket(word))
		return;
	snprintf(type, sizeof type, "%.*s", (int)strcspn(word, ":"), word);
	bool unknown = !mod_find(OST_KIND_TABLE, type, &why);
	if (!unknown)
		table_open(view, word, &why);
	if (!why.text[0])
		return;
	snprintf(text, sizeof text, "%s: %s: %s: %s", cfg_where(view, param), param, word, why.text);
	k->tell(k->ctx, unknown ? FINDING_FATAL : FINDING_WARNING, text);
}

static void check_view(struct checking *k, const struct cfg_view *view)
{
	for (enum param_id id = 0; id < P_COUNT; id++) {
		const struct param *p = param_get(id);
		if (p->type != CFG_STR || !holds_tables(p->name) || !cfg_is_set(view, id))
			continue;
		for (const char **word = cfg_split(k->arena, cfg_str(view, id)); *word; word++)
			check_word(k, view, p->name, **word == '!' ? *word + 1 : *word);
	}
}

/* ---- services in a jail ------------------------------------------------------------------------------------------ */

struct jailed { /* one table of a service in a jail */
	struct checking *k;
	const struct service *service;
	const char *param, *word;
	bool told;
};

/* A socket that is not there in the jail either. */
static void check_socket(void *ctx, const char *path)
{
	struct jailed *j = ctx;
	char text[800], inside[1024];
	snprintf(inside, sizeof inside, "%s%s", cfg_str(j->service->view, P_queue_directory), path);
	if (j->told || access(inside, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR))
		return;
	j->told = true;
	snprintf(text, sizeof text,
		 "master.cf: line %d: service %s is in a jail (chroot), from where %s cannot be reached: "
		 "write proxy:%s in %s, or n in the "
		 "chroot column",
		 j->service->line, j->service->name, path, j->word, j->param);
	j->k->tell(j->k->ctx, FINDING_FATAL, text);
}

/* Whose parameters the service reads: smtpd and pickup do cleanup's work. */
static unsigned readers_of(const struct service *s)
{
	bool cleans = strcmp(s->command, "smtpd") == 0 || strcmp(s->command, "pickup") == 0;
	return daemon_bit(s->command) | (cleans ? BY_CLEANUP : 0);
}

static void check_jailed(struct checking *k, const struct service *s)
{
	for (enum param_id id = 0; id < P_COUNT; id++) {
		const struct param *p = param_get(id);
		if (p->type != CFG_STR || !holds_tables(p->name) || !(p->daemons & readers_of(s)))
			continue;
		for (const char **at = cfg_split(k->arena, cfg_str(s->view, id)); *at; at++) {
			const char *word = **at == '!' ? *at + 1 : *at;
			struct jailed j = { k, s, p->name, word, false };
			struct ost_why why = { "" };
			if (strncmp(word, "proxy:", 6) != 0 && is_table(word) && !is_socket(word))
				table_sockets_each(table_open(s->view, word, &why), check_socket, &j);
		}
	}
}

void check_maps(const struct config *c, check_tell_fn *tell, void *ctx)
{
	struct checking k = { .arena = arena_new(), .tell = tell, .ctx = ctx };
	const struct service *const *list;
	size_t n = config_services(c, &list);
	check_view(&k, config_main_view(c));
	for (size_t i = 0; i < n; i++) {
		if (list[i]->overlay)
			check_view(&k, list[i]->view);
		if (list[i]->chroot && strcmp(list[i]->command, "proxymap") != 0)
			check_jailed(&k, list[i]);
	}
	arena_destroy(&k.arena);
}
