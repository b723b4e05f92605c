/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/fields.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The member must have the C type of its kind. */
#define TYPE_STRING const char *
#define TYPE_U32    uint32_t
#define TYPE_U64    uint64_t
#define TYPE_TIME   int64_t
#define TYPE_STATUS enum rcpt_status
#define OFFSET(type, member, want)                                                                           \
	(offsetof(type, member) +                                                                            \
	 0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((type *)0)->member), want) ? 1 : -1]))
#define ROW(type, num, knd, member, flgs, lbl)                                                               \
	[num] = { .kind = FIELD_##knd,                                                                       \
		  .flags = (flgs),                                                                           \
		  .offset = OFFSET(type, member, TYPE_##knd),                                                \
		  .label = (lbl) },

#define MESSAGE_ROW(num, knd, member, flgs, lbl) ROW(struct spool_envelope, num, knd, member, flgs, lbl)
#define ATTR_ROW(num, knd, member, flgs, lbl)    ROW(struct spool_attr, num, knd, member, flgs, lbl)
#define RCPT_ROW(num, knd, member, flgs, lbl)    ROW(struct spool_rcpt, num, knd, member, flgs, lbl)
#define RESULT_ROW(num, knd, member, flgs, lbl)  ROW(struct result_row, num, knd, member, flgs, lbl)
#define UPDATE_ROW(num, knd, member, flgs, lbl)  ROW(struct spool_update, num, knd, member, flgs, lbl)

static const struct field message_rows[] = { MESSAGE_FIELDS(MESSAGE_ROW) };
static const struct field attr_rows[] = { ATTR_FIELDS(ATTR_ROW) };
static const struct field rcpt_rows[] = { RCPT_FIELDS(RCPT_ROW) };
static const struct field result_rows[] = { RESULT_FIELDS(RESULT_ROW) };
static const struct field update_rows[] = { UPDATE_FIELDS(UPDATE_ROW) };

#define TABLE(rows)                                                                                          \
	{                                                                                                    \
		.fields = (rows), .count = sizeof(rows) / sizeof(rows)[0]                                    \
	}
const struct field_table message_fields = TABLE(message_rows);
const struct field_table attr_fields = TABLE(attr_rows);
const struct field_table rcpt_fields = TABLE(rcpt_rows);
const struct field_table result_fields = TABLE(result_rows);
const struct field_table update_fields = TABLE(update_rows);

/* The number in a member; 0 for a text. */
static uint64_t number_at(const struct field *f, const void *base)
{
	const char *at = (const char *)base + f->offset;
	switch (f->kind) {
	case FIELD_U32:
		return *(const uint32_t *)(const void *)at;
	case FIELD_STATUS:
		return *(const enum rcpt_status *)(const void *)at;
	case FIELD_U64:
		return *(const uint64_t *)(const void *)at;
	case FIELD_TIME:
		return (uint64_t) * (const int64_t *)(const void *)at;
	case FIELD_STRING:
	case FIELD_NONE:
		break;
	}
	return 0;
}

/* The text in a member. */
static const char *string_at(const struct field *f, const void *base)
{
	const char *const *at = (const char *const *)(const void *)((const char *)base + f->offset);
	return *at;
}

void fields_put(struct buf *b, const struct field_table *t, const void *base)
{
	for (unsigned number = 1; number < t->count; number++) {
		const struct field *f = &t->fields[number];
		if (f->kind == FIELD_NONE)
			continue;
		if (f->kind == FIELD_STRING) {
			const char *s = string_at(f, base);
			if (s)
				tlv_put(b, number, f->flags, s, strlen(s));
			continue;
		}
		uint64_t v = number_at(f, base);
		if (v == 0)
			continue;
		char bytes[sizeof v];
		for (size_t i = 0; i < sizeof v; i++)
			bytes[i] = (char)(v >> (8 * i));
		tlv_put(b, number, f->flags, bytes, sizeof bytes);
	}
}

void fields_each(const struct field_table *t, const void *base, field_each_fn *each, void *ctx)
{
	for (unsigned number = 1; number < t->count; number++) {
		const struct field *f = &t->fields[number];
		char text[32];
		if (f->kind == FIELD_STRING && string_at(f, base)) {
			each(ctx, f->label, string_at(f, base));
		} else if (f->kind != FIELD_STRING && number_at(f, base) != 0) {
			snprintf(text, sizeof text, "%" PRId64, (int64_t)number_at(f, base));
			each(ctx, f->label, text);
		}
	}
}

/* Puts a number where it belongs; false: it does not fit. */
static bool store_number(const struct field *f, uint64_t v, char *at)
{
	switch (f->kind) {
	case FIELD_U32:
		*(uint32_t *)(void *)at = (uint32_t)v;
		return v <= UINT32_MAX;
	case FIELD_STATUS:
		*(enum rcpt_status *)(void *)at = (enum rcpt_status)v;
		return v <= RCPT_DONE;
	case FIELD_U64:
		*(uint64_t *)(void *)at = v;
		return true;
	case FIELD_TIME:
		*(int64_t *)(void *)at = (int64_t)v;
		return true;
	case FIELD_STRING:
	case FIELD_NONE:
		break;
	}
	return false;
}

enum field_got field_get(struct arena *a, const struct field_table *t, const struct tlv *v, void *base)
{
	if (v->type >= t->count || t->fields[v->type].kind == FIELD_NONE)
		return FIELD_UNKNOWN;
	const struct field *f = &t->fields[v->type];
	char *at = (char *)base + f->offset;
	if (f->kind == FIELD_STRING) {
		if (memchr(v->data, '\0', v->len))
			return FIELD_BAD;
		*(const char **)(void *)at = arena_strndup(a, v->data, v->len);
		return FIELD_GOT;
	}
	uint64_t number;
	return tlv_u64(v, &number) && store_number(f, number, at) ? FIELD_GOT : FIELD_BAD;
}
