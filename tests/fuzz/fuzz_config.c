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

/* Reads everything that a configuration answers. */
static void read_all(const struct config *c)
{
	struct findings *findings = findings_new();
	struct arena *arena = arena_new();
	const char *const *names;
	const struct service *const *services;
	config_check(c, findings);
	config_check_names(c, NULL, NULL, findings);
	size_t n = config_names(c, arena, &names);
	for (size_t i = 0; i < n; i++)
		if (!cfg_lookup(config_main_view(c), names[i]) && config_set_value(c, names[i]))
			abort();
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "main.cf", "master.cf", "modules.cf" };
	static const char *const edits[] = { "relayhost = x", "mine=y" };
	const char *at = (const char *)data, *end = at + size;
	struct buf b = BUF_INIT, out = BUF_INIT;
	struct ost_why why;
	tlv_put_str(&b, SNAP_FOLDER, "/etc/ostler");
	tlv_put_str(&b, SNAP_OVERRIDE, "mynetworks=127.0.0.0/8"); /* so that nobody looks up host names */
	for (size_t i = 0; i < 3; i++) {
		const char *text = at;
		size_t len = take_part(&at, end);
		put_file(&b, names[i], text, len);
		if (i == 0 && !edit_main_cf(text, len, EDIT_SET, edits, 2, &out, &why))
			abort();
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
