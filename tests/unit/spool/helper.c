/* SPDX-License-Identifier: Apache-2.0 */
#include "helper.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

char *scratch_spool(void)
{
	const char *tmp = getenv("TMPDIR");
	if (!tmp) /* what is tested here does not depend on a disk, and a disk takes its time */
		tmp = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
	char *path = mem_printf("%s/ostler-spool-XXXXXX", tmp);
	struct ost_why why;
	assert_non_null(mkdtemp(path));
	if (!spool_create(path, &why))
		fail_msg("%s", why.text);
	return path;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void scratch_remove(char *path)
{
	assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	free(path);
}

/* A value of its own for each field of a struct. */
static void fill_fields(struct arena *a, const struct field_table *t, void *base, unsigned salt)
{
	for (unsigned i = 1; i < t->count; i++) {
		const struct field *f = &t->fields[i];
		char *at = (char *)base + f->offset;
		switch (f->kind) {
		case FIELD_STRING:
			*(const char **)(void *)at = arena_printf(a, "%s-%u-\xc3\xa4", f->label, salt);
			break;
		case FIELD_U32:
			*(uint32_t *)(void *)at = salt * 100 + i;
			break;
		case FIELD_U64:
			*(uint64_t *)(void *)at = UINT64_C(0x100000000) * i + salt;
			break;
		case FIELD_TIME:
			*(int64_t *)(void *)at = -(int64_t)(i * 1000000 + salt);
			break;
		case FIELD_STATUS:
			*(enum rcpt_status *)(void *)at = (enum rcpt_status)(1 + salt % RCPT_DONE);
			break;
		case FIELD_NONE:
			break;
		}
	}
}

struct spool_envelope *full_envelope(struct arena *a, size_t nrcpts)
{
	struct spool_envelope *e = ARENA_NEW(a, struct spool_envelope);
	fill_fields(a, &message_fields, e, 7);
	e->nattrs = 3;
	e->attrs = arena_alloc(a, e->nattrs * sizeof *e->attrs);
	for (size_t i = 0; i < e->nattrs; i++)
		fill_fields(a, &attr_fields, &e->attrs[i], (unsigned)i);
	e->nrcpts = nrcpts;
	e->rcpts = arena_alloc(a, nrcpts * sizeof *e->rcpts);
	for (size_t i = 0; i < nrcpts; i++)
		fill_fields(a, &rcpt_fields, &e->rcpts[i], (unsigned)i);
	return e;
}

struct spool_envelope *plain_envelope(struct arena *a, const char *sender, const char *rcpt)
{
	struct spool_envelope *e = ARENA_NEW(a, struct spool_envelope);
	e->arrival = 1700000000000000;
	e->sender = sender;
	e->client =
		(struct spool_client){ .name = "client.example", .address = "192.0.2.1", .proto = "ESMTP" };
	e->nrcpts = 1;
	e->rcpts = ARENA_NEW(a, struct spool_rcpt);
	e->rcpts[0].address = rcpt;
	return e;
}

struct listing {
	struct buf text;
};

static void add_line(void *ctx, const char *label, const char *value)
{
	struct listing *l = ctx;
	buf_printf(&l->text, "%s=%s\n", label, value);
}

/* Both structs have the same fields with the same values. */
static void assert_same_fields(const struct field_table *t, const void *one, const void *two)
{
	struct listing a = { BUF_INIT }, b = { BUF_INIT };
	fields_each(t, one, add_line, &a);
	fields_each(t, two, add_line, &b);
	assert_string_equal(buf_str(&a.text), buf_str(&b.text));
	buf_free(&a.text);
	buf_free(&b.text);
}

static void assert_same_extra(const struct spool_extra *a, const struct spool_extra *b)
{
	assert_int_equal(a->len, b->len);
	if (a->len)
		assert_memory_equal(a->data, b->data, a->len);
}

void assert_same_envelope(const struct spool_envelope *a, const struct spool_envelope *b)
{
	assert_same_fields(&message_fields, a, b);
	assert_same_extra(&a->extra, &b->extra);
	assert_int_equal(a->nattrs, b->nattrs);
	for (size_t i = 0; i < a->nattrs; i++)
		assert_same_fields(&attr_fields, &a->attrs[i], &b->attrs[i]);
	assert_int_equal(a->nrcpts, b->nrcpts);
	for (size_t i = 0; i < a->nrcpts; i++) {
		assert_same_fields(&rcpt_fields, &a->rcpts[i], &b->rcpts[i]);
		assert_same_extra(&a->rcpts[i].extra, &b->rcpts[i].extra);
	}
}

void fill_content(char *p, size_t n, unsigned number)
{
	char line[32];
	int len = snprintf(line, sizeof line, "message %u line\n", number);
	for (size_t i = 0; i < n; i++)
		p[i] = line[(i + i / 4096) % (size_t)len];
}

void catch_hint(void *ctx, const void *hint, size_t len)
{
	struct hint_catch *c = ctx;
	struct tlv_reader r = tlv_read(hint, len);
	struct tlv f;
	struct hint_batch b = { 0 };
	pthread_mutex_lock(&c->lock);
	buf_add(&c->hints, hint, len);
	while (tlv_next(&r, &f)) {
		struct hint_message m;
		if (f.type == HINT_BATCH) {
			memcpy(&b, f.data, sizeof b);
			continue;
		}
		memcpy(&m, f.data, sizeof m);
		struct ticket t = { .home = f.type == HINT_FILE ? TICKET_FILE : TICKET_JOURNAL,
				    .serial = m.serial,
				    .number = b.number,
				    .length = m.length,
				    .at = m.at,
				    .salt = b.salt };
		ticket_put(&c->tickets, &t);
	}
	assert_false(r.bad);
	pthread_mutex_unlock(&c->lock);
}
