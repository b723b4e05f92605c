/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/notices.h"

#include <stdlib.h>
#include <uthash.h>

#include "base/mem.h"

struct notice {
	uint64_t serial; /* its own; the key of by_serial while it is in the spool */
	uint64_t of;
	uint32_t round;
	bool left;
	struct notice *next; /* about the same message */
	UT_hash_handle hh;
};

struct subject {
	uint64_t of;
	struct notice *notices;
	UT_hash_handle hh;
};

struct notices {
	struct notice *by_serial;
	struct subject *subjects;
};

struct notices *notices_new(void)
{
	return MEM_NEW(struct notices);
}

static struct subject *find_subject(const struct notices *n, uint64_t of)
{
	struct subject *s;
	HASH_FIND(hh, n->subjects, &of, sizeof of, s);
	return s;
}

static struct notice *find_notice(const struct notices *n, uint64_t serial)
{
	struct notice *x;
	HASH_FIND(hh, n->by_serial, &serial, sizeof serial, x);
	return x;
}

/* Frees a notice that is in no list any more. */
static void forget(struct notices *n, struct notice *x)
{
	if (!x->left)
		HASH_DEL(n->by_serial, x);
	free(x);
}

void notices_free(struct notices **np)
{
	struct notices *n = *np;
	struct subject *s, *next;
	if (!n)
		return;
	HASH_ITER(hh, n->subjects, s, next)
	{
		for (struct notice *x = s->notices, *after; x; x = after) {
			after = x->next;
			forget(n, x);
		}
		HASH_DEL(n->subjects, s);
		free(s);
	}
	free(n);
	*np = NULL;
}

bool notices_known(const struct notices *n, uint64_t of, uint32_t round)
{
	const struct subject *s = find_subject(n, of);
	for (const struct notice *x = s ? s->notices : NULL; x; x = x->next)
		if (x->round == round)
			return true;
	return false;
}

bool notices_add(struct notices *n, uint64_t serial, uint64_t of, uint32_t round)
{
	if (notices_known(n, of, round))
		return false;
	struct subject *s = find_subject(n, of);
	if (!s) {
		s = MEM_NEW(struct subject);
		s->of = of;
		HASH_ADD(hh, n->subjects, of, sizeof s->of, s);
	}
	struct notice *x = MEM_NEW(struct notice);
	*x = (struct notice){ .serial = serial, .of = of, .round = round, .next = s->notices };
	s->notices = x;
	HASH_ADD(hh, n->by_serial, serial, sizeof x->serial, x);
	return true;
}

bool notices_subject(const struct notices *n, uint64_t serial, uint64_t *of, uint32_t *round)
{
	const struct notice *x = find_notice(n, serial);
	if (!x)
		return false;
	*of = x->of;
	*round = x->round;
	return true;
}

/* Drops what has left of a subject's list, and the subject when nothing remains. */
static void drop_left(struct notices *n, struct subject *s)
{
	for (struct notice **at = &s->notices; *at;) {
		struct notice *x = *at;
		if (!x->left) {
			at = &x->next;
			continue;
		}
		*at = x->next;
		forget(n, x);
	}
	if (!s->notices) {
		HASH_DEL(n->subjects, s);
		free(s);
	}
}

void notices_left(struct notices *n, uint64_t serial, bool subject_there)
{
	struct notice *x = find_notice(n, serial);
	if (!x)
		return;
	HASH_DEL(n->by_serial, x);
	x->left = true;
	if (!subject_there)
		drop_left(n, find_subject(n, x->of));
}

void notices_subject_left(struct notices *n, uint64_t of)
{
	struct subject *s = find_subject(n, of);
	if (s)
		drop_left(n, s);
}

uint64_t notices_nth(const struct notices *n, uint64_t of, size_t nth)
{
	const struct subject *s = find_subject(n, of);
	for (const struct notice *x = s ? s->notices : NULL; x; x = x->next)
		if (!x->left && nth-- == 0)
			return x->serial;
	return 0;
}
