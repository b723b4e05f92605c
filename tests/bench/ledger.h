/* SPDX-License-Identifier: Apache-2.0
 * A file of what happened to each message and recipient, one line each, for tests to compare:
 *
 * 	VERDICT<tab>ID<tab>NS<tab>RECIPIENT
 *
 * smtp-load writes "accepted" (250 seen for the final dot) and "unknown" (dot sent, connection lost before
 * the answer). smtp-sink writes "ok" (body as it was sent), "bad" (changed or cut) and "plain" (carries no
 * sum). */
#ifndef OST_BENCH_LEDGER_H
#define OST_BENCH_LEDGER_H

#include <stddef.h>
#include <stdint.h>

struct ledger {
	int fd; /* -1: nothing is recorded */
	size_t len;
	char buf[65536];
};

/* path NULL means no ledger; otherwise the file is emptied. Dies when it cannot be opened. */
void ledger_open(struct ledger *l, const char *path);

void ledger_add(struct ledger *l, const char *verdict, const char *id, uint64_t ns, const char *recipient);

/* After this the lines are the kernel's; dies when the file cannot be written. */
void ledger_flush(struct ledger *l);

#endif
