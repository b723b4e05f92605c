/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/lmdb_pages.h"

#include <endian.h>
#include <stdatomic.h>
#include <string.h>

enum {
	PAGE_BRANCH = 0x01,
	PAGE_LEAF = 0x02,
	PAGE_OVERFLOW = 0x04,
	NODE_HEAD = 8,
	NODE_BIG = 0x01,   /* the value lies in pages of its own */
	NODE_OTHER = 0x06, /* a database in the database, or several values of one key */
	DEPTH_MAX = 32,
};

struct page_head {
	size_t number;
	uint16_t pad, flags;
	uint16_t lower, upper; /* free space between the entries' offsets and the entries */
};

struct node_head {
#if __BYTE_ORDER == __LITTLE_ENDIAN
	uint16_t low, high;
#else
	uint16_t high, low;
#endif
	uint16_t flags, klen;
};

void lmdb_copy_out(void *to, const unsigned char *from, size_t n)
{
	memcpy(to, from, n);
	atomic_signal_fence(memory_order_seq_cst);
}

/* ---- entries ------------------------------------------------------------------------------------------------------- */

struct page {
	const unsigned char *at;
	unsigned flags, count;
};

struct node {
	const unsigned char *key;
	size_t klen;
	struct node_head head;
	size_t room; /* bytes of the page behind the key */
};

static enum lmdb_step get_page(const struct lmdb_view *v, size_t number, struct page *p)
{
	if (number >= v->pages)
		return LMDB_BEYOND;
	struct page_head head;
	p->at = v->bytes + number * v->page_size;
	lmdb_copy_out(&head, p->at, sizeof head);
	p->flags = head.flags & (PAGE_BRANCH | PAGE_LEAF);
	if (head.number != number || (p->flags != PAGE_BRANCH && p->flags != PAGE_LEAF) ||
	    head.lower < LMDB_PAGE_HEAD || head.lower > v->page_size)
		return LMDB_DAMAGED;
	p->count = (head.lower - LMDB_PAGE_HEAD) / 2u;
	return LMDB_OK;
}

static bool get_node(const struct lmdb_view *v, const struct page *p, unsigned i, struct node *n)
{
	uint16_t at;
	lmdb_copy_out(&at, p->at + LMDB_PAGE_HEAD + i * sizeof at, sizeof at);
	if (at < LMDB_PAGE_HEAD || (size_t)at + NODE_HEAD > v->page_size)
		return false;
	lmdb_copy_out(&n->head, p->at + at, NODE_HEAD);
	n->key = p->at + at + NODE_HEAD;
	n->klen = n->head.klen;
	if (n->klen > v->page_size - at - NODE_HEAD)
		return false;
	n->room = v->page_size - at - NODE_HEAD - n->klen;
	return true;
}

static size_t node_page(const struct node *n)
{
	size_t number = n->head.low | (size_t)n->head.high << 16;
	return sizeof number > 4 ? number | (uint64_t)n->head.flags << 32 : number;
}

static int compare(const struct node *n, const void *key, size_t klen)
{
	size_t least = n->klen < klen ? n->klen : klen;
	int diff = least ? memcmp(n->key, key, least) : 0;
	return diff ? diff : (n->klen > klen) - (n->klen < klen);
}

/* How many of the entries from `first` on have keys that are lower than key, or the same (with equal). */
static bool count_lower(const struct lmdb_view *v, const struct page *p, unsigned first, const void *key,
			size_t klen, bool equal, unsigned *count)
{
	unsigned low = first, high = p->count;
	while (low < high) {
		struct node n;
		unsigned mid = (low + high) / 2;
		if (!get_node(v, p, mid, &n))
			return false;
		int diff = compare(&n, key, klen);
		if (diff < 0 || (diff == 0 && equal))
			low = mid + 1;
		else
			high = mid;
	}
	*count = low;
	return true;
}

/* A leaf that was reached, and the branch's next page to the right of the way there. */
struct place {
	struct page leaf;
	size_t right; /* LMDB_NO_PAGE: there is none */
};

/* From the given page down to the leaf where the key belongs. */
static enum lmdb_step descend(const struct lmdb_view *v, size_t number, const void *key, size_t klen,
			      struct place *where)
{
	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		struct node n;
		unsigned i;
		enum lmdb_step step = get_page(v, number, &where->leaf);
		if (step != LMDB_OK || where->leaf.flags == PAGE_LEAF)
			return step;
		const struct page *p = &where->leaf;
		if (p->count < 2 || !count_lower(v, p, 1, key, klen, true,
						 &i)) /* the first entry's key stands for all lower ones */
			return LMDB_DAMAGED;
		if (i < p->count) {
			if (!get_node(v, p, i, &n))
				return LMDB_DAMAGED;
			where->right = node_page(&n);
		}
		if (!get_node(v, p, i - 1, &n))
			return LMDB_DAMAGED;
		number = node_page(&n);
	}
	return LMDB_DAMAGED;
}

/* The value of a leaf's entry. */
static enum lmdb_step get_value(const struct lmdb_view *v, const struct node *n, const unsigned char **value,
				size_t *len)
{
	size_t number, pages = v->pages;
	struct page_head head;
	*len = n->head.low | (size_t)n->head.high << 16;
	*value = n->key + n->klen;
	if (n->head.flags & NODE_OTHER)
		return LMDB_DAMAGED;
	if (!(n->head.flags & NODE_BIG))
		return *len <= n->room ? LMDB_OK : LMDB_DAMAGED;
	if (n->room < sizeof number)
		return LMDB_DAMAGED;
	lmdb_copy_out(&number, *value, sizeof number);
	if (number >= pages || *len > (pages - number) * v->page_size - LMDB_PAGE_HEAD)
		return LMDB_BEYOND;
	const unsigned char *at = v->bytes + number * v->page_size;
	lmdb_copy_out(&head, at, sizeof head);
	*value = at + LMDB_PAGE_HEAD;
	return head.number == number && (head.flags & PAGE_OVERFLOW) ? LMDB_OK : LMDB_DAMAGED;
}

/* ---- finding ------------------------------------------------------------------------------------------------------- */

/* The leaf where the key belongs and the entry's number there, which may be on the page to the right. */
static enum lmdb_step find_place(const struct lmdb_view *v, const char *key, size_t klen, bool behind,
				 struct place *where, unsigned *i)
{
	enum lmdb_step step = descend(v, v->tree.root, key, klen, where);
	if (step != LMDB_OK)
		return step;
	if (!count_lower(v, &where->leaf, 0, key, klen, behind, i))
		return LMDB_DAMAGED;
	if (*i < where->leaf.count || where->right == LMDB_NO_PAGE)
		return LMDB_OK;
	step = descend(v, where->right, "", 0, where);
	*i = 0;
	return step == LMDB_OK && where->leaf.count == 0 ? LMDB_DAMAGED : step;
}

enum lmdb_step lmdb_find(const struct lmdb_view *v, const char *key, size_t klen, bool behind,
			 struct lmdb_entry *e, bool *found)
{
	struct place where = { .right = LMDB_NO_PAGE };
	struct node n;
	unsigned i = 0;
	*found = false;
	if (v->tree.root == LMDB_NO_PAGE)
		return LMDB_OK;
	enum lmdb_step step = find_place(v, key, klen, behind, &where, &i);
	if (step != LMDB_OK || i == where.leaf.count)
		return step;
	if (!get_node(v, &where.leaf, i, &n))
		return LMDB_DAMAGED;
	*found = true;
	e->key = n.key;
	e->klen = n.klen;
	return get_value(v, &n, &e->value, &e->vlen);
}

/* ---- checking ------------------------------------------------------------------------------------------------------ */

/* A look through everything. */
struct check {
	const struct lmdb_view *view;
	size_t pages;              /* that may still be looked at: no page is met twice */
	const unsigned char *last; /* key */
	size_t last_len;
};

static bool check_leaf(struct check *c, const struct page *p)
{
	for (unsigned i = 0; i < p->count; i++) {
		struct node n;
		const unsigned char *value;
		size_t len;
		if (!get_node(c->view, p, i, &n) || get_value(c->view, &n, &value, &len) != LMDB_OK)
			return false;
		if (c->last && compare(&n, c->last, c->last_len) <= 0)
			return false;
		c->last = n.key;
		c->last_len = n.klen;
	}
	return p->count > 0;
}

static bool check_page(struct check *c, size_t number, unsigned depth)
{
	struct page p;
	if (depth > DEPTH_MAX || c->pages-- == 0 || get_page(c->view, number, &p) != LMDB_OK)
		return false;
	if (p.flags == PAGE_LEAF)
		return check_leaf(c, &p);
	for (unsigned i = 0; i < p.count; i++) {
		struct node n;
		if (!get_node(c->view, &p, i, &n) || !check_page(c, node_page(&n), depth + 1))
			return false;
	}
	return p.count > 0;
}

bool lmdb_check(const struct lmdb_view *v)
{
	struct check c = { .view = v, .pages = v->pages };
	return v->tree.root == LMDB_NO_PAGE || check_page(&c, v->tree.root, 0);
}
