/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/constdb.h"

#include <cdb.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONSTDB_MAGIC 0x63646266u

struct constdb {
	unsigned magic;
	const struct ost_host *host;
	struct cdb db;        /* mapped; copied for each lookup, because a search keeps its place in it */
	struct textmap *text; /* in place of db: the source, while the index is Berkeley's; else NULL */
	bool nul;             /* keys and values end in a NUL that does not count (postmap -N) */
};

/* ---- opening ------------------------------------------------------------------------------------------------------- */

/* Do the keys end in NUL? A postmap writes them all or none: the first one tells. */
static bool keys_end_in_nul(struct cdb db)
{
	unsigned at;
	cdb_seqinit(&at, &db);
	const char *key = cdb_seqnext(&at, &db) > 0 ? cdb_getkey(&db) : NULL;
	unsigned len = key ? cdb_keylen(&db) : 0;
	return len > 0 && key[len - 1] == '\0';
}

/* Maps the index file. The descriptor is not needed afterwards. */
static bool map_index(struct constdb *c, struct ost_instance *instance, const struct index_type *type, int fd,
		      struct ost_why *why)
{
	const char *name = c->host->instance_name(instance);
	if (cdb_init(&c->db, fd) < 0)
		return c->host->why(why, "%s%s is not a constant database (%s): run postmap %s:%s", name, type->suffix,
				    strerror(errno), type->name, name);
	c->nul = keys_end_in_nul(c->db);
	index_warn_when_older(c->host, instance, type, fd);
	return true;
}

struct constdb *constdb_open(const struct ost_host *host, struct ost_instance *instance, const struct index_type *type,
			     bool berkeley, struct ost_why *why)
{
	int fd = host->file_open(instance, host->instance_name(instance), type->suffix, why);
	if (fd < 0)
		return NULL;
	struct constdb *c = calloc(1, sizeof *c);
	if (c)
		*c = (struct constdb){ .magic = CONSTDB_MAGIC, .host = host };
	else
		host->why(why, "out of memory");
	bool ok = c != NULL;
	if (ok && berkeley && index_is_berkeley(fd))
		ok = (c->text = index_use_source(host, instance, type, why)) != NULL;
	else if (ok)
		ok = map_index(c, instance, type, fd, why);
	close(fd);
	if (ok)
		return c;
	free(c);
	return NULL;
}

void constdb_close(void *self)
{
	struct constdb *c = self;
	c->magic = 0;
	if (c->text)
		textmap_free(c->text);
	else
		cdb_free(&c->db);
	free(c);
}

/* ---- asking -------------------------------------------------------------------------------------------------------- */

/* A value without the NUL that it was stored with. */
static size_t value_len(const struct constdb *c, const char *value, size_t len)
{
	return c->nul && len > 0 && value[len - 1] == '\0' ? len - 1 : len;
}

enum ost_found constdb_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	const struct constdb *c = self;
	if (c->text)
		return textmap_lookup(c->host, c->text, query, answer);
	struct cdb db = c->db;
	size_t klen = query->klen + c->nul; /* a NUL follows the key */
	int found = klen > UINT32_MAX ? 0 : cdb_find(&db, query->key, (unsigned)klen);
	const void *value = found > 0 ? cdb_getdata(&db) : NULL;
	if (found < 0 || (found > 0 && !value)) {
		c->host->answer_why(answer, "the index is damaged");
		return OST_BADTABLE;
	}
	if (found == 0)
		return OST_NOTFOUND;
	c->host->answer(answer, value, value_len(c, value, cdb_datalen(&db)));
	return OST_FOUND;
}

/* A cursor holds libcdb's place in the file. */
static enum ost_found walk_index(const struct constdb *c, struct ost_cursor **cursor, struct ost_answer *key,
				 struct ost_answer *value)
{
	struct cdb db = c->db;
	unsigned *at = (unsigned *)(void *)*cursor;
	if (!at) {
		at = calloc(1, sizeof *at);
		if (!at)
			return OST_TEMPFAIL;
		*cursor = (struct ost_cursor *)(void *)at;
		cdb_seqinit(at, &db);
	}
	int more = cdb_seqnext(at, &db);
	const void *k = more > 0 ? cdb_getkey(&db) : NULL, *v = more > 0 ? cdb_getdata(&db) : NULL;
	if (more > 0 && k && v) {
		c->host->answer(key, k, value_len(c, k, cdb_keylen(&db)));
		c->host->answer(value, v, value_len(c, v, cdb_datalen(&db)));
		return OST_FOUND;
	}
	free(at);
	*cursor = NULL;
	return more == 0 ? OST_NOTFOUND : OST_BADTABLE;
}

enum ost_found constdb_walk(void *self, struct ost_cursor **cursor, struct ost_answer *key, struct ost_answer *value)
{
	const struct constdb *c = self;
	return c->text ? textmap_walk(c->host, c->text, cursor, key, value) : walk_index(c, cursor, key, value);
}

void constdb_cursor_free(void *self, struct ost_cursor *cursor)
{
	(void)self;
	free(cursor);
}

/* ---- making -------------------------------------------------------------------------------------------------------- */

/* Writes what was gathered. A NUL follows each text in the map. */
static bool write_entries(struct cdb_make *db, const struct textmap *map, bool nul)
{
	const char *key, *value;
	size_t klen, vlen;
	for (size_t i = 0; textmap_at(map, i, &key, &klen, &value, &vlen); i++) {
		if (klen >= UINT32_MAX || vlen >= UINT32_MAX) {
			errno = EFBIG;
			return false;
		}
		if (cdb_make_add(db, key, (unsigned)(klen + nul), value, (unsigned)(vlen + nul)) < 0)
			return false;
	}
	return true;
}

bool constdb_build(const struct ost_host *host, struct ost_source *source, struct ost_why *why)
{
	struct cdb_make db;
	struct textmap *map = index_gather(host, source, why);
	if (!map)
		return false;
	int error = cdb_make_start(&db, source->fd) < 0 ? errno : 0;
	if (!error) {
		if (!write_entries(&db, map, source->flags & OST_BUILD_NULL))
			error = errno;
		if (cdb_make_finish(&db) < 0 && !error) /* also frees what it holds */
			error = errno;
	}
	textmap_free(map);
	return error == 0 || host->why(why, "cannot write the index: %s",
				       error == ENOMEM || error == EFBIG ? "it would be larger than 4 GB" : strerror(error));
}
