/* SPDX-License-Identifier: Apache-2.0
 * Reads files of LMDB (format 1, of this machine's word size and byte order) through a descriptor, without
 * locks and without LMDB: a lookup works on the newest snapshot, and is repeated when two more were committed
 * meanwhile, because only then may its pages have been written again. So a reader holds nothing that a writer
 * would have to wait for or to clean up, needs no path, no lock file and no right to write, and a damaged
 * file is an answer, not a crash. */
#ifndef SHARED_LMDB_READ_H
#define SHARED_LMDB_READ_H

#include "ostler/host.h"

struct lmdb_reader;

/* Keeps a duplicate of fd. What is wrong with a file that is none of LMDB goes to *why. NULL with the reason.
 * An empty file is an empty table. */
struct lmdb_reader *lmdb_reader_open(const struct ost_host *, int fd, struct ost_why *);
void lmdb_reader_close(struct lmdb_reader *);
/* The value of a key as it is stored, the answer without a NUL at its end when nul. From any thread. */
enum ost_found lmdb_reader_get(struct lmdb_reader *, const void *key, size_t klen, bool nul,
			       struct ost_answer *value);
/* The first entry behind that key (*klen 0: the first of all), in bytewise order. Its key as it is stored
 * replaces key, which has room for 511 bytes. */
enum ost_found lmdb_reader_next(struct lmdb_reader *, char *key, size_t *klen, bool nul,
				struct ost_answer *next, struct ost_answer *value);
bool lmdb_reader_has_nul(
	struct lmdb_reader *); /* does the first key end in NUL, as Postfix stores them all? */

/* Is all of it readable and in order? Only while nobody writes. */
bool lmdb_reader_check(struct lmdb_reader *);

#endif
