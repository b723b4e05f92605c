/* SPDX-License-Identifier: Apache-2.0
 * Host services: tables for modules. A list of tables is a struct maps to the core and a struct ost_tables to
 * them; values live in the calling thread's memory until its next question. */
#include <string.h>

#include "base/log.h"
#include "mail/address.h"
#include "module/answer.h"
#include "module/enter.h"
#include "module/hosts.h"
#include "net/lookup.h"
#include "table/host_caches.h"
#include "table/maps.h"

static const struct maps *to_maps(const struct ost_tables *tables)
{
	return (const struct maps *)(const void *)tables;
}

static struct ost_tables *open_tables(const struct cfg_view *view, const char *spec, struct ost_why *why)
{
	struct maps *m = maps_open(view, spec, why);
	if (m)
		m->local = matchlist_names(view, "mydestination", cfg_str(view, P_mydestination), NULL);
	return (struct ost_tables *)(void *)m;
}

/* Which table of the list, in Postfix's words, must not decide on users and files; NULL: all may. */
static const char *unfit_table(const struct maps *m)
{
	struct arena *a = mod_thread_arena();
	for (size_t i = 0; i < m->count; i++) {
		const char *name = table_name(m->tables[i]);
		unsigned flags = table_flags(m->tables[i]);
		if (flags & OST_TABLE_SUBSTITUTES)
			return arena_printf(a,
					    "%s: regular expression substitution is not allowed for "
					    "security-sensitive data",
					    name);
		if (flags & OST_TABLE_UNSAFE)
			return arena_printf(a, "%s map is not allowed for security-sensitive data", name);
	}
	return NULL;
}

/* A table that was fit when the list was opened may have become another one: its file has changed. */
static bool may_ask(const struct maps *m, const char **value, struct ost_why *why)
{
	const char *unfit = m && m->guarded ? unfit_table(m) : NULL;
	if (!unfit)
		return true;
	if (value)
		*value = NULL;
	log_warning("%s", unfit);
	return why_set(why, "%s", unfit);
}

/* Hands the answer over. */
static enum ost_found give(enum ost_found result, const struct lookup *found, const char **value,
			   struct ost_why *why)
{
	if (value)
		*value = result == OST_FOUND ? found->value : NULL;
	if (result < OST_NOTFOUND)
		why_set(why, "%s: %s", found->table ? found->table : "table",
			found->why.text[0] ? found->why.text : "lookup failed");
	return result;
}

static enum ost_found lookup(const struct ost_tables *tables, const char *key, const char **value,
			     struct ost_why *why)
{
	struct lookup found = { 0 };
	const struct maps *m = to_maps(tables);
	if (!may_ask(m, value, why))
		return OST_BADTABLE;
	return give(maps_find(m, mod_thread_arena(), key, &found), &found, value, why);
}

/* Is the domain one of mydestination, or $myorigin? */
static bool is_own(const struct maps *m, struct arena *a, const char *address)
{
	const char *domain = address_domain(address);
	struct lookup found;
	if (!domain)
		return true;
	return strcasecmp(domain, cfg_str(m->view, P_myorigin)) == 0 ||
	       matchlist_name(m->local, a, domain, &found) == OST_FOUND;
}

static enum ost_found lookup_address(const struct ost_tables *tables, const char *address, const char **value,
				     const char **extension, struct ost_why *why)
{
	const struct maps *m = to_maps(tables);
	struct lookup found = { 0 };
	if (extension)
		*extension = NULL;
	if (!m)
		return OST_NOTFOUND;
	if (!may_ask(m, value, why))
		return OST_BADTABLE;
	struct arena *a = mod_thread_arena();
	enum ost_found result = maps_find_address(m, a, address, cfg_str(m->view, P_recipient_delimiter),
						  is_own(m, a, address), ADDR_ALL, &found, extension);
	return give(result, &found, value, why);
}

static enum ost_found access_search(const struct ost_tables *tables, enum ost_access_order order,
				    const char *object, const char **value, struct ost_why *why)
{
	const struct maps *m = to_maps(tables);
	struct lookup found = { 0 };
	if (!m)
		return OST_NOTFOUND;
	return give(access_find(m, m->view, mod_thread_arena(), order, object, &found), &found, value, why);
}

/* ---- one table for another one ------------------------------------------------------------------------------------ */

static struct ost_table *open_one(const struct cfg_view *view, const char *type_name, struct ost_why *why)
{
	struct ost_why inner = { "" };
	if (!strchr(type_name, ':')) {
		why_set(why, "expecting \"type:name\" form instead of \"%s\"", type_name);
		return NULL;
	}
	struct table *t = table_open(view, type_name, &inner);
	why_set(why, "%s", inner.text);
	return (struct ost_table *)(void *)t;
}

static enum ost_found ask(struct ost_table *table, const struct ost_query *query, struct ost_answer *answer)
{
	struct lookup found;
	enum ost_found result = table_lookup_until((struct table *)(void *)table,
						   answer ? answer->arena : mod_thread_arena(), query->key,
						   query->klen, query->deadline, &found);
	if (!answer)
		return result;
	if (result == OST_FOUND) {
		answer->value = found.value;
		answer->len = found.len;
	} else if (result != OST_NOTFOUND) {
		why_set(answer->why, "%s: %s", found.table,
			found.why.text[0] ? found.why.text : "lookup failed");
	}
	return result;
}

static uint32_t flags_of(const struct ost_table *table)
{
	return table_flags((const struct table *)(const void *)table);
}

static const char *guard(struct ost_tables *tables)
{
	struct maps *m = (struct maps *)(void *)tables;
	if (!m)
		return NULL;
	m->guarded = true;
	return unfit_table(m);
}

static uint64_t version_of(const struct ost_table *table)
{
	return table_version((const struct table *)(const void *)table);
}

static const struct mod_tables_ops ops = { open_tables, lookup,   lookup_address, access_search, open_one,
					   ask,         flags_of, guard,          version_of,    &table_caches };
static const struct mod_connect_ops connections = { net_addresses, net_connect };

void table_init(void)
{
	mod_host_set_tables(&ops);
	mod_host_set_connect(&connections);
}
