/* SPDX-License-Identifier: Apache-2.0
 * DNS lists: how they are written, what is asked, and reply templates. The first line is a list, the second an object, the rest a
 * template. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "checks/dnsbl/template.h"
#include "checks/dnsbl/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *value_of(void *ctx, const char *name)
{
	(void)ctx;
	return *name == 'a' ? "value\n" : *name == 'b' ? "" : NULL;
}

static void ask(const struct dnsbl_zone *zone, const char *object)
{
	char query[DNSBL_QUERY_SIZE];
	dnsbl_zone_matches(zone, object);
	if (dnsbl_query_address(zone, object, query) && strlen(query) < 10)
		abort();
	if (dnsbl_query_domain(zone, object, query) && strpbrk(query, " \t\r\n\\@"))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), flaw[200];
	memcpy(text, data, size);
	text[size] = '\0';
	char *object = text + strcspn(text, "\n");
	object += *object ? (*object = '\0', 1) : 0;
	char *template = object + strcspn(object, "\n");
	template += *template ? (*template = '\0', 1) : 0;
	for (int weighted = 0; weighted < 2; weighted++) {
		struct dnsbl_zone zone;
		if (dnsbl_zone_parse(&zone, text, weighted, flaw, sizeof flaw)) {
			ask(&zone, object);
			dnsbl_zone_free(&zone);
		}
	}
	struct text_buf out = { 0 };
	dnsbl_template_expand(&out, template, value_of, NULL);
	text_buf_free(&out);
	free(text);
	return 0;
}
