/* SPDX-License-Identifier: Apache-2.0
 * Completing addresses: the part of rewriting that every envelope address goes through. */
#include <string.h>

#include "base/magic.h"
#include "cleanup/cleaner.h"
#include "mail/address.h"

/* An address without '@': old routing forms become user@domain. NULL: it is neither. */
static const char *old_forms(const struct cleaner *c, struct arena *a, const char *local)
{
	const char *bang = c->swap_bangpath ? strchr(local, '!') : NULL;
	if (bang && bang > local && bang[1])
		return arena_printf(a, "%s@%.*s", bang + 1, (int)(bang - local), local);
	const char *percent = c->percent_hack ? strrchr(local, '%') : NULL;
	if (percent && percent > local && percent[1])
		return arena_printf(a, "%.*s@%s", (int)(percent - local), local, percent + 1);
	return NULL;
}

const char *cleanup_rewrite_address(const struct cleaner *c, struct arena *a, const char *address)
{
	CHECK_MAGIC(c, CLEANER_MAGIC);
	if (!*address)
		return address;
	const char *domain = address_domain(address);
	if (!domain) {
		const char *other = old_forms(c, a, address);
		if (!other)
			return c->append_at_myorigin ? arena_printf(a, "%s@%s", address, c->myorigin) : address;
		address = other;
		domain = address_domain(address);
	}
	size_t len = strlen(domain);
	if (len > 1 && domain[len - 1] == '.') {
		char *shorter = arena_strdup(a, address);
		shorter[strlen(shorter) - 1] = '\0';
		return shorter;
	}
	if (len > 0 && c->append_dot_mydomain && *domain != '[' && !strchr(domain, '.'))
		return arena_printf(a, "%s.%s", address, c->mydomain);
	return address;
}
