/* SPDX-License-Identifier: Apache-2.0
 * The configuration parser: the bytes are a main.cf, a master.cf and a modules.cf, separated by lines of
 * "%%". Whatever they are, the parser answers findings, and what it accepts can be read, printed and edited.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/tlv.h"
#include "config/config.h"
#include "config/edit.h"

/* Fields of a snapshot, as config.c writes them. */
enum { SNAP_FOLDER = 1, SNAP_OVERRIDE, SNAP_POSTFIX, SNAP_FILE, SNAP_FILE_NAME, SNAP_FILE_TEXT };

static void put_file(struct buf *b, const char *name, const char *text, size_t len)
{
	size_t mark = tlv_open(b, SNAP_FILE, 0);
	tlv_put_str(b, SNAP_FILE_NAME, name);
	tlv_put(b, SNAP_FILE_TEXT, 0, text, len);
	tlv_close(b, mark);
}

/* The text up to the next separator; *at goes behind it. */
static size_t take_part(const char **at, const char *end)
{
	const char *start = *at;
	const char *mark = memmem(start, (size_t)(end - start), "\n%%\n", 4);
	*at = mark ? mark + 4 : end;
	return (size_t)((mark ? mark : end) - start);
}

/* Could a database client's file be named, which config_notes() would open? */
static bool names_files(const struct config *c)
{
	static const char *const types[] = {
		"ldap:", "memcache:", "mongodb:", "mysql:", "pgsql:", "sqlite:"
	};
	struct arena *arena = arena_new();
	bool found = false;
	for (int i = 0; i < 2; i++) {
		const struct config_text *list;
		size_t n = config_texts(c, i ? "master.cf" : "main.cf", arena, &list);
		for (size_t j = 0; j < n; j++)
			for (size_t k = 0; k < sizeof types / sizeof *types; k++)
				found = found ||
					memmem(list[j].text, list[j].len, types[k], strlen(types[k])) ||
					memchr(list[j].text, '$', list[j].len);
	}
	arena_destroy(&arena);
	return found;
}

/* Reads everything that a configuration answers. */
static void read_all(const struct config *c)
{
	struct findings *findings = findings_new();
	struct arena *arena = arena_new();
	const char *const *names;
	const struct service *const *services;
	config_check(c, findings);
	config_check_names(c, NULL, NULL, findings);
	const struct config_note *notes;
	size_t n = config_names(c, NAMES_ALL, arena, &names);
	for (size_t i = 0; i < n; i++)
		if (!cfg_lookup(config_main_view(c), names[i]) && config_set_value(c, names[i]))
			abort();
	config_grammar(c, findings);
	if (!names_files(c))
		config_notes(c, arena, &notes);
	n = config_services(c, &services);
	for (size_t i = 0; i < n; i++) {
		cfg_derived_int(services[i]->view, services[i]->name,
				P_default_destination_concurrency_limit);
		cfg_split(arena, cfg_str(services[i]->view, P_mydestination));
		config_role_view(c, services[i], ROLE_CLEANUP);
	}
	arena_destroy(&arena);
	findings_destroy(&findings);
}

static void edit_main(const char *text, size_t len, struct buf *out)
{
	static const char *const edits[] = { "relayhost = x", "mine=y" };
	struct arena *arena = arena_new();
	struct edit_request requests[2];
	struct ost_why why;
	if (!edit_requests_read(arena, EDIT_SET, edits, 2, requests, &why))
		abort();
	edit_main_cf(text, len, EDIT_SET, requests, 2, out);
	arena_destroy(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "main.cf", "master.cf", "modules.cf" };
	const char *at = (const char *)data, *end = at + size;
	struct buf b = BUF_INIT, out = BUF_INIT;
	struct ost_why why;
	tlv_put_str(&b, SNAP_FOLDER, "/etc/ostler");
	tlv_put_str(&b, SNAP_OVERRIDE, "mynetworks=127.0.0.0/8"); /* so that nobody looks up host names */
	for (size_t i = 0; i < 3; i++) {
		const char *text = at;
		size_t len = take_part(&at, end);
		put_file(&b, names[i], text, len);
		if (i == 0)
			edit_main(text, len, &out);
	}
	int fd = io_memfd("fuzz", buf_str(&b), b.len);
	struct config *c = fd >= 0 ? config_from_snapshot(fd, &why) : NULL;
	if (c)
		read_all(c);
	config_destroy(&c);
	io_close(&fd);
	buf_free(&b);
	buf_free(&out);
	return 0;
}
