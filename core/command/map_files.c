/* SPDX-License-Identifier: Apache-2.0 */
#include "command/map_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "command/base64.h"

enum { FILE_BYTES = 1 << 24 };

/* The files one behind the other, a newline between them. Answers the name of one that cannot be read, errno
 * says why. */
static const char *read_files(struct arena *a, const char *names, struct buf *content)
{
	char *save = NULL, *list = arena_strdup(a, names);
	for (char *name = strtok_r(list, ", \t", &save); name; name = strtok_r(NULL, ", \t", &save)) {
		size_t len;
		char *text = io_read_file(AT_FDCWD, name, FILE_BYTES, &len);
		if (!text)
			return name;
		if (name != list)
			buf_putc(content, '\n');
		buf_add(content, text, len);
		free(text);
	}
	return NULL;
}

/* The entry with its value replaced; NULL: it was warned about. */
static struct file_entry *read_entry(struct arena *a, const struct entries *source, const struct entry *e)
{
	struct buf content = BUF_INIT, value = BUF_INIT;
	struct file_entry *f = NULL;
	const char *missing = read_files(a, e->value, &content);
	if (missing) {
		log_warning("%s, line %d: open %s: %s: skipping this entry", source->name, e->line, missing,
			    strerror(errno));
	} else {
		base64_encode(&value, content.data, content.len);
		f = ARENA_NEW(a, struct file_entry);
		f->entry = (struct entry){ .key = arena_strndup(a, e->key, e->klen),
					   .klen = e->klen,
					   .value = arena_strndup(a, buf_str(&value), value.len),
					   .vlen = value.len,
					   .line = e->line };
	}
	buf_free(&content);
	buf_free(&value);
	return f;
}

struct file_entry *map_files_read(struct arena *a, struct entries *source)
{
	struct file_entry *first = NULL, **end = &first;
	struct entry e;
	while (entries_next(source, &e)) {
		*end = read_entry(a, source, &e);
		if (*end)
			end = &(*end)->next;
	}
	return first;
}
