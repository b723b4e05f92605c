/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/indexfile.h"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BERKELEY_MAGIC_AT = 12, GRACE_SECONDS = 100 };

bool index_is_berkeley(int fd)
{
	static const uint32_t magics[] = { 0x00061561, 0x61150600, 0x00053162,
					   0x62310500 }; /* hash, btree; both byte orders */
	uint32_t word;
	if (pread(fd, &word, sizeof word, BERKELEY_MAGIC_AT) != sizeof word)
		return false;
	for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
		if (word == magics[i])
			return true;
	return false;
}

struct textmap *index_use_source(const struct ost_host *host, struct ost_instance *instance,
				 const struct index_type *type, struct ost_why *why)
{
	struct ost_why inner = { "" };
	const char *name = host->instance_name(instance);
	struct textmap *text = textmap_load(host, instance, name, true, &inner);
	if (text)
		host->log(instance, OST_LOG_WARNING,
			  "%s.db is a Berkeley DB file, which is not read: the text file %s is used in its "
			  "place; run \"postmap %s:%s\" "
			  "(or postalias, newaliases) to make an index",
			  name, name, type->name, name);
	else
		host->why(why, "%s.db is a Berkeley DB file: run \"postmap %s:%s\"; meanwhile %s", name,
			  type->name, name, inner.text);
	return text;
}

void index_warn_when_older(const struct ost_host *host, struct ost_instance *instance,
			   const struct index_type *type, int fd)
{
	struct stat index, source;
	struct ost_why why;
	const char *name = host->instance_name(instance);
	int source_fd = host->file_open(instance, name, "", &why);
	if (source_fd < 0)
		return;
	if (fstat(fd, &index) == 0 && fstat(source_fd, &source) == 0 && source.st_mtime > index.st_mtime &&
	    source.st_mtime < time(NULL) - GRACE_SECONDS)
		host->log(instance, OST_LOG_WARNING, "database %s%s is older than source file %s", name,
			  type->suffix, name);
	close(source_fd);
}

struct textmap *index_gather(const struct ost_host *host, struct ost_source *source, struct ost_why *why)
{
	struct textmap *map = textmap_new();
	bool replace = source->flags & OST_BUILD_REPLACE,
	     silent = source->flags & (OST_BUILD_REPLACE | OST_BUILD_IGNORE);
	enum textmap_put put = map ? TEXTMAP_NEW : TEXTMAP_NO_MEMORY;
	const char *key, *value;
	size_t klen, vlen;
	int line;
	while (put != TEXTMAP_NO_MEMORY && source->next(source, &key, &klen, &value, &vlen, &line)) {
		put = textmap_put(map, key, klen, value, vlen, replace);
		if (put == TEXTMAP_DUPLICATE && !silent)
			source->duplicate(source, line, key, klen);
	}
	if (put != TEXTMAP_NO_MEMORY)
		return map;
	textmap_free(map);
	host->why(why, "out of memory");
	return NULL;
}
