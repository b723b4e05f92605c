/* SPDX-License-Identifier: Apache-2.0
 * What every table module must do, whatever it looks things up in. */
#ifndef CONTRACT_TABLE_H
#define CONTRACT_TABLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/view.h"
#include "ostler/table.h"

struct table_case {
	const struct cfg_view *view;
	const struct ost_table_ops *ops;
	const char *type;    /* "hash" */
	const char *spec;    /* "hash:/scratch/x": opens, and holds the key below */
	const char *key, *value;
	bool finds_all;      /* answers every key (static) */
	bool unlisted;       /* its entries are listed with a backup alone (memcache) */
	const char *broken;  /* a spec that cannot be opened; NULL: there is none */
	/* Changes what is behind the spec, so that changed_key has changed_value after a reopen; NULL: cannot change. */
	void (*change)(void);
	const char *changed_key, *changed_value;
};

enum { CONTRACT_TESTS = 1000 };
/* Appends the suite's tests for this case, as far as they apply, to the n that are there; answers how many there are then. At
 * most CONTRACT_TESTS. The case must stay. Names are never freed: a test program. */
size_t contract_table(struct table_case *, struct CMUnitTest *tests, size_t n);

#endif
