/* SPDX-License-Identifier: Apache-2.0
 * Replies with macros (default_rbl_reply of postconf(5)): $name, ${name}, $(name), ${name?text}, ${name:text},
 * ${name?{text}:{text}}, $$. Pure. */
#ifndef DNSBL_TEMPLATE_H
#define DNSBL_TEMPLATE_H

#include "shared/text_buf.h"

/* The value of a macro, NULL: there is none of that name. */
typedef const char *dnsbl_template_value_fn(void *ctx, const char *name);

/* Appends the text to out. Bytes of values that are not printable ASCII become '_'. False: it makes no sense, and out may hold a
 * part of it. */
bool dnsbl_template_expand(struct text_buf *out, const char *text, dnsbl_template_value_fn *, void *ctx);

#endif
