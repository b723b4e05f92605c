/* SPDX-License-Identifier: Apache-2.0
 * Index files, as somebody may have damaged them: LMDB's pages. The input is the file; its end holds a key to
 * look up. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "module/answer.h"
#include "module/module.h"
#include "ostler/host.h"
#include "shared/lmdb_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEY = 8, STEPS = 100 };

/* The entries in their order, until something is wrong: each key is higher than the one before. */
static void walk(struct lmdb_reader *r, struct arena *a)
{
	char key[511], last[511];
	size_t len = 0, last_len = 0;
	for (int i = 0; i < STEPS; i++) {
		struct ost_why why = { "" };
		struct ost_answer k = { .arena = a, .why = &why }, v = { .arena = a, .why = &why };
		memcpy(last, key, len);
		last_len = len;
		if (lmdb_reader_next(r, key, &len, i % 2, &k, &v) != OST_FOUND)
			return;
		if (!k.value || !v.value || len > sizeof key)
			abort();
		size_t least = len < last_len ? len : last_len;
		int diff = least ? memcmp(key, last, least) : 0;
		if (diff < 0 || (diff == 0 && len <= last_len))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ost_why why = { "" };
	struct arena *a = arena_new();
	int fd = memfd_create("index", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	struct lmdb_reader *r = lmdb_reader_open(&mod_host, fd, &why);
	if (!r && !why.text[0])
		abort(); /* a refusal has a reason */
	if (r) {
		struct ost_answer value = { .arena = a, .why = &why };
		size_t klen = size < KEY ? size : KEY;
		enum ost_found found = lmdb_reader_get(r, data + size - klen, klen, false, &value);
		if (found == OST_FOUND && !value.value)
			abort();
		(void)lmdb_reader_has_nul(r);
		(void)lmdb_reader_check(r);
		walk(r, a);
	}
	lmdb_reader_close(r);
	close(fd);
	arena_destroy(&a);
	return 0;
}
