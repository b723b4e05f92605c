/* SPDX-License-Identifier: Apache-2.0 */
#include "module/instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "config/lines.h"
#include "module/enter.h"
#include "module/page.h"
#include "module/params.h"
#include "module/registry.h"
#include "ostler/host.h"

static pthread_mutex_t retired_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the two lists */
static struct mod_instance *retired; /* closed when nobody is inside any more */
static struct mod_instance *kept;    /* for their configuration alone, until the end of the process */

/* ---- parameters ------------------------------------------------------------------------------------------------ */

static const char *from_view(void *ctx, struct arena *a, const char *name)
{
	(void)a;
	const struct mod_instance *in = ctx;
	return in->view ? cfg_lookup(in->view, name) : NULL;
}

static const struct mod_listener *listener; /* of a process that checks: it has one thread */

void mod_listen(const struct mod_listener *l)
{
	listener = l;
}

/* Parameters of a table whose name is no path: NAME_parameter in main.cf. */
static const char *from_view_by_name(void *ctx, struct arena *a, const char *name)
{
	const struct mod_instance *in = ctx;
	const char *full = arena_printf(a, "%s_%s", in->name, name);
	if (listener)
		listener->asked(listener->ctx, full);
	return in->view ? cfg_lookup(in->view, full) : NULL;
}

/* ---- a table's own file ---------------------------------------------------------------------------------------- */

struct cf_file {
	const char *path;
	char *text;
	size_t len;
	const char *name; /* which was asked for last */
	int line;         /* of its value; 0: it is not set */
};

struct cf_line {
	const char *name, *value; /* name is not terminated */
	size_t nlen;
	int line;
};

static void odd(const char *path, int line, const char *what, const char *name, size_t len)
{
	char text[600];
	snprintf(text, sizeof text, "%s, line %d: %s%.*s", path, line, what, (int)(len < 100 ? len : 100), name);
	if (listener)
		listener->odd(listener->ctx, text);
	else
		log_warning("%s", text);
}

/* The next `name = value`; what is none is told, without its text: it may hold a password. */
static bool next_setting(struct lines *lines, const char *path, bool tell, struct cf_line *out)
{
	struct logical_line line;
	while (lines_next(lines, &line)) {
		size_t len = strcspn(line.text, " \t=");
		const char *at = line.text + len + strspn(line.text + len, " \t");
		if (!line.orphan && *at == '=' && len > 0) {
			at++;
			*out = (struct cf_line){ line.text, at + strspn(at, " \t"), len, line.line };
			return true;
		}
		if (tell)
			odd(path, line.line,
			    line.orphan ? "a line that starts with white space continues nothing"
					: "missing '=' after attribute name",
			    "", 0);
	}
	return false;
}

static bool is_called(const struct cf_line *l, const char *name)
{
	return strlen(name) == l->nlen && strncmp(l->name, name, l->nlen) == 0;
}

/* The last `name = value` of a table's own file wins; $ has no meaning there. */
static const char *from_cf_file(void *ctx, struct arena *a, const char *name)
{
	struct cf_file *file = ctx;
	const char *value = NULL;
	struct lines lines;
	struct cf_line l;
	file->name = name;
	file->line = 0;
	lines_open(&lines, file->text, file->len);
	while (next_setting(&lines, file->path, false, &l)) {
		if (!is_called(&l, name))
			continue;
		value = arena_strdup(a, l.value);
		file->line = l.line;
	}
	lines_close(&lines);
	return value;
}

/* Names that the table does not know, and lines that are none of its parameters. */
static void tell_unknown(const struct ost_param *params, const struct cf_file *file)
{
	struct lines lines;
	struct cf_line l;
	lines_open(&lines, file->text, file->len);
	while (next_setting(&lines, file->path, true, &l)) {
		const struct ost_param *p = params;
		while (p && p->name && !is_called(&l, p->name))
			p++;
		if (!p || !p->name)
			odd(file->path, l.line, "unused parameter: ", l.name, l.nlen);
	}
	lines_close(&lines);
}

/* What is wrong with one parameter is told with its line. */
static void tell_place(const struct cf_file *file, const char *text, struct ost_why *why)
{
	static const char start[] = "parameter ";
	size_t len = file->name ? strlen(file->name) : 0;
	bool its = file->name && strncmp(text, start, sizeof start - 1) == 0 && strncmp(text + sizeof start - 1, file->name, len) == 0;
	if (its && file->line > 0)
		why_set(why, "%s, line %d: %s", file->path, file->line, text);
	else
		why_set(why, "%s: %s", file->path, text);
}

/* A table's own file holds passwords: it is read by the core, with the same care as an index. */
static const void *config_from_file(struct mod_instance *in, struct ost_why *why)
{
	enum { CF_FILE_BYTES = 1 << 20 };
	struct cf_file file = { .path = in->name };
	struct ost_why inner = { "" };
	int fd = mod_host.file_open(&in->handle, in->name, "", why);
	if (fd < 0)
		return NULL;
	file.text = io_read_fd(fd, CF_FILE_BYTES, &file.len);
	io_close(&fd);
	if (!file.text) {
		why_errno(why, "read %s", in->name);
		return NULL;
	}
	tell_unknown(in->provider->ops->params, &file);
	const void *config = params_fill(in->provider->ops, in->view, from_cf_file, &file, in->arena, &inner);
	if (!config)
		tell_place(&file, inner.text, why);
	free(file.text);
	return config;
}

static bool fill_config(struct mod_instance *in, struct ost_why *why)
{
	const struct ost_ops *ops = in->provider->ops;
	struct ost_why inner = { "" };
	mod_note(in->provider->module, "config_check", mod_deadline(1));
	bool own_file = in->provider->kind == OST_KIND_TABLE && (ops->flags & OST_TABLE_CF_FILE);
	if (own_file && (in->name[0] == '/' || in->name[0] == '.'))
		in->config = config_from_file(in, &inner);
	else
		in->config = params_fill(ops, in->view, own_file ? from_view_by_name : from_view, in, in->arena, &inner);
	mod_note_end();
	return in->config || why_set(why, "%s", inner.text);
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

static struct mod_instance *new_instance(const struct mod_provider *provider, const struct cfg_view *view, const char *name)
{
	struct mod_instance *in = MEM_NEW(struct mod_instance);
	in->magic = MOD_INSTANCE_MAGIC;
	in->provider = provider;
	in->view = view;
	in->arena = arena_new();
	in->name = arena_strdup(in->arena, name);
	in->flags = provider->ops->flags;
	in->serial = provider->ops->flags & OST_SERIAL;
	in->handle.core = in;
	in->page_module = page_module(provider->module);
	pthread_mutex_init(&in->serial_lock, NULL);
	pthread_mutex_init(&in->files_lock, NULL);
	return in;
}

static void free_instance(struct mod_instance *in)
{
	pthread_mutex_destroy(&in->serial_lock);
	pthread_mutex_destroy(&in->files_lock);
	arena_destroy(&in->arena);
	in->magic = 0;
	free(in);
}

/* Takes an instance from its name to an opened one. */
static struct mod_instance *open_instance(struct mod_instance *in, struct ost_why *why)
{
	const struct mod_provider *provider = in->provider;
	struct ost_why inner = { "" };
	bool ok = fill_config(in, why);
	if (ok && provider->ops->open) {
		mod_enter(in, "open", mod_deadline(1));
		ok = provider->ops->open(&in->handle, in->config, &in->self, &inner);
		mod_leave(in);
		if (!ok)
			why_set(why, "%s", inner.text[0] ? inner.text : "no reason given");
	}
	in->opened = ok;
	if (!ok)
		mod_close(&in);
	return in;
}

struct mod_instance *mod_open(const struct mod_provider *provider, const struct cfg_view *view, const char *name,
			      struct ost_why *why)
{
	return open_instance(new_instance(provider, view, name), why);
}

struct mod_instance *mod_open_cache(const struct mod_provider *provider, const struct cfg_view *view, const char *name,
				    struct ost_why *why)
{
	struct mod_instance *in = new_instance(provider, view, name);
	in->cache = true;
	return open_instance(in, why);
}

void mod_close(struct mod_instance **inp)
{
	struct mod_instance *in = *inp;
	if (!in)
		return;
	CHECK_MAGIC(in, MOD_INSTANCE_MAGIC);
	if (in->opened && in->provider->ops->close) {
		mod_enter(in, "close", mod_deadline(1));
		in->provider->ops->close(in->self);
		mod_leave(in);
	}
	free_instance(in);
	*inp = NULL;
}

void mod_retire(struct mod_instance **inp)
{
	struct mod_instance *in = *inp;
	*inp = NULL;
	pthread_mutex_lock(&retired_lock);
	if (in) {
		in->next = retired;
		retired = in;
	}
	for (struct mod_instance **at = &retired; *at;) {
		struct mod_instance *old = *at;
		if (mod_inside(old)) {
			at = &old->next;
			continue;
		}
		*at = old->next;
		mod_close(&old);
	}
	pthread_mutex_unlock(&retired_lock);
}

void mod_instances_shutdown(void)
{
	struct mod_instance *none = NULL;
	mod_retire(&none);
	pthread_mutex_lock(&retired_lock);
	while (kept) {
		struct mod_instance *in = kept;
		kept = in->next;
		mod_close(&in);
	}
	pthread_mutex_unlock(&retired_lock);
	mod_threads_shutdown();
}

/* ---- access ---------------------------------------------------------------------------------------------------- */

void *mod_self(const struct mod_instance *in)
{
	return in->self;
}

const struct ost_ops *mod_ops(const struct mod_instance *in)
{
	return in->provider->ops;
}

uint32_t mod_flags(const struct mod_instance *in)
{
	return in->flags;
}

const char *mod_name(const struct mod_instance *in)
{
	return in->provider->module;
}

const void *mod_config(const struct mod_instance *in)
{
	return in->config;
}

struct ost_instance *mod_handle(struct mod_instance *in)
{
	return &in->handle;
}

const struct cfg_view *mod_handle_view(const struct ost_instance *handle)
{
	return handle->core->view;
}

const void *mod_config_only(const struct mod_provider *provider, const struct cfg_view *view, const char *name,
			    struct ost_why *why)
{
	struct mod_instance *in = new_instance(provider, view, name);
	if (!fill_config(in, why)) {
		mod_close(&in);
		return NULL;
	}
	const void *config = in->config;
	pthread_mutex_lock(&retired_lock);
	in->next = kept;
	kept = in;
	pthread_mutex_unlock(&retired_lock);
	return config;
}
