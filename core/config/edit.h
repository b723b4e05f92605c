/* SPDX-License-Identifier: Apache-2.0
 * Changing main.cf as `postconf -e`, -# and -X do: comments and the other lines stay as they are. */
#ifndef CONFIG_EDIT_H
#define CONFIG_EDIT_H

#include <stddef.h>

#include "base/buf.h"
#include "base/why.h"

enum edit_action {
	EDIT_SET,     /* "name=value": replaced where it stands, or added at the end */
	EDIT_COMMENT, /* "name": every line of it gets a '#' */
	EDIT_REMOVE,  /* "name" */
};

/* Appends the changed text to out. False: a request is not what the action wants. */
bool edit_main_cf(const char *text, size_t len, enum edit_action, const char *const *requests, size_t count,
		  struct buf *out, struct ost_why *);

#endif
