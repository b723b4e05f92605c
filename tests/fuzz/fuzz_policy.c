/* SPDX-License-Identifier: Apache-2.0
 * check_policy_service: its argument (the first line), and the lines of a reply. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "checks/policy/protocol.h"
#include "checks/policy/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

__attribute__((format(printf, 2, 3)))
static bool say_why(struct ost_why *why, const char *fmt, ...)
{
	why->text[0] = *fmt;
	return false;
}

static const struct ost_host host = { .size = sizeof host, .why = say_why };

static void read_reply(char *text)
{
	struct policy_reply reply = { 0 };
	struct ost_why why = { "" };
	while (*text && !reply.over) {
		char *end = text + strcspn(text, "\n");
		char *next = *end ? end + 1 : end;
		*end = '\0';
		if (!policy_take_line(&reply, &host, text, &why))
			return;
		if (reply.lines > POLICY_LINES_MAX || strlen(reply.action) >= sizeof reply.action || (reply.over && !*reply.action))
			abort();
		text = next;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), flaw[160];
	struct policy_settings s = { .try_limit = 1, .timeout = 1, .retry_delay = 1 };
	memcpy(text, data, size);
	text[size] = '\0';
	char *rest = text + strcspn(text, "\n");
	rest += *rest ? (*rest = '\0', 1) : 0;
	if (policy_settings_parse(&s, text, flaw, sizeof flaw) && (!*s.host || s.try_limit < 1 || s.timeout < 1))
		abort();
	free(s.text);
	read_reply(rest);
	free(text);
	return 0;
}
