/* SPDX-License-Identifier: Apache-2.0
 * Matching of names against lists, from the inside. */
#ifndef TABLE_MATCH_H
#define TABLE_MATCH_H

#include "table/table.h"

/* Does parent_domain_matches_subdomains name this parameter? Then example.com stands for its subdomains too. */
bool match_parents(const struct cfg_view *, struct arena *, const char *param);
void match_close_all(void);

#endif
