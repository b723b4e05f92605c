/* SPDX-License-Identifier: Apache-2.0
 * LMDB's pages (format 1, of this machine's word size and byte order) in memory that others may write
 * meanwhile: every number in them is checked before it is used, and what makes no sense is said to be
 * damaged. */
#ifndef SHARED_LMDB_PAGES_H
#define SHARED_LMDB_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LMDB_META_MAGIC 0xBEEFC0DEu
#define LMDB_NO_PAGE    SIZE_MAX /* the root of an empty tree; no page to the right */
enum { LMDB_PAGE_HEAD = 16, LMDB_META_VERSION = 1 };

struct lmdb_tree {    /* a database's record in a meta page */
	uint32_t pad; /* of the first one: the size of a page */
	uint16_t flags, depth;
	size_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

struct lmdb_meta { /* behind the head of the first two pages */
	uint32_t magic, version;
	void *address;
	size_t map_size;
	struct lmdb_tree trees[2]; /* free pages; entries */
	size_t last_page;
	size_t txn;
};

/* One snapshot of a file in memory. */
struct lmdb_view {
	const unsigned char *bytes;
	size_t pages, page_size;
	struct lmdb_tree tree;
	size_t txn;
};

enum lmdb_step {
	LMDB_OK,
	LMDB_DAMAGED, /* or written again meanwhile */
	LMDB_BEYOND,  /* a page that is not in memory: the file has grown */
};

struct lmdb_entry {
	const unsigned char *key, *value;
	size_t klen, vlen;
};

/* The bytes are changed by other processes while they are read. */
void lmdb_copy_out(void *to, const unsigned char *from, size_t n);
/* The first entry whose key is not lower than the given one (with behind: higher). *found: there is one. */
enum lmdb_step lmdb_find(const struct lmdb_view *, const char *key, size_t klen, bool behind,
			 struct lmdb_entry *, bool *found);
/* Is all of it readable and in order? */
bool lmdb_check(const struct lmdb_view *);

#endif
