/* SPDX-License-Identifier: Apache-2.0
 * What the files of postconf share. */
#ifndef COMMAND_POSTCONF_H
#define COMMAND_POSTCONF_H

#include <stdbool.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "config/config.h"

enum { POSTCONF_WIDTH = 80 }; /* of a folded line */

struct postconf {
	struct config *config;
	struct arena *arena;
	struct findings *findings;
	FILE *out;
	bool defaults;  /* -d */
	bool set_only;  /* -n */
	bool expanded;  /* -x */
	bool fold;      /* -f */
	bool no_names;  /* -h */
	bool no_values; /* -H */
};

/* "name = value", with white space made single blanks, folded when that is wanted. */
void postconf_print(const struct postconf *, const char *name, const char *value);
/* -M, -F and -P, for services that match one of the patterns "name", "name/type" (-P: "name/type/parameter");
 * none: all. */
bool postconf_services(const struct postconf *, char mode, char **patterns);

#endif
