/* SPDX-License-Identifier: Apache-2.0
 * Templates of tables that ask a database: %s %u %d %S %U %D %1 … %9 %%, as mysql_table(5) and its kin define
 * them. A query is made from the key; a result format is applied to each value that was found, and may use
 * parts of the key too. */
#ifndef SHARED_TEMPLATE_H
#define SHARED_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "ostler/host.h"
#include "shared/bytes.h"

enum { TEMPLATE_LABELS = 9 };

struct span {
	const char *at;
	size_t len;
};

/* A key, or a value, taken apart at its last '@'. */
struct template_parts {
	struct span whole;
	struct span user;                   /* in front of the '@'; the whole when there is none */
	struct span domain;                 /* behind it; at NULL: there is no '@' */
	struct span label[TEMPLATE_LABELS]; /* of the domain, the last one first; empty ones do not count */
	unsigned labels;
};
void template_split(struct template_parts *, const char *text, size_t len);

/* What templates ask of key and value: several may be added up. */
struct template_needs {
	bool key_user, key_domain, value_user, value_domain;
	unsigned labels;
};
enum template_kind { TEMPLATE_QUERY, TEMPLATE_RESULT };

/* Notes what the template needs. False with the reason: an unknown letter behind a '%'. *varies: it has an
 * expansion. */
bool template_scan(const struct ost_host *, const char *text, enum template_kind, struct template_needs *,
		   bool *varies, struct ost_why *);
/* Does the key have all that is needed of it? If not it is not asked for. */
bool template_fits_key(const struct template_needs *, const struct template_parts *key);
bool template_fits_value(const struct template_needs *, const struct template_parts *value);

/* Adds a part of the key, made fit for where it goes. */
typedef void template_quote_fn(void *ctx, struct bytes *out, struct span);
/* Adds the expanded text; key and value fit. value NULL: a query. quote NULL: as it is. */
void template_expand(const char *text, size_t len, const struct template_parts *key,
		     const struct template_parts *value, template_quote_fn *, void *ctx, struct bytes *out);

#endif
