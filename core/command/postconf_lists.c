/* SPDX-License-Identifier: Apache-2.0
 * postconf -m, -a, -A, -l and -T: what there is to choose from. */
#include <stdlib.h>
#include <string.h>

#include "command/postconf.h"
#include "command/unprivileged.h"
#include "module/module.h"

/* What is being listed. */
struct listing {
	const struct postconf *p;
	const char *kind; /* of modules.cf */
	const char **words;
	size_t count;
};

static const struct {
	char mode;
	const char *kind; /* NULL: no modules */
} lists[] = {
	{ 'm', "table" },
	{ 'a', "auth" },
	{ 'A', "auth-client" },
};

static int show(const struct listing *l)
{
	if (l->p->json)
		return postconf_json_list(l->p, l->words, l->count);
	for (size_t i = 0; i < l->count; i++)
		fprintf(l->p->out, "%s\n", l->words[i]);
	return fflush(l->p->out) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void add(struct listing *l, const char *word)
{
	l->words[l->count++] = arena_strdup(l->p->arena, word);
}

/* mod_survey(): what is declared and can be loaded; what cannot is said. */
static void add_module(void *ctx, const struct mod_report *r)
{
	struct listing *l = ctx;
	if (strcmp(module_kind_name(r->line->kind), l->kind) != 0)
		return;
	if (r->ok)
		add(l, r->line->name);
	else
		postconf_warn(l->p, "%s: %s %s is left out: %s", r->line->where, l->kind, r->line->name,
			      r->why.text);
}

/* As the mail owner, since modules are never loaded by root. */
static bool survey(struct listing *l, const struct config *c)
{
	struct ost_why why = { "" };
	bool root = command_is_root();
	if (!command_become_mail_owner(config_main_view(c), &why))
		return postconf_fatal(l->p, "%s", why.text), false;
	mod_init(c);
	if (root)
		mod_trust_user(0);
	mod_survey(add_module, l);
	mod_shutdown();
	return true;
}

static int list_modules(const struct postconf *p, const char *kind)
{
	const struct module_line *const *lines;
	struct findings *findings = findings_new();
	struct config *c = config_read(p->folder, NULL, findings);
	findings_destroy(&findings);
	if (!c)
		return postconf_fatal(p, "open %s/main.cf: no configuration can be read there", p->folder);
	size_t n = config_modules(c, &lines);
	struct listing l = { .p = p,
			     .kind = kind,
			     .words = arena_alloc(p->arena, (n + 2) * sizeof *l.words) };
	if (p->mode == 'm')
		add(&l, "proxy"); /* the core's own */
	bool ok = survey(&l, c);
	config_destroy(&c);
	return ok ? show(&l) : EXIT_FAILURE;
}

static int list_locks(const struct postconf *p)
{
	const char *locks[] = { "flock", "fcntl", "dotlock" };
	struct listing l = { .p = p, .words = locks, .count = sizeof locks / sizeof *locks };
	return show(&l);
}

/* As a Postfix that was built without TLS does, each mode shows nothing. */
static int list_tls(const struct postconf *p)
{
	static const char *const tls_modes[] = { "compile-version", "run-version", "public-key-algorithms" };
	size_t i = 0, n = sizeof tls_modes / sizeof *tls_modes;
	while (i < n && strcmp(tls_modes[i], p->tls_mode) != 0)
		i++;
	if (i == n)
		postconf_warn(p, "unknown 'postconf -T' mode: %s", p->tls_mode);
	else
		postconf_warn(p, "TLS is not built in");
	return i < n ? EXIT_SUCCESS : EXIT_FAILURE;
}

int postconf_list(const struct postconf *p)
{
	if (p->mode == 'l')
		return list_locks(p);
	if (p->mode == 'T')
		return list_tls(p);
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		if (lists[i].mode == p->mode)
			return list_modules(p, lists[i].kind);
	return EXIT_FAILURE;
}
