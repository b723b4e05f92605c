/* SPDX-License-Identifier: Apache-2.0
 * Notices that are in the spool, by what they are about: so that one is stored once, and does not leave
 * before the message it is about knows of it. */
#ifndef SPOOL_NOTICES_H
#define SPOOL_NOTICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct notices;

struct notices *notices_new(void);
void notices_free(struct notices **);
/* A notice was found. False: another one with the same (of, round) is known. */
bool notices_add(struct notices *, uint64_t serial, uint64_t of, uint32_t round);
bool notices_known(const struct notices *, uint64_t of, uint32_t round);
/* What a notice is about; false: it is none that is known. */
bool notices_subject(const struct notices *, uint64_t serial, uint64_t *of, uint32_t *round);
/* The notice has left the spool. It is remembered while its subject is there. */
void notices_left(struct notices *, uint64_t serial, bool subject_there);
/* The subject has left: what was remembered of notices that have left too is dropped. */
void notices_subject_left(struct notices *, uint64_t of);
/* The nth notice about a message that is in the spool; 0: no more. */
uint64_t notices_nth(const struct notices *, uint64_t of, size_t n);

#endif
