/* SPDX-License-Identifier: Apache-2.0
 * Is there such a recipient? What RCPT TO and reject_unlisted_sender ask. */
#include <string.h>
#include <strings.h>

#include "base/magic.h"
#include "mail/address.h"
#include "mail/dsn.h"
#include "resolve/parts.h"

static enum rcpt_exists unsure(struct rcpt_answer *out)
{
	*out = (struct rcpt_answer){ 451, "4.3.0", "Temporary lookup failure" };
	return RCPT_UNSURE;
}

static enum rcpt_exists unknown(const struct resolver *r, enum param_id code, const char *table,
				struct arena *a, struct rcpt_answer *out)
{
	*out = (struct rcpt_answer){
		.code = (int)cfg_int(r->view, code),
		.dsn = "5.1.1",
		.text = r->show_table ? arena_printf(a, "User unknown in %s table", table) : "User unknown",
	};
	if (out->code < 500)
		out->dsn = "4.1.1";
	return RCPT_UNKNOWN;
}

/* The error transport's text is the answer: "5.1.1 User unknown", "outside mail is not deliverable". */
static enum rcpt_exists error_text(struct arena *a, const struct resolved *where, struct rcpt_answer *out)
{
	bool later = strcmp(where->transport, "retry") == 0;
	char dsn[DSN_SIZE];
	const char *text = dsn_split(dsn, later ? "4.1.1" : "5.1.1", where->nexthop);
	if (later)
		dsn_set_class(dsn, '4');
	*out = (struct rcpt_answer){ .code = dsn[0] == '4' ? 450 : 550,
				     .dsn = arena_strdup(a, dsn),
				     .text = text };
	return RCPT_UNKNOWN;
}

/* Is the address in one of these maps? */
static enum ost_found listed(const struct resolver *r, struct arena *a, const struct maps *const *maps,
			     size_t n, const char *address, bool own)
{
	for (size_t i = 0; i < n; i++) {
		struct lookup found = { 0 };
		enum ost_found result = maps[i] ? maps_find_address(maps[i], a, address, r->delimiter, own,
								    ADDR_ALL, &found, NULL)
						: OST_NOTFOUND;
		if (result != OST_NOTFOUND)
			return result;
	}
	return OST_NOTFOUND;
}

/* Notices to the postmaster come from this address; mail to it is taken and thrown away. */
static bool is_double_bounce(const struct resolver *r, const char *address)
{
	size_t n = strlen(r->double_bounce);
	const char *domain = address_domain(address);
	return n > 0 && address_local_len(address) == n && strncasecmp(address, r->double_bounce, n) == 0 &&
	       domain && strcasecmp(domain, r->myorigin) == 0;
}

/* Local names that every mail system has, whatever its tables say. */
static bool is_system_name(const char *address)
{
	static const char *const names[] = { "postmaster", "mailer-daemon", "double-bounce" };
	size_t n = address_local_len(address);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strlen(names[i]) == n && strncasecmp(address, names[i], n) == 0)
			return true;
	return false;
}

enum rcpt_exists resolver_exists(const struct resolver *r, struct arena *a, const char *address,
				 const struct resolved *where, struct rcpt_answer *out)
{
	CHECK_MAGIC(r, RESOLVER_MAGIC);
	*out = (struct rcpt_answer){ 0 };
	if (where->verdict == RESOLVE_DEFER)
		return unsure(out);
	if (where->verdict == RESOLVE_BOUNCE) {
		*out = (struct rcpt_answer){ 501, where->dsn, where->reason };
		return RCPT_UNKNOWN;
	}
	const struct {
		enum address_class class;
		const struct maps *maps;
		enum param_id code;
		const char *table;
	} classes[] = {
		{ CLASS_LOCAL, r->local_recipients, P_unknown_local_recipient_reject_code,
		  "local recipient" },
		{ CLASS_VIRTUAL_MAILBOX, r->virtual_mailbox, P_unknown_virtual_mailbox_reject_code,
		  "virtual mailbox" },
		{ CLASS_RELAY, r->relay_recipients, P_unknown_relay_recipient_reject_code,
		  "relay recipient" },
	};
	const struct maps *const rewriting[] = { r->recipient_canonical, r->canonical, r->virtual_alias };
	bool own = where->address_class == CLASS_LOCAL;
	address = rewrite_complete(r, a, *address ? address : r->empty_recipient);
	if (is_double_bounce(r, where->recipient) || (own && is_system_name(where->recipient)))
		return RCPT_EXISTS;
	enum ost_found found = listed(r, a, rewriting, 3, address, own);
	if (found == OST_NOTFOUND && strcasecmp(address, where->recipient) != 0)
		found = listed(r, a, rewriting, 3, where->recipient, own);
	for (size_t i = 0; found == OST_NOTFOUND && i < sizeof classes / sizeof classes[0]; i++) {
		if (classes[i].class != where->address_class || !classes[i].maps)
			continue;
		found = listed(r, a, &classes[i].maps, 1, where->recipient, own);
		if (found == OST_NOTFOUND)
			return unknown(r, classes[i].code, classes[i].table, a, out);
	}
	if (found < OST_NOTFOUND)
		return unsure(out);
	if (found == OST_FOUND)
		return RCPT_EXISTS;
	if (where->address_class == CLASS_VIRTUAL_ALIAS)
		return unknown(r, P_unknown_virtual_alias_reject_code, "virtual alias", a, out);
	if (strcmp(where->transport, "error") == 0 || strcmp(where->transport, "retry") == 0)
		return error_text(a, where, out);
	return RCPT_EXISTS;
}
