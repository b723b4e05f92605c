/* SPDX-License-Identifier: Apache-2.0
 * From a text file to a textmap. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/text_lines.h"
#include "shared/text_record.h"
#include "shared/textmap.h"

/* What is being loaded, for complaints. */
struct load {
	const struct ost_host *host;
	struct ost_instance *instance;
	const char *path;
	struct textmap *map;
	bool aliases; /* `key: value` lines are fine */
};

/* One logical line into the map; false: out of memory. */
static bool load_line(const struct load *l, char *text, size_t len, int line)
{
	struct text_record r;
	enum text_record_flaw flaw = l->aliases ? text_record_split_alias(text, len, &r) : text_record_split(text, len, &r);
	if (flaw != RECORD_OK)
		l->host->log(l->instance, OST_LOG_WARNING, "%s, line %d: %s%s", l->path, line, text_record_flaw_text(flaw),
			     text_record_flaw_fatal(flaw) ? " -- ignoring this line" : "");
	if (text_record_flaw_fatal(flaw))
		return true;
	text_record_fold(r.key, r.klen);
	enum textmap_put put = textmap_put(l->map, r.key, r.klen, r.value, r.vlen, false);
	if (put == TEXTMAP_DUPLICATE)
		l->host->log(l->instance, OST_LOG_WARNING, "%s, line %d: duplicate entry: \"%s\"", l->path, line, r.key);
	return put != TEXTMAP_NO_MEMORY;
}

static bool load_text(const struct load *l, char *text, size_t len)
{
	struct text_lines lines;
	size_t n;
	text_lines_start(&lines, text, len);
	for (char *line = text_lines_next(&lines, &n); line; line = text_lines_next(&lines, &n))
		if (lines.orphan)
			l->host->log(l->instance, OST_LOG_WARNING, "%s: logical line must not start with whitespace: \"%.30s\"",
				     l->path, line);
		else if (!load_line(l, line, n, lines.line))
			return false;
	return true;
}

struct textmap *textmap_load(const struct ost_host *host, struct ost_instance *instance, const char *path, bool aliases,
			     struct ost_why *why)
{
	size_t len = 0;
	int fd = host->file_open(instance, path, "", why);
	if (fd < 0)
		return NULL;
	char *text = text_read_file(fd, &len);
	int error = errno;
	close(fd);
	struct load l = { .host = host, .instance = instance, .path = path, .map = text ? textmap_new() : NULL,
			  .aliases = aliases };
	if (!text) {
		host->why(why, "read %s: %s", path, strerror(error));
	} else if (!l.map || !load_text(&l, text, len)) {
		host->why(why, "read %s: out of memory", path);
		textmap_free(l.map);
		l.map = NULL;
	}
	free(text);
	return l.map;
}
