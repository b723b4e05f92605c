/* SPDX-License-Identifier: Apache-2.0
 * Lists of tables, from the inside: for the search orders in this folder. */
#ifndef TABLE_MAPS_H
#define TABLE_MAPS_H

#include "table/table.h"

#define MAPS_MAGIC 0x6d617073u

/* Constant once it is in use; lives until table_close_all(). */
struct maps {
	unsigned magic;
	struct maps *next;
	struct arena *arena; /* holds the struct itself */
	const struct cfg_view *view;
	struct table **tables;
	size_t count;
	const struct matchlist *local; /* for modules: which domains are ours; NULL: not opened by a module */
	bool guarded;                  /* decides on users and files: unsafe tables are not asked */
};

/* One key in all tables of the list. whole: it is the whole of what is looked up, so that patterns are asked too. */
enum ost_found maps_ask(const struct maps *, struct arena *, const char *key, bool whole, struct lookup *);
void maps_close_all(void);

#endif
