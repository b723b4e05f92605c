/* SPDX-License-Identifier: Apache-2.0 */
#include "resolve/verify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "mail/ascii.h"

enum { PROBE_SECONDS = 1000, TEXT_MAX = 500 }; /* a probe that has not come back by then is lost */

/* ---- entries ------------------------------------------------------------------------------------------------- */

/* A number and the colon behind it; false: there is none. */
static bool take_number(const char **at, int64_t *number)
{
	char *end;
	if (!ascii_digit((unsigned char)**at))
		return false;
	*number = strtoll(*at, &end, 10);
	*at = end + 1;
	return *end == ':' && *number >= 0 && *number < INT64_MAX / 2;
}

bool verify_parse(struct arena *a, const char *value, struct verify_entry *e)
{
	int64_t status;
	if (!take_number(&value, &status) || status > VERIFIED_UNKNOWN || !take_number(&value, &e->probed) ||
	    !take_number(&value, &e->updated))
		return false;
	e->status = (enum verified)status;
	e->text = arena_strdup(a, value);
	return true;
}

const char *verify_format(struct arena *a, const struct verify_entry *e)
{
	return arena_printf(a, "%d:%" PRId64 ":%" PRId64 ":%.*s", (int)e->status, e->probed, e->updated, TEXT_MAX, e->text);
}

/* ---- the cache ----------------------------------------------------------------------------------------------- */

void verify_open(struct verify_cache *v, const struct cfg_view *view, struct ost_why *why)
{
	const char *name = cfg_str(view, P_address_verify_map);
	*v = (struct verify_cache){
		.expire = { cfg_time(view, P_address_verify_negative_expire_time) / CLOCK_SECOND,
			    cfg_time(view, P_address_verify_positive_expire_time) / CLOCK_SECOND },
		.refresh = { cfg_time(view, P_address_verify_negative_refresh_time) / CLOCK_SECOND,
			     cfg_time(view, P_address_verify_positive_refresh_time) / CLOCK_SECOND },
		.negative = cfg_bool(view, P_address_verify_negative_cache),
	};
	if (*name)
		v->cache = table_cache_open(view, name, why);
	else
		why_set(why, "address_verify_map is empty");
}

void verify_close(struct verify_cache *v)
{
	table_cache_close(&v->cache);
}

static const char *key_of(struct arena *a, const char *address)
{
	return table_fold(a, address);
}

static bool expired(const struct verify_cache *v, const struct verify_entry *e, int64_t now)
{
	return e->updated + v->expire[e->status == VERIFIED_OK] < now;
}

bool verify_find(const struct verify_cache *v, struct arena *a, const char *address, int64_t now, struct verify_entry *e)
{
	struct lookup got = { 0 };
	enum ost_found found = v->cache ? table_cache_lookup(v->cache, a, key_of(a, address), &got) : OST_BADTABLE;
	*e = (struct verify_entry){ .status = VERIFIED_UNKNOWN, .text = "Address verification in progress" };
	if (found != OST_FOUND)
		return found == OST_NOTFOUND;
	struct verify_entry stored;
	if (!verify_parse(a, got.value, &stored)) {
		log_warning("%s: entry for %.200s is not one of an address", table_cache_name(v->cache), address);
		return true;
	}
	if (stored.status == VERIFIED_UNKNOWN)
		e->probed = stored.probed;
	else if (!expired(v, &stored, now))
		*e = stored;
	return true;
}

bool verify_wants_probe(const struct verify_cache *v, const struct verify_entry *e, int64_t now)
{
	return now - e->probed > PROBE_SECONDS && e->updated + v->refresh[e->status == VERIFIED_OK] < now;
}

void verify_note_probe(const struct verify_cache *v, struct arena *a, const char *address, struct verify_entry *e, int64_t now)
{
	e->probed = now;
	table_cache_update(v->cache, key_of(a, address), verify_format(a, e));
}

void verify_note_result(const struct verify_cache *v, struct arena *a, const char *address, enum verified status,
			const char *text, int64_t now)
{
	struct verify_entry old, new = { .status = status, .updated = now, .text = text };
	if (!verify_find(v, a, address, now, &old))
		return;
	if (status != VERIFIED_OK && old.status == VERIFIED_OK)
		return;
	if (status != VERIFIED_OK && !v->negative) /* those who wait are told; nobody else is */
		new.updated = now - v->expire[0] + PROBE_SECONDS;
	table_cache_update(v->cache, key_of(a, address), verify_format(a, &new));
}

/* ---- cleaning ------------------------------------------------------------------------------------------------ */

struct sweep {
	const struct verify_cache *v;
	struct arena *arena;
	int64_t now;
};

static bool still_counts(void *ctx, const char *key, const char *value)
{
	struct sweep *s = ctx;
	struct verify_entry e;
	(void)key;
	return verify_parse(s->arena, value, &e) && (!expired(s->v, &e, s->now) || s->now - e.probed < PROBE_SECONDS);
}

void verify_clean(const struct verify_cache *v, struct arena *a)
{
	struct sweep s = { .v = v, .arena = a, .now = clock_utc() / CLOCK_SECOND };
	struct cache_expired done;
	if (v->cache && table_cache_expire(v->cache, a, still_counts, &s, &done))
		log_info("cache %s full cleanup: retained=%zu dropped=%zu entries", table_cache_name(v->cache), done.kept,
			 done.removed);
}
