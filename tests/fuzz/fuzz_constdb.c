/* SPDX-License-Identifier: Apache-2.0
 * Constant databases, as somebody may have damaged them. The input is the file; its end holds a key to look
 * up. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "module/answer.h"
#include "module/module.h"
#include "ostler/host.h"
#include "shared/constdb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEY = 8, STEPS = 100 };

static const uint8_t *file;
static size_t file_size;

static int open_file(struct ost_instance *instance, const char *path, const char *suffix, struct ost_why *why)
{
	(void)instance;
	(void)path;
	(void)why;
	int fd = *suffix ? memfd_create("index", MFD_CLOEXEC) : -1; /* without a source */
	if (fd >= 0 && write(fd, file, file_size) != (ssize_t)file_size)
		abort();
	return fd;
}

static const char *name_of(const struct ost_instance *instance)
{
	(void)instance;
	return "index";
}

static void look_up(struct constdb *c, const struct ost_host *host, const uint8_t *at, size_t klen)
{
	char key[KEY + 1] = "";
	struct ost_why why = { "" };
	struct arena *a = arena_new();
	struct ost_answer answer = { .arena = a, .why = &why };
	memcpy(key, at, klen);
	struct ost_query query = { .size = sizeof query, .key = key, .klen = klen, .deadline = host->now() };
	enum ost_found found = constdb_lookup(c, &query, &answer);
	if ((found == OST_FOUND && !answer.value) || (found == OST_BADTABLE && !why.text[0]))
		abort();
	arena_destroy(&a);
}

static void walk(struct constdb *c)
{
	struct ost_cursor *cursor = NULL;
	struct ost_why why = { "" };
	struct arena *a = arena_new();
	for (int i = 0; i < STEPS; i++) {
		struct ost_answer key = { .arena = a, .why = &why }, value = { .arena = a, .why = &why };
		if (constdb_walk(c, &cursor, &key, &value) != OST_FOUND)
			break;
	}
	constdb_cursor_free(c, cursor);
	arena_destroy(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct index_type type = { .name = "cdb", .suffix = ".cdb" };
	struct ost_host host = mod_host;
	struct ost_why why = { "" };
	host.file_open = open_file;
	host.instance_name = name_of;
	file = data;
	file_size = size;
	struct constdb *c = constdb_open(&host, NULL, &type, false, &why);
	if (!c) {
		if (!why.text[0])
			abort(); /* a refusal has a reason */
		return 0;
	}
	for (size_t klen = 0; klen <= KEY && klen <= size; klen++)
		look_up(c, &host, data + size - klen, klen);
	walk(c);
	constdb_close(c);
	return 0;
}
