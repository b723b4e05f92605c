/* SPDX-License-Identifier: Apache-2.0
 * Open tables: one handle per process and text, a stand-in where a table cannot be opened, and what happens when a file
 * that a table is made of changes. */
#include "table/handle.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "module/answer.h"
#include "module/enter.h"
#include "module/module.h"
#include "ostler/host.h"
#include "table/maps.h"
#include "table/match.h"
#include "table/remote.h"

#define TABLE_MAGIC 0x7461626cu
enum {
	COMPLAIN_SECONDS = 1,
	REMOTE_SECONDS = 10, /* how long the start waits for proxymap */
	OPEN_DEPTH = MOD_DEPTH - 3, /* tables that open tables: looked up from within other modules, there is room for them */
};

struct use { /* a table that asks this one */
	struct use *next;
	struct table *by;
};

struct table {
	unsigned magic;
	struct table *next;
	char *text;       /* as it was written: "proxy:hash:/etc/x"; the key of the handle */
	const char *name; /* without "proxy:" */
	bool remote;      /* proxymap is asked: there is never an instance */
	atomic_bool known; /* remote: its flags are */
	const struct cfg_view *view;
	const struct mod_provider *provider; /* NULL: the type is not there */
	const struct ost_table_ops *ops;
	atomic_uint flags;                     /* of the instance, when there is one */
	struct mod_instance *_Atomic instance; /* NULL: a stand-in. Replaced by table_reopen_all() alone */
	pthread_mutex_t why_lock;              /* guards why */
	struct ost_why why;                    /* of the stand-in */
	_Atomic int64_t complained;            /* clock_mono() of the last line about the stand-in */
	atomic_uint_fast64_t version;          /* raised when what it, or one that it asks, holds is replaced */
	struct use *uses;
	unsigned height; /* how many tables are nested below it */
};

/* Guards the list; held while a table is opened or reopened. Recursive: a table's parameters may name other tables. */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static struct table *tables;
static struct table *opening; /* the one whose open() runs: what is opened meanwhile is asked by it */

/* ---- who asks whom ---------------------------------------------------------------------------------------------- */

/* Lock held. */
static void note_use(struct table *t, struct table *by)
{
	if (!by || by == t)
		return;
	if (by->height <= t->height)
		by->height = t->height + 1;
	for (const struct use *u = t->uses; u; u = u->next)
		if (u->by == by)
			return;
	struct use *u = MEM_NEW(struct use);
	*u = (struct use){ t->uses, by };
	t->uses = u;
}

static void forget_uses(struct table *t)
{
	while (t->uses) {
		struct use *u = t->uses;
		t->uses = u->next;
		free(u);
	}
}

static void replace_instance(struct table *t, unsigned depth);

/* The table is not what it was: nor are those that ask it. Where its flags are others, theirs may be, too. Lock held. */
static void content_changed(struct table *t, bool flags, unsigned depth)
{
	atomic_fetch_add(&t->version, 1);
	for (const struct use *u = t->uses; u && depth < MOD_DEPTH; u = u->next) {
		if (flags)
			replace_instance(u->by, depth + 1);
		content_changed(u->by, false, depth + 1);
	}
}

/* ---- opening --------------------------------------------------------------------------------------------------- */

/* Splits "type:rest"; false with Postfix's words. */
static bool split_type(const char *text, char *type, size_t size, const char **rest, struct ost_why *why)
{
	size_t len = strcspn(text, ":");
	if (!text[len] || len == 0 || len >= size)
		return why_set(why, "open dictionary: expecting \"type:name\" form instead of \"%s\"", text);
	memcpy(type, text, len);
	type[len] = '\0';
	*rest = text + len + 1;
	return true;
}

static void too_deep(struct ost_why *why, const struct table *t)
{
	why_set(why, "%.100s: tables that ask tables are nested too deep", t->name);
}

/* Opens an instance for the handle: its first one, or a fresh one. */
static struct mod_instance *open_instance(struct table *t, struct ost_why *why)
{
	char type[64];
	const char *rest = "";
	if (!split_type(t->name, type, sizeof type, &rest, why))
		return NULL;
	if (mod_depth() >= OPEN_DEPTH) {
		too_deep(why, t);
		return NULL;
	}
	if (!t->provider) {
		struct ost_why inner = { "" };
		t->provider = mod_find(OST_KIND_TABLE, type, &inner);
		if (!t->provider) {
			why_set(why, "unsupported dictionary type: %s (%s)", type, inner.text);
			return NULL;
		}
		t->ops = (const struct ost_table_ops *)t->provider->ops;
		atomic_store(&t->flags, t->provider->ops->flags);
	}
	struct table *outer = opening;
	opening = t;
	struct mod_instance *in = mod_open(t->provider, t->view, rest, why);
	opening = outer;
	if (in && t->height >= OPEN_DEPTH) { /* what is nested in it was there already */
		too_deep(why, t);
		mod_close(&in);
	}
	if (in)
		atomic_store(&t->flags, mod_flags(in));
	return in;
}

/* What proxymap says of the table; false with the reason. */
static bool open_remote(struct table *t, int64_t deadline, struct ost_why *why)
{
	struct remote_answer answer;
	struct lookup found = { 0 };
	if (remote_ask(t->name, NULL, NULL, 0, deadline, &found, &answer) != OST_FOUND)
		return answer.denied ? why_set(why, "proxymap service is not configured for table \"%s\"", t->name)
				     : why_set(why, "%s", found.why.text);
	atomic_store(&t->flags, answer.flags & ~OST_TABLE_IMMEDIATE);
	atomic_store(&t->known, true);
	return true;
}

static void set_why(struct table *t, const struct ost_why *why)
{
	pthread_mutex_lock(&t->why_lock);
	t->why = *why;
	pthread_mutex_unlock(&t->why_lock);
}

/* quiet: the caller tells what is wrong. */
static struct table *new_table(const struct cfg_view *view, const char *text, bool quiet)
{
	struct table *t = MEM_NEW(struct table);
	t->magic = TABLE_MAGIC;
	t->text = mem_strdup(text);
	t->name = t->text;
	while (strncmp(t->name, "proxy:", 6) == 0)
		t->name += 6;
	t->remote = t->name != t->text && remote_used();
	t->view = view;
	pthread_mutex_init(&t->why_lock, NULL);
	struct ost_why why = { "is being opened" };
	set_why(t, &why);
	t->next = tables; /* before it is opened: should it name itself, it finds the stand-in */
	tables = t;
	why.text[0] = '\0';
	struct mod_instance *in = NULL;
	if (!t->remote)
		in = open_instance(t, &why);
	else if (!remote_runs()) /* later, the first lookup does it */
		open_remote(t, clock_mono() + REMOTE_SECONDS * CLOCK_SECOND, &why);
	set_why(t, &why);
	if (why.text[0] && !quiet)
		log_error("%s", why.text);
	atomic_store(&t->instance, in);
	return t;
}

struct table *table_open(const struct cfg_view *view, const char *text, struct ost_why *why)
{
	pthread_mutex_lock(&lock);
	struct table *t = tables;
	while (t && strcmp(t->text, text) != 0)
		t = t->next;
	if (!t)
		t = new_table(view, text, why != NULL);
	note_use(t, opening);
	pthread_mutex_unlock(&lock);
	if (why) {
		pthread_mutex_lock(&t->why_lock);
		*why = t->why;
		pthread_mutex_unlock(&t->why_lock);
	}
	return t;
}

const char *table_name(const struct table *t)
{
	return t->name;
}

unsigned table_flags(const struct table *t)
{
	return atomic_load_explicit(&t->flags, memory_order_relaxed);
}

uint64_t table_version(const struct table *t)
{
	return atomic_load_explicit(&t->version, memory_order_acquire);
}

/* ---- asking ---------------------------------------------------------------------------------------------------- */

/* May a line about the table be logged now? Not more than once a second. */
static bool may_complain(struct table *t)
{
	int64_t now = clock_mono(), last = atomic_load(&t->complained);
	return (last == 0 || now - last >= COMPLAIN_SECONDS * CLOCK_SECOND) &&
	       atomic_compare_exchange_strong(&t->complained, &last, now);
}

/* The stand-in's answer: never "not found". Logged at each use. */
static enum ost_found stand_in(struct table *t, struct lookup *found)
{
	pthread_mutex_lock(&t->why_lock);
	found->why = t->why;
	pthread_mutex_unlock(&t->why_lock);
	if (may_complain(t))
		log_warning("%s is unavailable. %s", t->name, found->why.text);
	return OST_TEMPFAIL;
}

static enum ost_found ask_remote(struct table *t, struct arena *a, const char *key, size_t klen, int64_t deadline,
				 struct lookup *found)
{
	struct remote_answer answer;
	if (!atomic_load(&t->known)) {
		if (!open_remote(t, deadline, &found->why)) {
			if (may_complain(t))
				log_warning("%s", found->why.text);
			return OST_TEMPFAIL;
		}
		if (table_flags(t) & OST_TABLE_WHOLE_KEYS) { /* the asker did not know: the key is not what it should be */
			why_set(&found->why, "is being opened");
			return OST_TEMPFAIL;
		}
	}
	enum ost_found result = remote_ask(t->name, a, key, klen, deadline, found, &answer);
	if (result == OST_FOUND || result == OST_NOTFOUND)
		atomic_store(&t->flags, answer.flags & ~OST_TABLE_IMMEDIATE);
	if (answer.denied)
		why_set(&found->why, "proxymap service is not configured for table \"%s\"", t->name);
	return result;
}

/* A module's answer is checked before anybody relies on it. */
static enum ost_found checked(enum ost_found result, const struct ost_answer *answer, struct lookup *found)
{
	if (result == OST_FOUND && answer->value) {
		found->value = answer->value;
		found->len = answer->len;
		return OST_FOUND;
	}
	if (result == OST_NOTFOUND || result == OST_TEMPFAIL || result == OST_BADTABLE)
		return result;
	why_set(&found->why, result == OST_FOUND ? "found, but the module gave no value" : "the module answered %d",
		(int)result);
	return OST_BADTABLE;
}

enum ost_found table_lookup(struct table *t, struct arena *a, const char *key, size_t klen, struct lookup *found)
{
	return table_lookup_until(t, a, key, klen, mod_deadline(1), found);
}

enum ost_found table_lookup_until(struct table *t, struct arena *a, const char *key, size_t klen,
				  int64_t deadline, struct lookup *found)
{
	CHECK_MAGIC(t, TABLE_MAGIC);
	found->value = NULL;
	found->len = 0;
	found->table = t->name;
	found->why.text[0] = '\0';
	if (mod_depth() >= MOD_DEPTH - 1) {
		why_set(&found->why, "tables that ask tables are nested too deep");
		return OST_TEMPFAIL;
	}
	if (t->remote)
		return ask_remote(t, a, key, klen, deadline, found);
	struct mod_instance *in = mod_enter_shared(&t->instance, "lookup", deadline);
	if (!in)
		return stand_in(t, found);
	struct ost_answer answer = { .arena = a, .why = &found->why };
	struct ost_query query = { .size = sizeof query, .key = key, .klen = klen, .deadline = deadline };
	enum ost_found result = t->ops->lookup(mod_self(in), &query, &answer);
	mod_leave(in);
	return checked(result, &answer, found);
}

bool table_can_walk(const struct table *t)
{
	return t->ops && t->ops->walk;
}

bool table_walk(struct table *t, struct arena *a, table_entry_fn *each, void *ctx, struct ost_why *why)
{
	CHECK_MAGIC(t, TABLE_MAGIC);
	if (t->remote)
		return why_set(why, "%s: a table that proxymap is asked for cannot be listed", t->name);
	struct mod_instance *in = mod_enter_shared(&t->instance, "walk", CLOCK_NEVER);
	if (!in) {
		struct lookup found;
		stand_in(t, &found);
		return why_set(why, "%s", found.why.text);
	}
	if (!t->ops->walk) {
		mod_leave(in);
		return why_set(why, "%s: this type of table cannot be listed", t->name);
	}
	struct ost_cursor *cursor = NULL;
	enum ost_found result = OST_FOUND;
	bool more = true;
	struct ost_why inner = { "" };
	while (more) {
		arena_reset(a);
		struct ost_answer key = { .arena = a, .why = &inner }, value = { .arena = a, .why = &inner };
		result = t->ops->walk(mod_self(in), &cursor, &key, &value);
		more = result == OST_FOUND && key.value && value.value &&
		       each(ctx, key.value, key.len, value.value, value.len);
	}
	if (cursor && t->ops->cursor_free)
		t->ops->cursor_free(mod_self(in), cursor);
	mod_leave(in);
	return result >= OST_NOTFOUND || why_set(why, "%s: %s", t->name, inner.text[0] ? inner.text : "cannot be listed");
}

/* ---- changes of files ------------------------------------------------------------------------------------------ */

/* Puts a fresh instance in place of the present one, which is closed when the last thread has left it. depth: of the
 * tables whose change is the reason. */
static void replace_instance(struct table *t, unsigned depth)
{
	struct ost_why why = { "" };
	unsigned flags = table_flags(t);
	struct mod_instance *old = atomic_load(&t->instance), *fresh = open_instance(t, &why);
	if (!fresh) {
		if (old)
			log_warning("%s is not reopened, its old content stays in use: %s", t->name, why.text);
		else
			set_why(t, &why);
		return;
	}
	why.text[0] = '\0';
	set_why(t, &why);
	atomic_store(&t->instance, fresh);
	mod_retire(&old);
	content_changed(t, !old || flags != table_flags(t), depth);
}

static void reopen(struct table *t)
{
	struct mod_instance *in = atomic_load(&t->instance);
	if (t->remote || (in && !mod_files_changed(in)))
		return;
	if (!in || !t->ops->reopen) {
		replace_instance(t, 0);
		return;
	}
	struct ost_why why = { "" };
	mod_enter(in, "reopen", mod_deadline(1));
	bool ok = t->ops->reopen(mod_self(in), &why);
	mod_leave(in);
	if (ok)
		content_changed(t, false, 0);
	else
		log_warning("%s is not reopened, its old content stays in use: %s", t->name, why.text);
}

void table_reopen_all(void)
{
	pthread_mutex_lock(&lock);
	for (struct table *t = tables; t; t = t->next)
		reopen(t);
	pthread_mutex_unlock(&lock);
	struct mod_instance *none = NULL;
	mod_retire(&none);
}

/* proxymap has opened it anew. */
static void remote_changed(const char *name)
{
	pthread_mutex_lock(&lock);
	for (struct table *t = tables; t; t = t->next)
		if (t->remote && strcmp(t->name, name) == 0)
			content_changed(t, false, 0);
	pthread_mutex_unlock(&lock);
}

void table_proxy_init(table_connect_fn *connect, void *ctx)
{
	remote_init(connect, ctx, remote_changed);
}

bool table_proxy_run(struct ost_why *why)
{
	return remote_run(why);
}

void table_files_each(void (*each)(void *ctx, const char *path), void *ctx)
{
	pthread_mutex_lock(&lock);
	for (struct table *t = tables; t; t = t->next) {
		struct mod_instance *in = atomic_load(&t->instance);
		if (in)
			mod_files_each(in, each, ctx);
	}
	pthread_mutex_unlock(&lock);
}

/* Does `by` ask t, by itself or through others? Lock held. */
static bool asks(const struct table *by, const struct table *t, unsigned depth)
{
	if (by == t)
		return true;
	for (const struct use *u = t->uses; u && depth < MOD_DEPTH; u = u->next)
		if (asks(by, u->by, depth + 1))
			return true;
	return false;
}

void table_sockets_each(struct table *by, void (*each)(void *ctx, const char *path), void *ctx)
{
	pthread_mutex_lock(&lock);
	for (const struct table *t = tables; t; t = t->next) {
		const struct mod_instance *in = atomic_load(&t->instance);
		if (in && t->name == t->text && asks(by, t, 0))
			mod_sockets_each(in, each, ctx);
	}
	pthread_mutex_unlock(&lock);
}

void table_close_all(void)
{
	remote_end();
	maps_close_all();
	match_close_all();
	pthread_mutex_lock(&lock);
	while (tables) {
		struct table *t = tables;
		tables = t->next;
		struct mod_instance *in = atomic_load(&t->instance);
		mod_close(&in);
		pthread_mutex_destroy(&t->why_lock);
		t->magic = 0;
		forget_uses(t);
		free(t->text);
		free(t);
	}
	pthread_mutex_unlock(&lock);
}
