/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/magic.h"
#include "base/mem.h"
#include "base/sanitize.h"
#include "config/config.h"

#define FINDINGS_MAGIC 0x46696e64u
enum { FINDING_BYTES = 1000 };

struct findings {
	unsigned magic;
	struct arena *arena;
	struct finding *list;
	size_t count, cap;
	bool fatal;
};

struct findings *findings_new(void)
{
	struct findings *f = MEM_NEW(struct findings);
	f->magic = FINDINGS_MAGIC;
	f->arena = arena_new();
	return f;
}

void findings_destroy(struct findings **f)
{
	if (!*f)
		return;
	CHECK_MAGIC(*f, FINDINGS_MAGIC);
	arena_destroy(&(*f)->arena);
	free((*f)->list);
	free(*f);
	*f = NULL;
}

/* Has the same been said before? */
static bool is_known(const struct findings *f, enum finding_grade grade, const char *text)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->list[i].grade == grade && !strcmp(f->list[i].text, text))
			return true;
	return false;
}

void findings_add(struct findings *f, enum finding_grade grade, const char *fmt, ...)
{
	CHECK_MAGIC(f, FINDINGS_MAGIC);
	struct buf raw = BUF_INIT, clean = BUF_INIT;
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&raw, fmt, ap);
	va_end(ap);
	sanitize(&clean, buf_str(&raw), raw.len, FINDING_BYTES, SANITIZE_LOG);
	if (!is_known(f, grade, buf_str(&clean))) {
		if (f->count == f->cap) {
			f->cap = f->cap ? 2 * f->cap : 16;
			f->list = mem_realloc_array(f->list, f->cap, sizeof *f->list);
		}
		f->list[f->count++] =
			(struct finding){ .grade = grade, .text = arena_strdup(f->arena, buf_str(&clean)) };
		f->fatal |= grade == FINDING_FATAL;
	}
	buf_free(&raw);
	buf_free(&clean);
}

size_t findings_count(const struct findings *f, const struct finding **list)
{
	CHECK_MAGIC(f, FINDINGS_MAGIC);
	if (list)
		*list = f->list;
	return f->count;
}

bool findings_fatal(const struct findings *f)
{
	CHECK_MAGIC(f, FINDINGS_MAGIC);
	return f->fatal;
}
