/* SPDX-License-Identifier: Apache-2.0
 * Addresses as strangers write them, resolved: always an answer, and one that makes sense. Without tables;
 * the first byte chooses how addresses are rewritten. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "mail/address.h"
#include "resolve/resolver.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WAYS = 2 };

static const char *const main_cf[WAYS] = {
	"compatibility_level = 3.6\nmyhostname = mx.example.com\nmydestination = $myhostname, example.com\n"
	"alias_maps =\nlocal_recipient_maps =\nrelay_domains = relay.test\nvirtual_alias_domains = "
	"alias.test\n"
	"virtual_mailbox_domains = mbox.test\nrecipient_delimiter = +-\ninet_interfaces = 127.0.0.1\n",
	"compatibility_level = 0\nmyhostname = mx.example.com\nmydestination = $myhostname, example.com\n"
	"alias_maps =\nlocal_recipient_maps =\nresolve_null_domain = yes\nresolve_numeric_domain = yes\n"
	"append_at_myorigin = no\nallow_min_user = yes\nallow_percent_hack = no\ninet_interfaces = "
	"127.0.0.1\n",
};
static struct resolver *resolvers[WAYS];

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[200];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	if (!f || fputs(text, f) < 0 || fclose(f) != 0)
		abort();
}

static void remove_file(const char *dir, const char *name)
{
	char path[200];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	unlink(path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	for (int i = 0; i < WAYS; i++) {
		char dir[] = "/tmp/ostler-fuzz-XXXXXX";
		if (!mkdtemp(dir))
			abort();
		write_file(dir, "main.cf", main_cf[i]);
		write_file(dir, "master.cf", "");
		write_file(dir, "modules.cf", "");
		struct findings *findings = findings_new();
		struct config *config = config_read(dir, NULL, findings);
		if (!config)
			abort();
		resolvers[i] = resolver_open(config_main_view(config), NULL);
		findings_destroy(&findings);
		remove_file(dir, "main.cf");
		remove_file(dir, "master.cf");
		remove_file(dir, "modules.cf");
		rmdir(dir);
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || memchr(data + 1, '\0', size - 1))
		return 0;
	const struct resolver *r = resolvers[data[0] % WAYS];
	struct arena *a = arena_new();
	const char *address = arena_strndup(a, (const char *)data + 1, size - 1);
	const char **list;
	size_t count;
	struct resolved out;
	struct rcpt_answer answer;
	resolver_resolve(r, a, address, address, &out);
	if (out.verdict == RESOLVE_OK) {
		assert(*out.transport && *out.nexthop && *out.recipient && out.address_class != CLASS_NONE);
		assert(!out.routed || out.address_class != CLASS_LOCAL);
	} else {
		assert(*out.dsn && *out.reason);
	}
	if (resolver_exists(r, a, address, &out, &answer) != RCPT_EXISTS)
		assert(answer.code >= 400 && answer.code <= 599 && *answer.dsn && *answer.text);
	assert(resolver_expand(r, a, address, &list, &count) == RESOLVE_OK && count == 1);
	arena_destroy(&a);
	return 0;
}
