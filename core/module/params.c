/* SPDX-License-Identifier: Apache-2.0 */
#include "module/params.h"

#include <string.h>

#include "base/buf.h"
#include "config/expand.h"
#include "config/value.h"
#include "module/hosts.h"

/* One parameter that is being filled in. */
struct filling {
	const struct ost_param *param;
	const struct cfg_view *view;
	const char *text;
	void *place;
	struct ost_why *why;
};

static bool fill_string(const struct filling *f)
{
	*(const char **)f->place = f->text;
	return true;
}

/* Reads the text as main.cf's values are read, with the same bounds and words. */
static bool parse(const struct filling *f, enum cfg_type type, int64_t *value)
{
	const struct ost_param *p = f->param;
	const struct param like = { .name = p->name, .type = type, .min = p->min, .max = p->max };
	char unit = p->defval ? value_unit(p->defval) : 's';
	struct ost_why inner;
	bool ok = p->min || p->max ? value_parse(&like, unit, f->text, value, &inner)
				   : value_parse_type(type, unit, f->text, value, &inner);
	return ok || why_set(f->why, "parameter %s: %s", p->name, inner.text);
}

static bool fill_number(const struct filling *f)
{
	enum cfg_type type = f->param->type == OST_PARAM_TIME   ? CFG_TIME
			     : f->param->type == OST_PARAM_SIZE ? CFG_SIZE
								: CFG_INT;
	return parse(f, type, f->place);
}

static bool fill_bool(const struct filling *f)
{
	int64_t value;
	if (!parse(f, CFG_BOOL, &value))
		return false;
	*(bool *)f->place = value;
	return true;
}

static bool fill_tables(const struct filling *f)
{
	struct ost_tables *list = mod_tables()->open(f->view, f->text, NULL);
	const char *unsafe = f->param->flags & OST_PARAM_SAFE ? mod_tables()->guard(list) : NULL;
	if (unsafe)
		return why_set(f->why, "parameter %s: %s", f->param->name, unsafe);
	*(struct ost_tables **)f->place = list;
	return true; /* a table that cannot be opened answers "try again later" at each use, and says why */
}

static bool (*const fillers[])(const struct filling *) = {
	[OST_PARAM_STRING] = fill_string, [OST_PARAM_INT] = fill_number,  [OST_PARAM_BOOL] = fill_bool,
	[OST_PARAM_TIME] = fill_number,   [OST_PARAM_SIZE] = fill_number, [OST_PARAM_TABLES] = fill_tables,
};

static const char *lookup_in_view(void *ctx, const char *name)
{
	return cfg_lookup(ctx, name);
}

/* The default, with its names expanded from main.cf. */
static const char *default_text(const struct filling *f, struct arena *a)
{
	const struct ost_param *p = f->param;
	struct buf text = BUF_INIT;
	if (!p->defval || !strchr(p->defval, '$'))
		return p->defval;
	const char *result = NULL;
	if (expand(&text, p->name, p->defval, lookup_in_view, (void *)(uintptr_t)f->view, f->why))
		result = arena_strdup(a, buf_str(&text));
	buf_free(&text);
	return result;
}

static bool fill_one(struct filling *f, params_source_fn *source, void *ctx, struct arena *a)
{
	const struct ost_param *p = f->param;
	if ((size_t)p->type >= sizeof fillers / sizeof *fillers || !fillers[p->type])
		return why_set(f->why, "parameter %s: its type %d is not known", p->name, (int)p->type);
	f->text = source(ctx, a, p->name);
	if (!f->text && (p->flags & OST_PARAM_REQUIRED))
		return why_set(f->why, "parameter %s is required and not set", p->name);
	if (!f->text) {
		f->why->text[0] = '\0';
		f->text = default_text(f, a);
		if (!f->text && f->why->text[0])
			return false;
	}
	return !f->text || fillers[p->type](f);
}

const void *params_fill(const struct ost_ops *ops, const struct cfg_view *view, params_source_fn *source,
			void *ctx, struct arena *a, struct ost_why *why)
{
	struct ost_why unused;
	char *config = arena_alloc(a, ops->config_size);
	for (const struct ost_param *p = ops->params; p && p->name; p++) {
		struct filling f = {
			.param = p, .view = view, .place = config + p->offset, .why = why ? why : &unused
		};
		if (!fill_one(&f, source, ctx, a))
			return NULL;
	}
	if (ops->config_check && !ops->config_check(config, why))
		return NULL;
	return config;
}
