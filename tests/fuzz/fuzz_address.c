/* SPDX-License-Identifier: Apache-2.0
 * Addresses of MAIL and RCPT, address lists, quoting: what was parsed is written and parsed again to the same. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "mail/address.h"
#include "mail/addrlist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	const char *text = (const char *)data, *address, *back, *base, *ext;
	size_t used;
	for (int strict = 0; strict < 2; strict++) {
		enum address_outcome got = address_parse_path(a, text, size, strict, &address, &used);
		assert(used <= size);
		if (got != ADDRESS_OK || !*address)
			continue;
		(void)address_split(a, address, "+-", &base, &ext);
		(void)address_fold_domain(a, address);
		const char *domain = address_domain(address);
		if (domain && !domain_valid(domain, strlen(domain)) && !domain_literal_valid(domain, strlen(domain)))
			continue; /* smtpd refuses it; an '@' that was quoted, perhaps */
		struct buf b = BUF_INIT;
		buf_putc(&b, '<');
		address_quote(&b, address);
		buf_putc(&b, '>');
		assert(address_parse_path(a, b.data, b.len, false, &back, &used) == ADDRESS_OK);
		assert(strcmp(address, back) == 0 && used == b.len);
		buf_free(&b);
	}
	(void)domain_valid(text, size);
	(void)domain_literal_valid(text, size);
	struct addrlist list = addrlist_parse(a, text, size, 100);
	assert(list.count <= 100);
	arena_destroy(&a);
	return 0;
}
