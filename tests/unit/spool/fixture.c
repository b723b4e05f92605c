/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"

void fixture_open(struct fixture *f)
{
	struct ost_why why;
	f->spool = spool_open(f->path, &f->options, &why);
	if (!f->spool)
		fail_msg("%s", why.text);
	f->writer = spool_writer_open(f->spool, catch_hint, &f->hints, &why);
	if (!f->writer)
		fail_msg("%s", why.text);
}

void fixture_close(struct fixture *f)
{
	spool_writer_close(&f->writer);
	spool_close(&f->spool);
}

int fixture_setup(void **state)
{
	struct fixture *f = MEM_NEW(struct fixture);
	pthread_mutex_init(&f->hints.lock, NULL);
	f->path = scratch_spool();
	f->arena = arena_new();
	f->options = (struct spool_options){ .segment_size = 256 * 1024, .segment_count = 4 };
	fixture_open(f);
	*state = f;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	fixture_close(f);
	scratch_remove(f->path);
	arena_destroy(&f->arena);
	buf_free(&f->hints.tickets);
	buf_free(&f->hints.hints);
	pthread_mutex_destroy(&f->hints.lock);
	free(f);
	return 0;
}

/* Stores a message of `size` bytes of content number `number`, with a prefix or without. */
enum spool_outcome fixture_store(struct fixture *f, size_t size, unsigned number, const char *prefix)
{
	return fixture_store_in_pieces(f, size, number, prefix, 1000);
}

enum spool_outcome fixture_store_in_pieces(struct fixture *f, size_t size, unsigned number, const char *prefix, size_t piece)
{
	struct spool_draft *d = spool_draft_new(f->writer);
	char *content = mem_alloc(size);
	fill_content(content, size, number);
	for (size_t at = 0; at < size; at += piece)
		spool_draft_write(d, content + at, size - at < piece ? size - at : piece);
	if (prefix)
		spool_draft_prepend(d, prefix, strlen(prefix));
	free(content);
	return spool_draft_commit_wait(&d, plain_envelope(f->arena, "a@example.com", "b@example.com"));
}

/* The nth ticket that was hinted. */
struct ticket fixture_ticket(struct fixture *f, size_t n)
{
	struct ticket t;
	assert_true(f->hints.tickets.len >= (n + 1) * sizeof t);
	memcpy(&t, f->hints.tickets.data + n * sizeof t, sizeof t);
	return t;
}

/* Fetches by ticket and compares with what store() made. */
void assert_stored(struct fixture *f, const struct ticket *t, size_t size, unsigned number,
		   const char *prefix)
{
	struct spool_stored m;
	struct ost_why why;
	size_t skip = prefix ? strlen(prefix) : 0;
	char *want = mem_alloc(size), *got = mem_alloc(size + skip + 1);
	fill_content(want, size, number);
	if (spool_fetch(f->spool, t, sizeof *t, &m, &why) != FETCH_OK)
		fail_msg("%s", why.text);
	assert_int_equal(m.size, size + skip);
	assert_int_equal(m.env->serial, t->serial);
	assert_int_equal(m.env->size, size + skip);
	assert_string_equal(m.env->rcpts[0].address, "b@example.com");
	assert_int_equal(spool_stored_read(&m, 0, got, size + skip + 1), size + skip);
	if (skip)
		assert_memory_equal(got, prefix, skip);
	assert_memory_equal(got + skip, want, size);
	uint64_t offset;
	int fd = spool_stored_fd(&m, &offset);
	assert_true(fd >= 0);
	assert_true(io_pread_full(fd, got, size + skip, (off_t)offset));
	assert_memory_equal(got + skip, want, size);
	io_close(&fd);
	spool_stored_free(&m);
	free(want);
	free(got);
}

int fail_step(void *ctx, const struct sys_call *call)
{
	struct failing *x = ctx;
	if (call->step != x->step)
		return 0;
	x->seen++;
	if (x->countdown-- > 0 || x->times-- <= 0)
		return 0;
	return x->error;
}
