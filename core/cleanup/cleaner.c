/* SPDX-License-Identifier: Apache-2.0 */
#include "cleanup/cleaner.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/magic.h"
#include "base/mem.h"

/* message_drop_headers: those that the header table knows become bits. */
static void read_drop_headers(struct cleaner *c, const char *value)
{
	const char **names = cfg_split(c->arena, value);
	size_t n = 0, others = 0;
	while (names[n])
		n++;
	const char **other = arena_alloc(c->arena, (n + 1) * sizeof *other);
	for (size_t i = 0; i < n; i++) {
		enum header_id id = header_find(names[i], strlen(names[i]));
		if (id != HEADER_OTHER)
			c->drop[id] = true;
		else
			other[others++] = names[i];
	}
	c->drop_other = other;
}

/* Is the word in the list that a parameter holds? */
static bool has_word(struct arena *a, const char *value, const char *word)
{
	const char **words = cfg_split(a, value);
	for (size_t i = 0; words[i]; i++)
		if (strcasecmp(words[i], word) == 0)
			return true;
	return false;
}

struct cleaner *cleaner_open(const struct cfg_view *cleanup, const struct cfg_view *rewrite, struct ost_why *why)
{
	struct cleaner *c = MEM_NEW(struct cleaner);
	c->magic = CLEANER_MAGIC;
	c->arena = arena_new();
	c->myhostname = cfg_str(cleanup, P_myhostname);
	c->myorigin = cfg_str(rewrite, P_myorigin);
	c->mydomain = cfg_str(rewrite, P_mydomain);
	c->append_at_myorigin = cfg_bool(rewrite, P_append_at_myorigin);
	c->append_dot_mydomain = cfg_bool(rewrite, P_append_dot_mydomain);
	c->percent_hack = cfg_bool(rewrite, P_allow_percent_hack);
	c->swap_bangpath = cfg_bool(rewrite, P_swap_bangpath);
	c->recipient_delimiter = cfg_str(cleanup, P_recipient_delimiter);
	c->undisclosed_recipients = cfg_str(cleanup, P_undisclosed_recipients_header);
	c->enable_original_recipient = cfg_bool(cleanup, P_enable_original_recipient);
	c->always_add_missing = cfg_bool(cleanup, P_always_add_missing_headers);
	c->propagate_virtual = has_word(c->arena, cfg_str(cleanup, P_propagate_unmatched_extensions), "virtual");
	c->header_size_limit = (size_t)cfg_size(cleanup, P_header_size_limit);
	c->hopcount_limit = (size_t)cfg_int(cleanup, P_hopcount_limit);
	c->expansion_limit = (size_t)cfg_int(cleanup, P_virtual_alias_expansion_limit);
	c->recursion_limit = (size_t)cfg_int(cleanup, P_virtual_alias_recursion_limit);
	c->address_length_limit = (size_t)cfg_int(cleanup, P_virtual_alias_address_length_limit);
	read_drop_headers(c, cfg_str(cleanup, P_message_drop_headers));
	c->virtual_alias_maps = maps_open(cleanup, cfg_str(cleanup, P_virtual_alias_maps), why);
	return c;
}

void cleaner_close(struct cleaner **cp)
{
	struct cleaner *c = *cp;
	if (!c)
		return;
	CHECK_MAGIC(c, CLEANER_MAGIC);
	arena_destroy(&c->arena);
	c->magic = 0;
	free(c);
	*cp = NULL;
}

const struct cleanup_reply *cleanup_reply(enum cleanup_status status)
{
	static const struct cleanup_reply replies[CLEANUP_STATUS_COUNT] = {
		[CLEANUP_OK] = { 250, "2.0.0", "Ok" },
		[CLEANUP_TOO_BIG] = { 552, "5.3.4", "Error: message file too big" },
		[CLEANUP_HOPS] = { 554, "5.4.0", "Error: too many hops" },
		[CLEANUP_ALIASES] = { 451, "4.6.0", "Alias expansion error" },
		[CLEANUP_NO_RCPTS] = { 554, "5.5.1", "Error: no valid recipients" },
	};
	return &replies[status];
}
