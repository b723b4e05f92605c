/* SPDX-License-Identifier: Apache-2.0
 * The configuration as code sees it: a const view of main.cf plus the -o of one master.cf line. Never
 * globals.
 *
 * A view is made once (view.c), holds every core parameter in its final type, and is read from any thread
 * without a lock. */
#ifndef CONFIG_VIEW_H
#define CONFIG_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/why.h"

struct cfg_view;

/* The core's parameters: P_myhostname, P_message_size_limit … from the one table, config/params.def. */
enum param_id {
#define PARAM(name, type, defval, min, max, daemons, help) P_##name,
#include "config/params.def"
#undef PARAM
	P_COUNT
};

/* Typed reads; asserts that the table gives the parameter that type. */
const char *cfg_str(const struct cfg_view *, enum param_id); /* expanded; never NULL */
int64_t cfg_int(const struct cfg_view *, enum param_id);
bool cfg_bool(const struct cfg_view *, enum param_id);
int64_t cfg_time(const struct cfg_view *, enum param_id); /* microseconds */
int64_t cfg_size(const struct cfg_view *, enum param_id); /* bytes */

/* A parameter by name, expanded, as text (for modules' own parameters, user-defined names, `$name` in maps);
 * NULL when neither set nor known. */
const char *cfg_lookup(const struct cfg_view *, const char *name);
/* Does main.cf or the line's -o set it (rather than its default)? */
bool cfg_is_set(const struct cfg_view *, enum param_id);
/* The parameter `id` for one transport or service: "<name>_destination_concurrency_limit" and the like when
 * set, else the default parameter itself (default_destination_concurrency_limit). */
int64_t cfg_derived_int(const struct cfg_view *, const char *name, enum param_id);
int64_t cfg_derived_time(const struct cfg_view *, const char *name, enum param_id);

/* The same view while all slots of the service are busy: with "stress = yes", so that ${stress?{10}:{300}}
 * and the like take their other value. For views of smtpd lines and of main.cf alone. */
const struct cfg_view *cfg_stress_view(const struct cfg_view *);

/* A value split at white space and commas, with { } groups kept whole (braces removed). NULL-terminated, in
 * the arena. */
const char **cfg_split(struct arena *, const char *value);
/* Where a parameter was set, "main.cf: line 12" or "master.cf: line 40: -o", for messages; never NULL. */
const char *cfg_where(const struct cfg_view *, const char *name);

const char *cfg_folder(const struct cfg_view *); /* -c DIR, absolute */
bool cfg_postfix_folder(
	const struct cfg_view *); /* without modules.cf: Postfix's defaults (see DESIGN: Configuration) */
const char *cfg_service_name(const struct cfg_view *); /* of the master.cf line: "smtp", "submission", "dane";
							  "" for main.cf alone */

#endif
