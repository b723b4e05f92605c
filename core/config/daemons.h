/* SPDX-License-Identifier: Apache-2.0
 * Postfix's daemons, as the parameter table names those that read each parameter. A master.cf line's command
 * (column 8) is one of them, or a transport module's name, which stands for the delivery agents. */
#ifndef CONFIG_DAEMONS_H
#define CONFIG_DAEMONS_H

#include <stdint.h>

/* DAEMON(bit, name in master.cf) */
#define CONFIG_DAEMONS(DAEMON)                                                                               \
	DAEMON(SMTPD, "smtpd")                                                                               \
	DAEMON(CLEANUP, "cleanup")                                                                           \
	DAEMON(TRIVIAL_REWRITE, "trivial-rewrite")                                                           \
	DAEMON(PICKUP, "pickup")                                                                             \
	DAEMON(QMGR, "qmgr")                                                                                 \
	DAEMON(SMTP, "smtp")                                                                                 \
	DAEMON(LMTP, "lmtp")                                                                                 \
	DAEMON(LOCAL, "local")                                                                               \
	DAEMON(VIRTUAL, "virtual")                                                                           \
	DAEMON(PIPE, "pipe")                                                                                 \
	DAEMON(ERROR, "error")                                                                               \
	DAEMON(DISCARD, "discard")                                                                           \
	DAEMON(BOUNCE, "bounce")                                                                             \
	DAEMON(FLUSH, "flush")                                                                               \
	DAEMON(SHOWQ, "showq")                                                                               \
	DAEMON(VERIFY, "verify")                                                                             \
	DAEMON(PROXYMAP, "proxymap")                                                                         \
	DAEMON(POSTSCREEN, "postscreen")                                                                     \
	DAEMON(DNSBLOG, "dnsblog")                                                                           \
	DAEMON(TLSPROXY, "tlsproxy")                                                                         \
	DAEMON(TLSMGR, "tlsmgr")                                                                             \
	DAEMON(ANVIL, "anvil")                                                                               \
	DAEMON(SCACHE, "scache")                                                                             \
	DAEMON(SPAWN, "spawn")                                                                               \
	DAEMON(QMQPD, "qmqpd")                                                                               \
	DAEMON(POSTLOGD, "postlogd")                                                                         \
	DAEMON(MASTER, "master")                                                                             \
	DAEMON(COMMAND, "command")

enum daemon_number {
#define DAEMON(bit, name) DAEMON_##bit,
	CONFIG_DAEMONS(DAEMON)
#undef DAEMON
		DAEMON_COUNT
};

enum daemon_bit {
#define DAEMON(bit, name) BY_##bit = 1 << DAEMON_##bit,
	CONFIG_DAEMONS(DAEMON)
#undef DAEMON
		BY_ALL = (1 << DAEMON_COUNT) - 1,
};

/* The bit of a master.cf command; 0 when no daemon of Postfix has that name (a module's transport, say). */
unsigned daemon_bit(const char *command);

/* The name of one bit, NULL when it is not exactly one. */
const char *daemon_name(unsigned bit);

#endif
