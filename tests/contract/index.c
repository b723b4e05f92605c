/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/contract/index.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct source {
	struct ost_source pub;
	const char *const *at;
	int line, duplicates;
};

static bool next(struct ost_source *pub, const char **key, size_t *klen, const char **value, size_t *vlen, int *line)
{
	struct source *s = (struct source *)pub;
	if (!*s->at)
		return false;
	const char *equals = strchr(*s->at, '=');
	*key = *s->at++;
	*klen = (size_t)(equals - *key);
	*value = equals + 1;
	*vlen = strlen(*value);
	*line = ++s->line;
	return true;
}

static void duplicate(struct ost_source *pub, int line, const char *key, size_t klen)
{
	(void)line;
	(void)key;
	(void)klen;
	((struct source *)pub)->duplicates++;
}

int index_build(const struct ost_table_ops *ops, const char *path, const char *const *entries, unsigned flags)
{
	char temporary[512], target[512];
	struct ost_why why = { "" };
	snprintf(temporary, sizeof temporary, "%s.new", path);
	snprintf(target, sizeof target, "%s%s", path, ops->suffix);
	struct source s = { .pub = { .size = sizeof s.pub, .next = next, .duplicate = duplicate, .flags = flags }, .at = entries };
	s.pub.fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	bool ok = s.pub.fd >= 0 && ops->build(&s.pub, &why);
	if (s.pub.fd >= 0)
		close(s.pub.fd);
	if (!ok || rename(temporary, target) < 0) {
		fprintf(stderr, "# %s: %s\n", target, why.text);
		return -1;
	}
	return s.duplicates;
}
