/* SPDX-License-Identifier: Apache-2.0
 * Reading the content of a fetched message. In wire form as it stands in the file; with LF line ends by way
 * of blocks: where each begins in both forms is noted as it is met, so that going back costs one block,
 * wherever it leads. */
#include "spool/stored.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"

enum {
	BLOCK = 64 * 1024, /* of wire form */
	LENT = 128 * 1024, /* at once: it stays in the processor's cache between its sum and its use */
};

struct mark { /* where a block begins */
	uint64_t wire, lf;
	bool in_line;
};

struct stored_wire {
	struct file_view view;
	/* Is the content what was stored? */
	bool verified, damaged;
	struct sum_stream *sum; /* of what was read so far, from the first byte on; NULL: nothing */
	uint64_t summed;
	char *room; /* for what is lent */
	/* With LF line ends: blocks 0 … nmarks - 1 have been met, and the one after the last begins at
	 * marks[nmarks]. */
	struct mark *marks;
	size_t nmarks, cap;
	char *block; /* block number `at`, with LF line ends */
	size_t at, len;
	bool in_memory; /* there is one in it */
};

struct stored_wire *stored_wire_new(const struct file_view *v, bool verified)
{
	struct stored_wire *w = MEM_NEW(struct stored_wire);
	w->view = *v;
	w->verified = verified;
	return w;
}

/* Lets the sum so far go. */
static void forget_sum(struct stored_wire *w)
{
	if (w->sum)
		(void)sum_stream_end(&w->sum);
	w->summed = 0;
}

void stored_wire_free(struct stored_wire **wp)
{
	struct stored_wire *w = *wp;
	if (!w)
		return;
	forget_sum(w);
	free(w->room);
	free(w->marks);
	free(w->block);
	free(w);
	*wp = NULL;
}

/* ---- is it what was stored? ---------------------------------------------------------------------------------------------- */

static bool found_damaged(struct stored_wire *w)
{
	char name[FILE_NAME];
	w->damaged = true;
	log_error("spool: message/%s: the content's sum is wrong", file_name(name, w->view.head.serial));
	return false;
}

/* Before a byte is given away: reads it through, unless that was done. */
static bool verify(struct stored_wire *w)
{
	struct ost_why why = { "" };
	if (w->verified || w->damaged)
		return w->verified;
	switch (file_check_content(&w->view, &why)) {
	case FILE_GOOD:
		w->verified = true;
		return true;
	case FILE_DAMAGED:
		return found_damaged(w);
	default:
		log_error("spool: %s", why.text);
		return false;
	}
}

/* Takes note of the bytes that come next; false: they are the last ones, and the sum is wrong. */
static bool add_to_sum(struct stored_wire *w, const char *p, size_t n)
{
	if (!w->sum)
		w->sum = sum_stream_new(w->view.head.serial);
	sum_stream_add(w->sum, p, n);
	w->summed += n;
	if (w->summed < w->view.head.content_len)
		return true;
	w->verified = sum_equal(sum_stream_end(&w->sum), w->view.head.content_sum);
	return w->verified || found_damaged(w);
}

/* ---- wire form ----------------------------------------------------------------------------------------------------------- */

bool spool_stored_has_wire(const struct spool_stored *m, uint64_t longest, uint64_t *size)
{
	if (!m->wire)
		return false;
	const struct record_head *h = &m->wire->view.head;
	*size = h->content_len;
	return !h->wire.odd && (longest == 0 || h->wire.longest <= longest);
}

/* Bytes of the file's content. */
static ssize_t read_wire(const struct stored_wire *w, uint64_t at, void *p, size_t n)
{
	uint64_t size = w->view.head.content_len;
	if (at >= size)
		return 0;
	if (n > size - at)
		n = (size_t)(size - at);
	return io_pread_full(w->view.fd, p, n, (off_t)(w->view.content_at + at)) ? (ssize_t)n : -1;
}

ssize_t spool_stored_wire(struct spool_stored *m, uint64_t at, const char **p)
{
	struct stored_wire *w = m->wire;
	if (!w || w->damaged)
		return -1;
	if (at == 0)
		forget_sum(w); /* from the beginning again */
	bool next = !w->verified && at == w->summed &&
		    w->view.head.prefix_len == 0; /* a prefix's sum comes last */
	if (!next && !verify(w))
		return -1;
	if (!w->room)
		w->room = mem_alloc(LENT);
	*p = w->room;
	ssize_t got = read_wire(w, at, w->room, LENT);
	return got <= 0 || !next || add_to_sum(w, w->room, (size_t)got) ? got : -1;
}

/* ---- LF form ------------------------------------------------------------------------------------------------------------- */

static void add_mark(struct stored_wire *w, struct mark m)
{
	if (w->nmarks + 1 >= w->cap) {
		w->cap = w->cap * 2 + 16;
		w->marks = mem_realloc_array(w->marks, w->cap, sizeof *w->marks);
	}
	w->marks[++w->nmarks] = m;
}

/* Brings a block into memory that has been met, or is the next one. */
static bool load_block(struct stored_wire *w, size_t number)
{
	if (w->in_memory && w->at == number)
		return true;
	if (!w->block) {
		w->block = mem_alloc(BLOCK);
		w->cap = 16;
		w->marks = mem_realloc_array(NULL, w->cap, sizeof *w->marks);
		w->marks[0] = (struct mark){ 0 };
	}
	struct mark m = w->marks[number];
	w->in_memory = false;
	ssize_t got = read_wire(w, m.wire, w->block, BLOCK);
	if (got <= 0)
		return false;
	size_t used;
	bool last = m.wire + (uint64_t)got == w->view.head.content_len;
	w->len = wire_decode(&m.in_line, w->block, (size_t)got, last, w->block, &used);
	w->at = number;
	w->in_memory = true;
	if (number == w->nmarks)
		add_mark(w, (struct mark){ m.wire + used, m.lf + w->len, m.in_line });
	return true;
}

/* The last block that has been met and does not begin behind this place; the next one, when it is that. */
static size_t find_block(const struct stored_wire *w, uint64_t lf)
{
	size_t low = 0, high = w->nmarks;
	while (low < high) {
		size_t middle = high - (high - low) / 2;
		if (w->marks[middle].lf <= lf)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* Some bytes from a place before the end; 0: they cannot be read. */
static size_t read_lf(struct stored_wire *w, uint64_t at, char *p, size_t n)
{
	size_t number = w->block ? find_block(w, at) : 0;
	do
		if (!load_block(w, number))
			return 0;
	while (w->marks[number + 1].lf <= at && ++number);
	size_t skip = (size_t)(at - w->marks[number].lf), part = w->len - skip < n ? w->len - skip : n;
	memcpy(p, w->block + skip, part);
	return part;
}

ssize_t spool_stored_read(struct spool_stored *m, uint64_t at, void *p, size_t n)
{
	if (at >= m->size)
		return 0;
	if (n > m->size - at)
		n = (size_t)(m->size - at);
	if (m->data) {
		memcpy(p, m->data + at, n);
		return (ssize_t)n;
	}
	if (!m->wire)
		return io_pread_full(m->fd, p, n, (off_t)(m->fd_offset + at)) ? (ssize_t)n : -1;
	if (!verify(m->wire))
		return -1;
	char *to = p;
	for (size_t done = 0, part; done < n; done += part) {
		part = read_lf(m->wire, at + done, to + done, n - done);
		if (part == 0)
			return -1;
	}
	return (ssize_t)n;
}

/* ---- for others ---------------------------------------------------------------------------------------------------------- */

/* A memfd with the LF form. */
static int lf_memfd(struct spool_stored *m)
{
	int fd = io_memfd_new("message");
	char *piece = mem_alloc(BLOCK);
	ssize_t n = 0;
	for (uint64_t at = 0; fd >= 0 && at < m->size; at += (uint64_t)n) {
		n = spool_stored_read(m, at, piece, BLOCK);
		if (n <= 0 || !io_write_all(fd, piece, (size_t)n))
			io_close(&fd);
	}
	free(piece);
	if (fd >= 0 && !io_memfd_seal(fd))
		io_close(&fd);
	return fd;
}

int spool_stored_fd(struct spool_stored *m, uint64_t *offset)
{
	*offset = m->data || m->wire ? 0 : m->fd_offset;
	if (m->data)
		return io_memfd("message", m->data, (size_t)m->size);
	return m->wire ? lf_memfd(m) : fcntl(m->fd, F_DUPFD_CLOEXEC, 0);
}

int spool_stored_wire_fd(struct spool_stored *m, uint64_t *offset)
{
	*offset = m->fd_offset;
	return m->wire && verify(m->wire) ? fcntl(m->fd, F_DUPFD_CLOEXEC, 0) : -1;
}

void spool_stored_free(struct spool_stored *m)
{
	arena_destroy(&m->arena);
	free(m->memory);
	stored_wire_free(&m->wire);
	io_close(&m->fd);
	*m = (struct spool_stored){ .fd = -1 };
}
