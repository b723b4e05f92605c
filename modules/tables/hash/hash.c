/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `hash`: NAME.db beside the text file NAME, a constant database (cdb) made by postmap and replaced as a
 * whole. It is mapped read-only, so all processes share its pages, and a lookup is two or three memory accesses. */
#include <cdb.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ostler/host.h"
#include "shared/textmap.h"

#define HASH_MAGIC 0x68617368u /* "hash" */

struct hash {
	unsigned magic;
	struct cdb db; /* mapped; copied for each lookup, because a search keeps its place in it */
	struct textmap *text; /* in place of db: the source, while the index is Berkeley's; else NULL */
};

static const struct ost_host *host;

static bool hash_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

/* Is it a file of Berkeley DB (hash or btree, either byte order), as Postfix leaves them behind? */
static bool is_berkeley(int fd)
{
	static const uint32_t magics[] = { 0x00061561, 0x61150600, 0x00053162, 0x62310500 };
	uint32_t word;
	if (pread(fd, &word, sizeof word, 12) != sizeof word)
		return false;
	for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
		if (word == magics[i])
			return true;
	return false;
}

/* Uses the text file until somebody runs postmap. */
static bool use_source(struct hash *h, struct ost_instance *instance, const char *name, struct ost_why *why)
{
	struct ost_why inner = { "" };
	h->text = textmap_load(host, instance, name, true, &inner);
	if (!h->text)
		return host->why(why, "%s.db is a Berkeley DB file: run \"postmap hash:%s\"; meanwhile %s", name, name,
				 inner.text);
	host->log(instance, OST_LOG_WARNING,
		  "%s.db is a Berkeley DB file, which is not read: the text file %s is used in its place; run \"postmap hash:%s\" "
		  "(or postalias, newaliases) to make an index", name, name, name);
	return true;
}

/* Maps the index file. The descriptor is not needed afterwards. */
static bool map_index(struct hash *h, int fd, const char *name, struct ost_why *why)
{
	if (cdb_init(&h->db, fd) == 0)
		return true;
	return host->why(why, "%s.db is not a constant database (%s): run postmap hash:%s", name, strerror(errno), name);
}

/* Postfix's warning, with its grace of 100 seconds for a postmap that is running. */
static void warn_when_older(struct ost_instance *instance, int fd, const char *name)
{
	struct stat db, source;
	struct ost_why why;
	int source_fd = host->file_open(instance, name, "", &why);
	if (source_fd < 0)
		return;
	if (fstat(fd, &db) == 0 && fstat(source_fd, &source) == 0 && source.st_mtime > db.st_mtime &&
	    source.st_mtime < time(NULL) - 100)
		host->log(instance, OST_LOG_WARNING, "database %s.db is older than source file %s", name, name);
	close(source_fd);
}

static bool hash_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	const char *name = host->instance_name(instance);
	int fd = host->file_open(instance, name, ".db", why);
	if (fd < 0)
		return false;
	struct hash *h = calloc(1, sizeof *h);
	bool ok = !h		    ? host->why(why, "out of memory")
		  : is_berkeley(fd) ? use_source(h, instance, name, why)
				    : map_index(h, fd, name, why);
	if (ok) {
		h->magic = HASH_MAGIC;
		if (!h->text)
			warn_when_older(instance, fd, name);
		*self = h;
	} else {
		free(h);
	}
	close(fd);
	return ok;
}

static void hash_close(void *self)
{
	struct hash *h = self;
	h->magic = 0;
	if (h->text)
		textmap_free(h->text);
	else
		cdb_free(&h->db);
	free(h);
}

static enum ost_found hash_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	const struct hash *h = self;
	if (h->text)
		return textmap_lookup(host, h->text, query, answer);
	struct cdb db = h->db;
	int found = query->klen > UINT32_MAX ? 0 : cdb_find(&db, query->key, (unsigned)query->klen);
	const void *value = found > 0 ? cdb_getdata(&db) : NULL;
	if (found < 0 || (found > 0 && !value)) {
		host->answer_why(answer, "the index is damaged");
		return OST_BADTABLE;
	}
	if (found == 0)
		return OST_NOTFOUND;
	host->answer(answer, value, cdb_datalen(&db));
	return OST_FOUND;
}

/* A cursor holds libcdb's place in the file. */
static enum ost_found walk_index(const struct hash *h, struct ost_cursor **cursor, struct ost_answer *key,
				 struct ost_answer *value)
{
	struct cdb db = h->db;
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
		host->answer(key, k, cdb_keylen(&db));
		host->answer(value, v, cdb_datalen(&db));
		return OST_FOUND;
	}
	free(at);
	*cursor = NULL;
	return more == 0 ? OST_NOTFOUND : OST_BADTABLE;
}

static enum ost_found hash_walk(void *self, struct ost_cursor **cursor, struct ost_answer *key, struct ost_answer *value)
{
	const struct hash *h = self;
	return h->text ? textmap_walk(host, h->text, cursor, key, value) : walk_index(h, cursor, key, value);
}

static void hash_cursor_free(void *self, struct ost_cursor *cursor)
{
	(void)self;
	free(cursor);
}

/* Adds one entry as the flags say; the first of two equal keys stays unless OST_BUILD_REPLACE. */
static int put(struct cdb_make *db, struct ost_source *source, const char *key, size_t klen, const char *value, size_t vlen,
	       int line)
{
	enum cdb_put_mode mode = source->flags & OST_BUILD_REPLACE ? CDB_PUT_REPLACE : CDB_PUT_INSERT;
	int done = cdb_make_put(db, key, (unsigned)klen, value, (unsigned)vlen, mode);
	if (done == 1 && !(source->flags & (OST_BUILD_REPLACE | OST_BUILD_IGNORE)))
		source->duplicate(source, line, key, klen);
	return done;
}

static bool hash_build(struct ost_source *source, struct ost_why *why)
{
	struct cdb_make db;
	if (cdb_make_start(&db, source->fd) < 0)
		return host->why(why, "cannot start the index: %s", strerror(errno));
	const char *key, *value;
	size_t klen, vlen;
	int line, done = 0;
	while (done >= 0 && source->next(source, &key, &klen, &value, &vlen, &line))
		done = put(&db, source, key, klen, value, vlen, line);
	int error = errno;
	if (cdb_make_finish(&db) < 0) /* also frees what was gathered */
		return host->why(why, "cannot write the index: %s", strerror(errno));
	return done >= 0 || host->why(why, "cannot write the index: %s", strerror(error));
}

static const struct ost_table_ops hash_ops = {
	.ops = {
		.size = sizeof hash_ops,
		.flags = OST_TABLE_IMMEDIATE,
		.open = hash_open,
		.close = hash_close,
	},
	.lookup = hash_lookup,
	.walk = hash_walk,
	.cursor_free = hash_cursor_free,
	.build = hash_build,
	.suffix = ".db",
};

static const struct ost_provide hash_provides[] = {
	{ OST_KIND_TABLE, "hash", &hash_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(hash, .version = "1.0", .summary = "indexed files: constant databases made by postmap",
	   .license = "Apache-2.0", .provides = hash_provides, .load = hash_load);
