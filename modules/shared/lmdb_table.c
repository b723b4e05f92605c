/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/lmdb_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/lmdb_read.h"
#include "shared/lmdb_write.h"

#define LMDB_TABLE_MAGIC 0x6c6d6462u

struct lmdb_table {
	unsigned magic;
	const struct ost_host *host;
	struct lmdb_reader *reader;
	struct lmdb_writer *writer; /* NULL: not a cache */
	struct textmap *text;       /* in place of all: the source, while the index is Berkeley's */
	bool nul; /* keys and values end in a NUL that does not count: postmap writes them all so, or none */
};

struct ost_cursor { /* the key that was answered last */
	size_t klen;
	char key[LMDB_KEY_MAX];
};

/* ---- opening ------------------------------------------------------------------------------------------------------- */

static bool open_cache(struct lmdb_table *t, struct ost_instance *instance, const struct index_type *type,
		       struct ost_why *why)
{
	char path[4096];
	int n = snprintf(path, sizeof path, "%s%s", t->host->instance_name(instance), type->suffix);
	if (n < 0 || (size_t)n >= sizeof path)
		return t->host->why(why, "the file's name is too long");
	t->writer = lmdb_writer_open(t->host, instance, path, why);
	if (!t->writer)
		return false;
	t->reader = lmdb_reader_open(t->host, lmdb_writer_fd(t->writer), why);
	return t->reader != NULL;
}

/* NAME.db is a file that Postfix has left, and there is no index yet. */
static bool open_source(struct lmdb_table *t, struct ost_instance *instance, const struct index_type *type)
{
	struct ost_why why = { "" };
	int fd = t->host->file_open(instance, t->host->instance_name(instance), ".db", &why);
	if (fd < 0)
		return false;
	if (index_is_berkeley(fd))
		t->text = index_use_source(t->host, instance, type, &why);
	close(fd);
	return t->text != NULL;
}

static bool open_index(struct lmdb_table *t, struct ost_instance *instance, const struct index_type *type,
		       bool berkeley, struct ost_why *why)
{
	struct ost_why inner = { "" };
	const char *name = t->host->instance_name(instance);
	int fd = t->host->file_open(instance, name, type->suffix, why);
	if (fd < 0)
		return berkeley && open_source(t, instance, type);
	t->reader = lmdb_reader_open(t->host, fd, &inner);
	if (t->reader)
		index_warn_when_older(t->host, instance, type, fd);
	else
		t->host->why(why, "%s%s: %s: run postmap %s:%s", name, type->suffix, inner.text, type->name,
			     name);
	close(fd);
	return t->reader != NULL;
}

struct lmdb_table *lmdb_table_open(const struct ost_host *host, struct ost_instance *instance,
				   const struct index_type *type, bool berkeley, struct ost_why *why)
{
	struct lmdb_table *t = calloc(1, sizeof *t);
	if (!t)
		return host->why(why, "out of memory"), NULL;
	*t = (struct lmdb_table){ .magic = LMDB_TABLE_MAGIC, .host = host };
	bool ok = host->is_cache(instance) ? open_cache(t, instance, type, why)
					   : open_index(t, instance, type, berkeley, why);
	if (!ok) {
		lmdb_table_close(t);
		return NULL;
	}
	if (t->reader)
		t->nul = lmdb_reader_has_nul(t->reader);
	return t;
}

void lmdb_table_close(void *self)
{
	struct lmdb_table *t = self;
	t->magic = 0;
	lmdb_reader_close(t->reader);
	lmdb_writer_close(t->writer);
	textmap_free(t->text);
	free(t);
}

/* ---- asking -------------------------------------------------------------------------------------------------------- */

enum ost_found lmdb_table_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	const struct lmdb_table *t = self;
	size_t klen = query->klen + t->nul; /* a NUL follows the key */
	if (t->text)
		return textmap_lookup(t->host, t->text, query, answer);
	if (query->klen == 0 || klen > LMDB_KEY_MAX)
		return OST_NOTFOUND;
	return lmdb_reader_get(t->reader, query->key, klen, t->nul, answer);
}

enum ost_found lmdb_table_walk(void *self, struct ost_cursor **cursor, struct ost_answer *key,
			       struct ost_answer *value)
{
	const struct lmdb_table *t = self;
	if (t->text)
		return textmap_walk(t->host, t->text, cursor, key, value);
	struct ost_cursor *c = *cursor;
	if (!c && !(c = *cursor = calloc(1, sizeof *c)))
		return OST_TEMPFAIL;
	enum ost_found found = lmdb_reader_next(t->reader, c->key, &c->klen, t->nul, key, value);
	if (found != OST_FOUND) {
		free(c);
		*cursor = NULL;
	}
	return found;
}

void lmdb_table_cursor_free(void *self, struct ost_cursor *cursor)
{
	(void)self;
	free(cursor);
}

/* ---- caches -------------------------------------------------------------------------------------------------------- */

/* A text with a NUL behind it, in memory of its own; NULL: out of memory. */
static char *with_nul(const char *text, size_t len)
{
	char *copy = malloc(len + 1);
	if (copy) {
		memcpy(copy, text, len);
		copy[len] = '\0';
	}
	return copy;
}

static enum ost_found not_a_cache(const struct lmdb_table *t, struct ost_why *why)
{
	t->host->why(why, "the table is not opened for changes");
	return OST_BADTABLE;
}

enum ost_found lmdb_table_update(void *self, const char *key, size_t klen, const char *value, size_t vlen,
				 struct ost_why *why)
{
	const struct lmdb_table *t = self;
	if (!t->writer)
		return not_a_cache(t, why);
	if (klen == 0 || klen + t->nul > LMDB_KEY_MAX) {
		t->host->why(why, "a key must have 1 to %d bytes", LMDB_KEY_MAX - t->nul);
		return OST_TEMPFAIL;
	}
	char *k = with_nul(key, klen), *v = with_nul(value, vlen);
	enum ost_found done = OST_TEMPFAIL;
	if (k && v)
		done = lmdb_writer_put(t->writer, k, klen + t->nul, v, vlen + t->nul, why);
	else
		t->host->why(why, "out of memory");
	free(k);
	free(v);
	return done;
}

enum ost_found lmdb_table_remove(void *self, const char *key, size_t klen, struct ost_why *why)
{
	const struct lmdb_table *t = self;
	if (!t->writer)
		return not_a_cache(t, why);
	char *k = with_nul(key, klen);
	enum ost_found done = OST_TEMPFAIL;
	if (k)
		done = lmdb_writer_remove(t->writer, k, klen + t->nul, why);
	else
		t->host->why(why, "out of memory");
	free(k);
	return done;
}
