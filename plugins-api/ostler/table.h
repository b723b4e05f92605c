/* SPDX-License-Identifier: Apache-2.0
 *
 * ostler/table.h: lookup tables, `type:name` in the configuration. Search orders (addresses, domains, networks), case
 * folding and lists of tables are the core's; a table answers for one key.
 */
#ifndef OSTLER_TABLE_H
#define OSTLER_TABLE_H

#include "ostler/module.h"

enum ost_found {
	OST_FOUND = 1,
	OST_NOTFOUND = 0,
	OST_TEMPFAIL = -1, /* cannot tell now: mail is deferred. Never "not found" when that is not known */
	OST_BADTABLE = -2, /* the table itself is broken (syntax, wrong format): deferred too, and logged as an error */
};

/* Flags in ost_ops.flags of a table. */
#define OST_TABLE_IMMEDIATE  0x1u /* answers without waiting: from memory or a local file */
#define OST_TABLE_WHOLE_KEYS 0x2u /* patterns: asked with the whole key only, no partial addresses, no parent domains */
#define OST_TABLE_UNSAFE     0x4u /* unfit for decisions on local delivery (values depend on remote text: tcp, regexp with $1) */
#define OST_TABLE_CF_FILE    0x8u /* type:/path names a file of `parameter = value` lines with this table's parameters; type:name
                                   * means name_parameter in main.cf. Without it a table's parameters are main.cf's */
#define OST_TABLE_SUBSTITUTES 0x10u /* beside OST_TABLE_UNSAFE: it is that because results hold parts of the key (regexp with $1) (since 1.3) */

struct ost_query {
	uint32_t size;    /* of this struct */
	uint32_t flags;   /* none yet */
	const char *key;  /* klen bytes followed by a NUL that does not count; may hold any byte */
	size_t klen;
	int64_t deadline; /* host->now() microseconds; answer OST_TEMPFAIL before it passes */
};

struct ost_answer; /* the caller's: fill with host->answer() and host->answer_why() */

/* A source for build(): lines of `key white-space value` already parsed. Answers false at the end; a bad line has been
 * reported by the core. */
struct ost_source {
	uint32_t size;
	bool (*next)(struct ost_source *, const char **key, size_t *klen, const char **value, size_t *vlen, int *line);
	/* Call when a key comes again and neither flag below is set: the core warns in Postfix's words. The first stays. */
	void (*duplicate)(struct ost_source *, int line, const char *key, size_t klen);
	int fd;         /* write the new index here: a fresh file, renamed over the old one by the core */
	uint32_t flags; /* OST_BUILD_* */
};
#define OST_BUILD_REPLACE 0x1u /* postmap -r: a duplicate key replaces, silently */
#define OST_BUILD_IGNORE  0x2u /* postmap -w: a duplicate key is ignored, silently */
#define OST_BUILD_NULL    0x4u /* postmap -N: keys and values are stored with a NUL at their end, which does not count (since 1.2) */
#define OST_BUILD_NO_NULL 0x8u /* postmap -n: without it. Neither: as is usual for the type (since 1.2) */

struct ost_cursor; /* walk(): the module's position, its own memory; freed by walk() at the end or by cursor_free() */

struct ost_table_ops {
	struct ost_ops ops;
	enum ost_found (*lookup)(void *self, const struct ost_query *, struct ost_answer *);
	/* Optional: caches, where host->is_cache() was true in open(). OST_FOUND: it is stored; it was there and is removed. */
	enum ost_found (*update)(void *self, const char *key, size_t klen, const char *val, size_t vlen, struct ost_why *);
	enum ost_found (*remove)(void *self, const char *key, size_t klen, struct ost_why *);
	/* Optional: all entries. *cursor is NULL at first. */
	enum ost_found (*walk)(void *self, struct ost_cursor **cursor, struct ost_answer *key, struct ost_answer *val);
	void (*cursor_free)(void *self, struct ost_cursor *);
	/* Optional: postmap and postalias. Needs no open instance. suffix is what the index file's name ends with (".db"). */
	bool (*build)(struct ost_source *, struct ost_why *);
	const char *suffix;
	/* Optional: the file changed, host->file_open() gives a fresh descriptor. On false the old content stays in use. */
	bool (*reopen)(void *self, struct ost_why *);
};

#endif
