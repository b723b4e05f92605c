/* SPDX-License-Identifier: Apache-2.0 */
#include "proxymap/approved.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sanitize.h"
#include "ipc/protocol.h"
#include "module/module.h"

#define PREFIX "proxy:"
enum {
	PREFIX_LEN = sizeof PREFIX - 1,
	COMPLAIN_SECONDS = 1,
	VALUE_MAX = IPC_BODY_MAX - 1024, /* longer ones do not fit into a message */
	NAME_LOG = 200,                  /* bytes of a refused name in the log */
};

struct entry { /* constant, but for version */
	char *name;
	struct table *table;
	uint64_t version; /* approved_changed()'s */
	UT_hash_handle hh;
};

struct approved {
	struct entry *entries;
	_Atomic int64_t complained; /* clock_mono() of the last line about a request that was refused */
};

/* ---- which tables --------------------------------------------------------------------------------------------------- */

static const char *without_prefix(const char *name)
{
	while (strncmp(name, PREFIX, PREFIX_LEN) == 0)
		name += PREFIX_LEN;
	return name;
}

static struct entry *find(const struct approved *p, const char *name)
{
	struct entry *e;
	HASH_FIND_STR(p->entries, name, e);
	return e;
}

static void add(struct approved *p, const struct cfg_view *view, const char *name)
{
	if (!strchr(name, ':') || find(p, name))
		return;
	struct entry *e = MEM_NEW(struct entry);
	e->name = mem_strdup(name);
	e->table = table_open(view, name, NULL);
	e->version = table_version(e->table);
	HASH_ADD_KEYPTR(hh, p->entries, e->name, strlen(e->name), e);
}

/* Is it one word, and not what was in a group's braces? */
static bool is_word(struct arena *a, const char *text)
{
	const char **items = cfg_split(a, text);
	return items[0] && !items[1] && strcmp(items[0], text) == 0;
}

/* Words with proxy: in front, in groups of { } as well; others (tables that are asked directly, restrictions) do not count. */
static void add_list(struct approved *p, const struct cfg_view *view, struct arena *a, const char *list)
{
	for (const char **word = cfg_split(a, list); *word; word++) {
		if (!is_word(a, *word))
			add_list(p, view, a, *word);
		else if (strncmp(*word, PREFIX, PREFIX_LEN) == 0)
			add(p, view, without_prefix(*word));
	}
}

struct approved *approved_open(const struct cfg_view *view)
{
	struct approved *p = MEM_NEW(struct approved);
	struct arena *a = arena_new();
	add_list(p, view, a, cfg_str(view, P_proxy_read_maps));
	arena_destroy(&a);
	return p;
}

void approved_close(struct approved **pp)
{
	struct approved *p = *pp;
	struct entry *e, *next;
	if (!p)
		return;
	HASH_ITER(hh, p->entries, e, next)
	{
		HASH_DEL(p->entries, e);
		free(e->name);
		free(e);
	}
	free(p);
	*pp = NULL;
}

size_t approved_count(const struct approved *p)
{
	return HASH_COUNT(p->entries);
}

bool approved_has(const struct approved *p, const char *name)
{
	return find(p, without_prefix(name)) != NULL;
}

void approved_changed(struct approved *p, void (*each)(void *ctx, const char *name), void *ctx)
{
	for (struct entry *e = p->entries; e; e = e->hh.next) {
		uint64_t version = table_version(e->table);
		if (version != e->version)
			each(ctx, e->name);
		e->version = version;
	}
}

/* ---- one question --------------------------------------------------------------------------------------------------- */

struct request {
	uint64_t id, deadline;
	const char *name;
	const char *key; /* NULL: the flags are asked for */
	size_t klen;
};

static bool read_request(struct request *r, struct arena *a, const void *body, size_t len)
{
	struct tlv_reader reader = tlv_read(body, len);
	struct tlv f;
	*r = (struct request){ .name = "" };
	while (tlv_next(&reader, &f)) {
		if (f.type == F_ID && !tlv_u64(&f, &r->id))
			return false;
		if (f.type == F_DEADLINE && !tlv_u64(&f, &r->deadline))
			return false;
		if (f.type == F_NAME)
			r->name = arena_strndup(a, f.data, f.len);
		if (f.type == F_KEY) {
			r->key = arena_strndup(a, f.data, f.len);
			r->klen = f.len;
		}
	}
	return !reader.bad && r->id != 0;
}

/* In Postfix's words. */
static void complain(struct approved *p, const char *name)
{
	int64_t now = clock_mono(), last = atomic_load(&p->complained);
	char clean[NAME_LOG];
	if ((last != 0 && now - last < COMPLAIN_SECONDS * CLOCK_SECOND) ||
	    !atomic_compare_exchange_strong(&p->complained, &last, now))
		return;
	sanitize_into(clean, sizeof clean, name, strlen(name), SANITIZE_LOG);
	log_warning("request for unapproved table: \"%s\"", clean);
	log_warning("to approve this table for read-only access, list proxy:%s in main.cf:proxy_read_maps",
		    clean);
}

static enum table_status status_of(enum ost_found result)
{
	switch (result) {
	case OST_FOUND:
		return TABLE_FOUND;
	case OST_NOTFOUND:
		return TABLE_NOTFOUND;
	case OST_TEMPFAIL:
		return TABLE_TEMPFAIL;
	case OST_BADTABLE:
		break;
	}
	return TABLE_BAD;
}

static enum table_status look_up(const struct entry *e, struct arena *a, const struct request *r,
				 struct lookup *found)
{
	int64_t deadline = mod_deadline(1), now = clock_mono();
	if (r->deadline < (uint64_t)deadline)
		deadline = (int64_t)r->deadline;
	if (deadline <= now) {
		why_set(&found->why, "no answer in time");
		return TABLE_TEMPFAIL;
	}
	enum ost_found result = table_lookup_until(e->table, a, r->key, r->klen, deadline, found);
	if (result == OST_FOUND && found->len > VALUE_MAX) {
		why_set(&found->why, "the value is too long to be passed on");
		return TABLE_BAD;
	}
	return status_of(result);
}

void approved_answer(struct approved *p, struct arena *a, const void *body, size_t len, struct ipc_link *link)
{
	struct request r;
	struct lookup found = { 0 };
	struct buf out = BUF_INIT;
	enum table_status status = TABLE_FOUND;
	if (!read_request(&r, a, body, len))
		return;
	const struct entry *e = find(p, without_prefix(r.name));
	if (!e) {
		complain(p, without_prefix(r.name));
		status = TABLE_DENIED;
	} else if (r.key) {
		status = look_up(e, a, &r, &found);
	}
	tlv_put_u64(&out, F_ID, r.id);
	tlv_put_u64(&out, F_STATUS, status);
	if (e)
		tlv_put_u64(&out, F_FLAGS, table_flags(e->table));
	if (status == TABLE_FOUND && r.key)
		tlv_put(&out, F_VALUE, 0, found.value, found.len);
	if (found.why.text[0])
		tlv_put_str(&out, F_REASON, found.why.text);
	ipc_send(link, M_TABLE_ANSWER, out.data, out.len);
	buf_free(&out);
}
