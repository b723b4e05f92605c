/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/message.h"

#include <string.h>

#include "spool/fields.h"

/* Copies the texts that a table's fields point to. */
static void copy_strings(struct arena *a, const struct field_table *t, void *base)
{
	for (size_t i = 1; i < t->count; i++) {
		if (t->fields[i].kind != FIELD_STRING)
			continue;
		const char **s = (const char **)(void *)((char *)base + t->fields[i].offset);
		if (*s)
			*s = arena_strdup(a, *s);
	}
}

/* Copies bytes that are kept as they are. */
static void copy_extra(struct arena *a, struct spool_extra *extra)
{
	if (extra->len > 0)
		extra->data = arena_dup(a, extra->data, extra->len);
}

struct spool_envelope *envelope_copy(struct arena *a, const struct spool_envelope *from)
{
	struct spool_envelope *e = arena_dup(a, from, sizeof *from);
	copy_strings(a, &message_fields, e);
	copy_extra(a, &e->extra);
	e->attrs = arena_dup(a, from->attrs, from->nattrs * sizeof *from->attrs);
	for (size_t i = 0; i < e->nattrs; i++)
		copy_strings(a, &attr_fields, &e->attrs[i]);
	e->rcpts = arena_dup(a, from->rcpts, from->nrcpts * sizeof *from->rcpts);
	for (size_t i = 0; i < e->nrcpts; i++) {
		copy_strings(a, &rcpt_fields, &e->rcpts[i]);
		copy_extra(a, &e->rcpts[i].extra);
	}
	return e;
}
