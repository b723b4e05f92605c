/* SPDX-License-Identifier: Apache-2.0
 * Templates of notices, Postfix's own and those of a bounce_template_file: read, shown, and expanded. */
#ifndef BOUNCE_TEMPLATE_H
#define BOUNCE_TEMPLATE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/why.h"
#include "config/view.h"

enum template_kind { TEMPLATE_FAILURE, TEMPLATE_DELAY, TEMPLATE_SUCCESS, TEMPLATE_VERIFY, TEMPLATE_COUNT };

struct bounce_template {
	const char *charset, *from, *subject;
	const char *copy_subject; /* of the postmaster's copy; NULL: there is none */
	const char *body;         /* lines, each with its newline */
};
const char *template_name(enum template_kind); /* "failure" */

/* Postfix's own ones. */
void template_defaults(struct bounce_template[TEMPLATE_COUNT]);
/* Those of a file take the places of others. What is wrong is told, and the template left as it was. In the
 * arena. */
void template_read(struct arena *, const char *file, const char *text, size_t len,
		   struct bounce_template[TEMPLATE_COUNT], void (*warn)(void *ctx, const char *text),
		   void *ctx);
/* Appends "failure_template = <<EOF" and so on. */
void template_print(struct buf *, enum template_kind, const struct bounce_template *);
/* Appends the body with its $names expanded from main.cf; delay_warning_time_hours and the like are the time
 * in that unit. */
bool template_expand(struct buf *, const struct cfg_view *, const struct bounce_template *, struct ost_why *);

#endif
