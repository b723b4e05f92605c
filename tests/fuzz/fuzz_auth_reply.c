/* SPDX-License-Identifier: Apache-2.0
 * Lines of Dovecot's authentication server. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/dovecot/auth_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every text is a part of the line, or empty, and no field holds another one. */
static void check_text(const char *line, size_t size, const char *text)
{
	if (*text && (text < line || text + strlen(text) > line + size))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct auth_reply r;
	char *line = malloc(size + 1);
	memcpy(line, data, size);
	line[size] = '\0';
	auth_parse(line, &r);
	check_text(line, size, r.challenge);
	check_text(line, size, r.user);
	check_text(line, size, r.reason);
	check_text(line, size, r.mechanism);
	if ((r.kind != LINE_CONT && *r.challenge) || strchr(r.challenge, '\t') || (r.kind == LINE_MECH) != (*r.mechanism != '\0'))
		abort();
	free(line);
	return 0;
}
