/* SPDX-License-Identifier: Apache-2.0
 * Changing main.cf and master.cf as postconf does: comments and all other lines stay as they are. Texts in,
 * texts out. */
#ifndef CONFIG_EDIT_H
#define CONFIG_EDIT_H

#include <stddef.h>

#include "base/buf.h"
#include "base/why.h"
#include "config/masterline.h"

enum edit_action {
	EDIT_SET,     /* replaced where it stands, or added at the end */
	EDIT_COMMENT, /* every line of it gets a '#' */
	EDIT_REMOVE,
};

/* ---- main.cf ---- */

struct edit_request {
	const char *name, *value; /* value: of EDIT_SET */
	bool ignored;             /* a later request has the same name, or the name is in another file */
	unsigned matches;         /* how often it was found in the text */
};
/* Reads "name=value" (EDIT_SET) or "name". False with the reason in Postfix's words. In the arena. */
bool edit_requests_read(struct arena *, enum edit_action, const char *const *texts, size_t count,
			struct edit_request *, struct ost_why *);
/* Appends the changed text to out; what EDIT_SET did not find is added. Counts matches. */
void edit_main_cf(const char *text, size_t len, enum edit_action, struct edit_request *, size_t count,
		  struct buf *out);

/* ---- master.cf ---- */

enum edit_level { EDIT_ENTRY, EDIT_FIELD, EDIT_OPTION }; /* -M, -F, -P */
struct edit_master_request {
	const char *text;        /* as it was given, for messages */
	const char *name, *type; /* "*": any */
	enum master_field field; /* of EDIT_FIELD */
	const char *option;      /* of EDIT_OPTION */
	const char *value;       /* of EDIT_SET */
	struct master_entry
		entry; /* the new entry of EDIT_ENTRY, command and words of EDIT_FIELD's command */
	bool ignored;
	unsigned matches;
};
/* Reads "name/type=entry", "name/type/field=value", "name/type/parameter=value", without the value when it is
 * not EDIT_SET. */
bool edit_master_requests_read(struct arena *, enum edit_level, enum edit_action, const char *const *texts,
			       size_t count, struct edit_master_request *, struct ost_why *);
/* Appends the changed text to out. add: an entry that was not found is added at the end. False: an entry that
 * is to be changed cannot be read. */
bool edit_master_cf(const char *text, size_t len, enum edit_level, enum edit_action,
		    struct edit_master_request *, size_t count, bool add, struct buf *out, struct ost_why *);

#endif
