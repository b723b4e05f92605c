/* SPDX-License-Identifier: Apache-2.0
 * A whole index. LMDB writes to files that it opens by name, and there is only a descriptor: so the entries,
 * in order, go to a file in memory, and a compact copy of that to the descriptor. */
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared/indexfile.h"
#include "shared/lmdb_write.h"

struct item {           /* an entry of the map, to be put in order */
	uint64_t start; /* the key's first bytes, so that most comparisons end there */
	const char *key, *value;
	size_t klen, vlen;
};

static uint64_t first_bytes(const char *key, size_t len)
{
	uint64_t start = 0;
	for (size_t i = 0; i < sizeof start; i++)
		start = start << 8 | (i < len ? (unsigned char)key[i] : 0);
	return start;
}

static int in_order(const void *va, const void *vb)
{
	const struct item *a = va, *b = vb;
	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	int diff = memcmp(a->key, b->key, a->klen < b->klen ? a->klen : b->klen);
	return diff ? diff : (a->klen > b->klen) - (a->klen < b->klen);
}

/* The entries of the map in LMDB's order, with their NULs. NULL: out of memory. */
static struct item *sorted(const struct textmap *map, bool nul, size_t *count, size_t *bytes)
{
	struct item one, *items = NULL;
	size_t n = 0, sum = 0;
	while (textmap_at(map, n, &one.key, &one.klen, &one.value, &one.vlen))
		n++;
	items = malloc((n + 1) * sizeof *items);
	for (size_t i = 0; items && i < n; i++) {
		struct item *it = &items[i];
		textmap_at(map, i, &it->key, &it->klen, &it->value, &it->vlen);
		it->klen += nul;
		it->vlen += nul;
		it->start = first_bytes(it->key, it->klen);
		sum += it->klen + it->vlen;
	}
	if (items)
		qsort(items, n, sizeof *items, in_order);
	*count = n;
	*bytes = sum;
	return items;
}

/* Ordered entries fill their pages nearly; a value that has pages of its own wastes most of one. */
static size_t map_size(size_t count, size_t bytes)
{
	enum { ENTRY_OVERHEAD = 32, SPARE = 1 << 20 };
	size_t large_values = bytes / 1024;
	return (bytes + count * ENTRY_OVERHEAD) * 2 + large_values * 8192 + SPARE;
}

static int put_all(MDB_env *env, const struct item *items, size_t count)
{
	MDB_txn *txn = NULL;
	MDB_dbi dbi;
	int error = mdb_txn_begin(env, NULL, 0, &txn);
	if (!error)
		error = mdb_dbi_open(txn, NULL, 0, &dbi);
	for (size_t i = 0; i < count && !error; i++) {
		MDB_val key = { items[i].klen, (void *)(uintptr_t)items[i].key };
		MDB_val value = { items[i].vlen, (void *)(uintptr_t)items[i].value };
		error = mdb_put(txn, dbi, &key, &value, MDB_APPEND);
	}
	if (!error)
		return mdb_txn_commit(txn);
	if (txn)
		mdb_txn_abort(txn);
	return error;
}

/* LMDB's error, 0: none. */
static int write_index(int fd, const struct item *items, size_t count, size_t bytes)
{
	char path[64];
	MDB_env *env = NULL;
	int memory = memfd_create("index", MFD_CLOEXEC);
	if (memory < 0)
		return errno;
	snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
	int error = mdb_env_create(&env);
	if (!error)
		error = mdb_env_set_mapsize(env, map_size(count, bytes));
	if (!error)
		error = mdb_env_open(env, path,
				     MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC | MDB_WRITEMAP | MDB_NOMEMINIT,
				     0600);
	if (!error)
		error = put_all(env, items, count);
	if (!error)
		error = mdb_env_copyfd2(env, fd, MDB_CP_COMPACT);
	if (env)
		mdb_env_close(env);
	close(memory);
	return error;
}

static bool keys_fit(const struct ost_host *host, const struct item *items, size_t count, struct ost_why *why)
{
	for (size_t i = 0; i < count; i++)
		if (items[i].klen > LMDB_KEY_MAX || items[i].klen == 0)
			return host->why(why, "the key \"%.100s\"%s is longer than %d bytes", items[i].key,
					 items[i].klen > 100 ? " ..." : "", LMDB_KEY_MAX);
	return true;
}

bool lmdb_build(const struct ost_host *host, struct ost_source *source, struct ost_why *why)
{
	size_t count = 0, bytes = 0;
	struct textmap *map = index_gather(host, source, why);
	if (!map)
		return false;
	struct item *items = sorted(map, !(source->flags & OST_BUILD_NO_NULL), &count, &bytes);
	bool ok = items ? keys_fit(host, items, count, why) : host->why(why, "out of memory");
	int error = ok ? write_index(source->fd, items, count, bytes) : 0;
	if (error)
		ok = host->why(why, "cannot write the index: %s", mdb_strerror(error));
	free(items);
	textmap_free(map);
	return ok;
}
