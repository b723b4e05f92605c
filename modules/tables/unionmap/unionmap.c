/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `unionmap`: asks all of its tables, unionmap:{ type:name, type:name … }, and joins what they
 * have. */
#include <stdlib.h>
#include <string.h>

#include "ostler/host.h"
#include "shared/members.h"

static const struct ost_host *host;

static bool unionmap_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

static bool unionmap_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	*self = members_open(host, instance, "unionmap", why);
	return *self != NULL;
}

static void unionmap_close(void *self)
{
	free(self);
}

/* What has been found so far, separated by commas. */
struct joined {
	char *text; /* NULL: nothing */
	size_t len;
};

static bool join(struct joined *j, const char *value, size_t len)
{
	char *text = realloc(j->text, j->len + len + 2);
	if (!text)
		return false;
	j->text = text;
	if (j->len > 0)
		text[j->len++] = ',';
	memcpy(text + j->len, value, len);
	j->len += len;
	return true;
}

/* A table that fails makes the whole fail: who knows what it has. */
static enum ost_found ask_all(const struct members *m, const struct ost_query *query,
			      struct ost_answer *answer, struct joined *j)
{
	for (size_t i = 0; i < m->count; i++) {
		enum ost_found result = member_ask(host, m->list[i], query, answer);
		if (result == OST_NOTFOUND)
			continue;
		if (result != OST_FOUND)
			return result;
		size_t len = 0;
		const char *value = host->answer_value(answer, &len);
		if (!join(j, value, len)) {
			host->answer_why(answer, "out of memory");
			return OST_TEMPFAIL;
		}
	}
	return j->len > 0 ? OST_FOUND : OST_NOTFOUND;
}

static enum ost_found unionmap_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	struct joined j = { NULL, 0 };
	enum ost_found result = ask_all(self, query, answer, &j);
	if (result == OST_FOUND)
		host->answer(answer, j.text, j.len);
	free(j.text);
	return result;
}

static const struct ost_table_ops unionmap_ops = {
	.ops = {
		.size = sizeof unionmap_ops,
		.open = unionmap_open,
		.close = unionmap_close,
	},
	.lookup = unionmap_lookup,
};

static const struct ost_provide unionmap_provides[] = {
	{ OST_KIND_TABLE, "unionmap", &unionmap_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(unionmap, .version = "1.0", .summary = "the answers of several tables, joined",
	   .license = "Apache-2.0", .provides = unionmap_provides, .load = unionmap_load);
