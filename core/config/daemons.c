/* SPDX-License-Identifier: Apache-2.0 */
#include "config/daemons.h"

#include <stddef.h>
#include <string.h>

static const char *const names[DAEMON_COUNT] = {
#define DAEMON(bit, name) [DAEMON_##bit] = name,
	CONFIG_DAEMONS(DAEMON)
#undef DAEMON
};

unsigned daemon_bit(const char *command)
{
	for (size_t i = 0; i < DAEMON_COUNT; i++)
		if (!strcmp(names[i], command))
			return 1u << i;
	return strcmp(command, "oqmgr") && strcmp(command, "nqmgr") ? 0 : BY_QMGR;
}

const char *daemon_name(unsigned bit)
{
	for (size_t i = 0; i < DAEMON_COUNT; i++)
		if (bit == 1u << i)
			return names[i];
	return NULL;
}
