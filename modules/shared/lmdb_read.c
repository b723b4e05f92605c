/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/lmdb_read.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/lmdb_pages.h"

enum {
	TRIES = 100,
	KEY_MAX = 511,
};

/* ---- the file in memory -------------------------------------------------------------------------------------------- */

struct map {
	struct map *next; /* those that it replaced: somebody may still read there */
	const unsigned char *bytes;
	size_t size; /* a multiple of the page size */
};

struct lmdb_reader {
	const struct ost_host *host;
	int fd;
	size_t page_size;          /* 0: the file was empty */
	pthread_mutex_t lock;      /* held while a map is replaced */
	_Atomic(struct map *) map; /* NULL: the file was empty */
};

static void free_maps(struct map *m)
{
	while (m) {
		struct map *next = m->next;
		munmap((void *)(uintptr_t)m->bytes, m->size);
		free(m);
		m = next;
	}
}

static size_t meta_txn(const struct map *m, size_t page_size, int which)
{
	const unsigned char *at =
		m->bytes + (size_t)which * page_size + LMDB_PAGE_HEAD + offsetof(struct lmdb_meta, txn);
	return __atomic_load_n((const size_t *)(const void *)at, __ATOMIC_ACQUIRE);
}

/* What is read before and behind it is read in that order. */
static void fence(void)
{
#ifdef __SANITIZE_THREAD__ /* knows no fences */
	atomic_int here = 0;
	atomic_fetch_add(&here, 1);
#else
	atomic_thread_fence(memory_order_seq_cst);
#endif
}

static size_t newest_txn(const struct map *m, size_t page_size)
{
	fence();
	size_t a = meta_txn(m, page_size, 0), b = meta_txn(m, page_size, 1);
	return a > b ? a : b;
}

/* A meta page as it is between two commits. Its transaction's number is written last. */
static void read_meta(const struct map *m, size_t page_size, int which, struct lmdb_meta *meta)
{
	size_t before;
	int i = 0;
	do {
		before = meta_txn(m, page_size, which);
		lmdb_copy_out(meta, m->bytes + (size_t)which * page_size + LMDB_PAGE_HEAD, sizeof *meta);
		fence();
	} while ((meta->txn != before || meta_txn(m, page_size, which) != before) && i++ < TRIES);
}

/* Maps as much of the file as is there. False: errno, 0 when it holds less than two pages. */
static bool map_file(struct lmdb_reader *r)
{
	struct stat st;
	errno = 0;
	if (fstat(r->fd, &st) < 0)
		return false;
	size_t size = (size_t)st.st_size - (size_t)st.st_size % r->page_size;
	if (size < 2 * r->page_size)
		return false;
	void *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, r->fd, 0);
	if (bytes == MAP_FAILED)
		return false;
	struct map *m = malloc(sizeof *m);
	if (!m) {
		munmap(bytes, size);
		errno = ENOMEM;
		return false;
	}
	*m = (struct map){ .bytes = bytes, .size = size, .next = atomic_load(&r->map) };
	atomic_store(&r->map, m);
	return true;
}

/* The page size that the first meta page tells; 0 with the reason: no such file. */
static size_t find_page_size(const struct lmdb_reader *r, struct ost_why *why)
{
	struct lmdb_meta meta;
	if (pread(r->fd, &meta, sizeof meta, LMDB_PAGE_HEAD) != (ssize_t)sizeof meta ||
	    meta.magic != LMDB_META_MAGIC)
		return r->host->why(why, "not a file of LMDB"), 0;
	size_t size = meta.trees[0].pad;
	if (meta.version != LMDB_META_VERSION || size < 512 || size > 65536 || (size & (size - 1)))
		return r->host->why(why, "a file of LMDB in a format that is not known"), 0;
	if (meta.trees[1].flags)
		return r->host->why(why, "a file of LMDB with another order of keys than postmap's"), 0;
	return size;
}

/* Finds out what there is. A file that is empty as yet is asked again at each lookup. */
static bool look(struct lmdb_reader *r, struct ost_why *why)
{
	struct stat st;
	if (fstat(r->fd, &st) == 0 && st.st_size == 0)
		return true;
	r->page_size = find_page_size(r, why);
	if (!r->page_size)
		return false;
	return map_file(r) || r->host->why(why, "%s", errno ? strerror(errno) : "the file is cut off");
}

struct lmdb_reader *lmdb_reader_open(const struct ost_host *host, int fd, struct ost_why *why)
{
	struct lmdb_reader *r = calloc(1, sizeof *r);
	if (!r) {
		host->why(why, "out of memory");
		return NULL;
	}
	r->host = host;
	r->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	pthread_mutex_init(&r->lock, NULL);
	bool ok = r->fd >= 0 ? look(r, why) : host->why(why, "%s", strerror(errno));
	if (ok)
		return r;
	lmdb_reader_close(r);
	return NULL;
}

void lmdb_reader_close(struct lmdb_reader *r)
{
	if (!r)
		return;
	free_maps(atomic_load(&r->map));
	if (r->fd >= 0)
		close(r->fd);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* Another, larger map in place of the one that turned out too small. */
static bool map_again(struct lmdb_reader *r, const struct map *small, struct ost_why *why)
{
	bool ok = true;
	pthread_mutex_lock(&r->lock);
	if (atomic_load(&r->map) == small)
		ok = small ? map_file(r) : look(r, why);
	pthread_mutex_unlock(&r->lock);
	const struct map *now = atomic_load(&r->map);
	return ok && (!small || (now && now->size > small->size));
}

/* The newest snapshot; false: both meta pages are damaged. */
static bool take_view(const struct lmdb_reader *r, const struct map *m, struct lmdb_view *v)
{
	size_t page_size = r->page_size;
	*v = (struct lmdb_view){ .bytes = m->bytes, .pages = m->size / page_size, .page_size = page_size };
	bool found = false;
	for (int i = 0; i < 2; i++) {
		struct lmdb_meta meta;
		read_meta(m, page_size, i, &meta);
		if (meta.magic != LMDB_META_MAGIC || meta.version != LMDB_META_VERSION ||
		    (found && meta.txn <= v->txn))
			continue;
		v->tree = meta.trees[1];
		v->txn = meta.txn;
		found = true;
	}
	return found && v->tree.flags == 0;
}

/* ---- asking -------------------------------------------------------------------------------------------------------- */

/* What one look is for. */
struct question {
	const char *key;
	size_t klen;
	bool nul;                /* answers are without a NUL at their end */
	struct ost_answer *next; /* NULL: the key itself is asked for */
	struct ost_answer *value;
	bool found;
	size_t next_len; /* of the next key, as it is stored */
	char next_key[KEY_MAX];
};

static void answer(const struct lmdb_reader *r, const struct question *q, struct ost_answer *a,
		   const unsigned char *text, size_t len)
{
	r->host->answer(a, (const char *)text, q->nul && len > 0 && text[len - 1] == '\0' ? len - 1 : len);
}

/* Is the entry behind the key that was asked for? Where a damaged file has it otherwise a walk would not end.
 */
static bool is_behind(const struct lmdb_entry *e, const struct question *q)
{
	size_t least = e->klen < q->klen ? e->klen : q->klen;
	int diff = least ? memcmp(e->key, q->key, least) : 0;
	return diff > 0 || (diff == 0 && e->klen > q->klen);
}

static enum lmdb_step answer_key(const struct lmdb_reader *r, struct question *q, const struct lmdb_entry *e)
{
	if (e->klen > sizeof q->next_key || !is_behind(e, q))
		return LMDB_DAMAGED;
	lmdb_copy_out(q->next_key, e->key, e->klen);
	q->next_len = e->klen;
	answer(r, q, q->next, e->key, e->klen);
	return LMDB_OK;
}

static enum lmdb_step try_once(const struct lmdb_reader *r, const struct map *m, struct question *q,
			       struct lmdb_view *v)
{
	struct lmdb_entry e;
	q->found = false;
	if (!take_view(r, m, v)) {
		v->txn = newest_txn(m, r->page_size);
		return LMDB_DAMAGED;
	}
	enum lmdb_step step = lmdb_find(v, q->key, q->klen, q->next && q->klen > 0, &e, &q->found);
	if (step != LMDB_OK || !q->found)
		return step;
	if (q->next)
		step = answer_key(r, q, &e);
	else
		q->found = e.klen == q->klen && memcmp(e.key, q->key, e.klen) == 0;
	if (step == LMDB_OK && q->found)
		answer(r, q, q->value, e.value, e.vlen);
	return step;
}

static enum ost_found failed(const struct lmdb_reader *r, struct ost_answer *answer, enum ost_found result,
			     const char *text)
{
	r->host->answer_why(answer, "%s", text);
	return result;
}

/* Repeats the look until nothing that it saw can have been written meanwhile. */
static enum ost_found ask(struct lmdb_reader *r, struct question *q)
{
	for (int i = 0; i < TRIES; i++) {
		struct ost_why why = { "" };
		struct lmdb_view v;
		const struct map *m = atomic_load(&r->map);
		if (!m) {
			if (!map_again(r, NULL, &why))
				return failed(r, q->value, OST_BADTABLE, why.text);
			if (!(m = atomic_load(&r->map)))
				return OST_NOTFOUND;
		}
		enum lmdb_step step = try_once(r, m, q, &v);
		if (newest_txn(m, r->page_size) - v.txn > 1)
			continue;
		if (step == LMDB_BEYOND && map_again(r, m, &why))
			continue;
		if (step != LMDB_OK)
			return failed(r, q->value, OST_BADTABLE, "the index is damaged");
		return q->found ? OST_FOUND : OST_NOTFOUND;
	}
	return failed(r, q->value, OST_TEMPFAIL, "the index is changed too often");
}

enum ost_found lmdb_reader_get(struct lmdb_reader *r, const void *key, size_t klen, bool nul,
			       struct ost_answer *value)
{
	struct question q;
	q.key = key;
	q.klen = klen;
	q.nul = nul;
	q.next = NULL;
	q.value = value;
	return ask(r, &q);
}

enum ost_found lmdb_reader_next(struct lmdb_reader *r, char *key, size_t *klen, bool nul,
				struct ost_answer *next, struct ost_answer *value)
{
	struct question q = { .key = key, .klen = *klen, .nul = nul, .next = next, .value = value };
	enum ost_found found = ask(r, &q);
	if (found == OST_FOUND) {
		memcpy(key, q.next_key, q.next_len);
		*klen = q.next_len;
	}
	return found;
}

bool lmdb_reader_has_nul(struct lmdb_reader *r)
{
	struct lmdb_view v;
	struct lmdb_entry e;
	bool found = false;
	const struct map *m = atomic_load(&r->map);
	return m && take_view(r, m, &v) && lmdb_find(&v, "", 0, false, &e, &found) == LMDB_OK && found &&
	       e.klen > 0 && e.key[e.klen - 1] == '\0';
}

bool lmdb_reader_check(struct lmdb_reader *r)
{
	struct lmdb_view v;
	const struct map *m = atomic_load(&r->map);
	return !m || (take_view(r, m, &v) && lmdb_check(&v));
}
