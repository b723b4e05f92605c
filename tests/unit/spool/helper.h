/* SPDX-License-Identifier: Apache-2.0
 * What the spool's tests share: scratch folders, a full envelope, comparisons. */
#ifndef TEST_SPOOL_HELPER_H
#define TEST_SPOOL_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spool/envelope.h"
#include "spool/home.h"

/* A new spool folder of its own, and its removal with all that is in it. */
char *scratch_spool(void);
void scratch_remove(char *path); /* frees path */

/* An envelope in which every field is set, to a value of its own. */
struct spool_envelope *full_envelope(struct arena *, size_t nrcpts);
/* A small one, as a test message has it. */
struct spool_envelope *plain_envelope(struct arena *, const char *sender, const char *rcpt);
/* Every field of the tables, attributes, recipients, and what is kept as it is. */
void assert_same_envelope(const struct spool_envelope *, const struct spool_envelope *);

/* Content that tells its number, of any length. */
void fill_content(char *p, size_t n, unsigned number);

/* The last hint's first message, as a ticket. */
struct hint_catch {
	pthread_mutex_t lock;
	struct buf tickets; /* struct ticket after struct ticket */
	struct buf hints;   /* all bytes, one after the other */
};
void catch_hint(void *ctx, const void *hint, size_t len);

#endif
