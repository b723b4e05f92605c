/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/dnsbl/listing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shared/braces.h"

static const struct listing_kind kinds[] = {
	{ .name = "reject_rbl_client", .class = "Client host", .field = "client_address" },
	{ .name = "reject_rbl", .class = "Client host", .field = "client_address" },
	{ .name = "reject_maps_rbl", .class = "Client host", .field = "client_address", .several = true },
	{ .name = "reject_rhsbl_client", .class = "Client host", .field = "client_name", .domain = true },
	{ .name = "reject_rhsbl_reverse_client", .class = "Unverified Client host", .field = "reverse_client_name", .domain = true },
	{ .name = "reject_rhsbl_helo", .class = "Helo command", .field = "helo_name", .domain = true },
	{ .name = "reject_rhsbl_sender", .class = "Sender address", .field = "sender", .domain = true },
	{ .name = "reject_rhsbl_recipient", .class = "Recipient address", .field = "recipient", .domain = true },
	{ .name = "permit_dnswl_client", .class = "Client host", .field = "client_address", .permits = true },
	{ .name = "permit_rhswl_client", .class = "Client host", .field = "client_name", .domain = true, .permits = true },
	{ .name = "reject_dnsbl_score", .class = "Client host", .field = "client_address", .several = true, .scored = true },
};

static const struct listing_kind *find_kind(const char *name)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

static bool add_zone(struct listing *l, const char *text, char *flaw, size_t size)
{
	struct dnsbl_zone *more = realloc(l->zones, (l->count + 1) * sizeof *more);
	if (!more) {
		snprintf(flaw, size, "out of memory");
		return false;
	}
	l->zones = more;
	if (!dnsbl_zone_parse(&l->zones[l->count], text, l->kind->scored, flaw, size))
		return false;
	l->count++;
	return true;
}

static bool add_item(struct listing *l, const char *item, char *flaw, size_t size)
{
	static const char word[] = "threshold=";
	char *end;
	if (!l->kind->scored || strncmp(item, word, sizeof word - 1) != 0)
		return add_zone(l, item, flaw, size);
	l->threshold = strtol(item + sizeof word - 1, &end, 10);
	bool ok = !*end && l->threshold > 0;
	if (!ok)
		snprintf(flaw, size, "bad threshold: \"%.60s\"", item);
	return ok;
}

struct listing *listing_parse(const char *restriction, const char *argument, char *flaw, size_t size)
{
	const struct listing_kind *kind = find_kind(restriction);
	struct listing *l = kind ? malloc(sizeof *l) : NULL;
	char *text = l ? strdup(argument) : NULL, *at = text, *item;
	bool ok = text;
	if (!ok)
		snprintf(flaw, size, kind ? "out of memory" : "no restriction of this module");
	if (l)
		*l = (struct listing){ .kind = kind, .threshold = 1 };
	while (ok && (item = braces_item(&at)) != NULL)
		ok = add_item(l, item, flaw, size);
	if (ok && (l->count == 0 || (l->count > 1 && !kind->several))) {
		snprintf(flaw, size, "%s %s", restriction, l->count ? "takes one list" : "needs a list");
		ok = false;
	}
	free(text);
	if (ok)
		return l;
	listing_free(l);
	return NULL;
}

void listing_free(struct listing *l)
{
	for (size_t i = 0; l && i < l->count; i++)
		dnsbl_zone_free(&l->zones[i]);
	if (l)
		free(l->zones);
	free(l);
}

/* The domain of an address, or the whole name. */
static const char *domain_of(const char *text)
{
	const char *at = strrchr(text, '@');
	return at ? at + 1 : text;
}

const char *listing_object(const struct listing *l, const struct ost_host *host, const struct ost_session *session)
{
	const char *value = host->session_field(session, l->kind->field);
	if (!value || !*value || strcasecmp(value, "unknown") == 0)
		return NULL;
	if (!l->kind->domain)
		return value;
	const char *domain = domain_of(value);
	return *domain && *domain != '[' ? value : NULL;
}

bool listing_query(const struct listing *l, size_t i, const char *object, char query[DNSBL_QUERY_SIZE])
{
	if (l->kind->domain)
		return dnsbl_query_domain(&l->zones[i], domain_of(object), query);
	return dnsbl_query_address(&l->zones[i], object, query);
}
