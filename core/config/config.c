/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/tlv.h"
#include "config/internal.h"

enum {
	FILE_BYTES = 8 << 20, /* the largest file that is read */
	FILES_MAX = 1000      /* how many of them */
};

/* Fields of a snapshot. */
enum { SNAP_FOLDER = 1, SNAP_OVERRIDE, SNAP_POSTFIX, SNAP_FILE, SNAP_FILE_NAME, SNAP_FILE_TEXT };

static const char module_suffix[] = ".cf";

static struct config *config_new(const char *folder)
{
	struct config *c = MEM_NEW(struct config);
	c->magic = CONFIG_MAGIC;
	c->arena = arena_new();
	c->folder = arena_strdup(c->arena, folder);
	c->main = dict_new(c->arena);
	return c;
}

void config_destroy(struct config **pc)
{
	struct config *c = *pc;
	if (!c)
		return;
	CHECK_MAGIC(c, CONFIG_MAGIC);
	for (size_t i = 0; i < c->service_count; i++)
		view_close(c->services[i]->view);
	if (c->view)
		view_close(c->view);
	arena_destroy(&c->arena);
	free(c->files);
	c->magic = 0;
	free(c);
	*pc = NULL;
}

/* ---- files ---- */

static void add_file(struct config *c, const char *name, const char *text, size_t len)
{
	c->files = mem_realloc_array(c->files, c->file_count + 1, sizeof *c->files);
	c->files[c->file_count++] = (struct config_file){ .name = arena_strdup(c->arena, name),
							  .text = arena_strndup(c->arena, text, len),
							  .len = len };
}

static const struct config_file *find_file(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->file_count; i++)
		if (!strcmp(c->files[i].name, name))
			return &c->files[i];
	return NULL;
}

/* Reads folder/name under the name that messages use. False: not there, or unreadable (a finding says so). */
static bool read_file(struct config *c, const char *folder, const char *name, const char *shown,
		      bool required, struct findings *findings)
{
	char *path = mem_printf("%s/%s", folder, name);
	size_t len;
	char *text = io_read_file(AT_FDCWD, path, FILE_BYTES, &len);
	if (text)
		add_file(c, shown, text, len);
	else if (required || errno != ENOENT)
		findings_add(findings, FINDING_FATAL, "%s: %s", path, strerror(errno));
	free(path);
	free(text);
	return text != NULL;
}

static int compare_names(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;
	return strcmp(*x, *y);
}

/* The names of *.cf in a folder, sorted; NULL-terminated, in the arena. */
static const char **folder_names(struct config *c, const char *folder)
{
	const char **names = arena_alloc(c->arena, (FILES_MAX + 1) * sizeof *names);
	size_t n = 0;
	DIR *dir = opendir(folder);
	const struct dirent *d;
	while (dir && n < FILES_MAX && (d = readdir(dir)) != NULL) {
		size_t len = strlen(d->d_name), suffix = sizeof module_suffix - 1;
		if (d->d_name[0] != '.' && len > suffix && !strcmp(d->d_name + len - suffix, module_suffix))
			names[n++] = arena_strdup(c->arena, d->d_name);
	}
	if (dir)
		closedir(dir);
	qsort(names, n, sizeof *names, compare_names);
	return names;
}

/* main.cf or master.cf, and its fragments in the order of their names. Postfix knows no fragments, so in a
 * folder of its they are left alone. */
static bool read_with_fragments(struct config *c, const char *name, struct findings *findings)
{
	const char *shown = arena_printf(c->arena, "%s.d", name);
	const char *sub = arena_printf(c->arena, "%s/%s", c->folder, shown);
	if (!read_file(c, c->folder, name, name, true, findings))
		return false;
	for (const char **fragment = folder_names(c, sub); *fragment; fragment++) {
		if (c->postfix) {
			findings_add(
				findings, FINDING_WARNING,
				"%s/%s: not read: fragments are for folders with a modules.cf, which Postfix "
				"does not read",
				shown, *fragment);
			continue;
		}
		read_file(c, sub, *fragment, arena_printf(c->arena, "%s/%s", shown, *fragment), true,
			  findings);
	}
	return true;
}

/* modules.cf (by its path) and the modules.d/ beside it; shown with this prefix. */
static void read_module_files(struct config *c, const char *path, const char *prefix,
			      struct findings *findings)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	const char *folder = slash ? arena_strndup(c->arena, path, (size_t)(slash - path)) : ".";
	const char *sub = arena_printf(c->arena, "%s/modules.d", folder);
	read_file(c, folder, base, arena_printf(c->arena, "%s%s", prefix, base), true, findings);
	for (const char **name = folder_names(c, sub); *name; name++)
		read_file(c, sub, *name, arena_printf(c->arena, "%smodules.d/%s", prefix, *name), true,
			  findings);
}

/* The folder's own list of modules, or the one that main.cf names. */
static void read_modules(struct config *c, struct findings *findings)
{
	const char *path = cfg_str(c->view, P_ostler_modules_file);
	if (!c->postfix) {
		read_module_files(c, arena_printf(c->arena, "%s/modules.cf", c->folder), "", findings);
		return;
	}
	const char *slash = strrchr(path, '/');
	read_module_files(c, path, slash ? arena_strndup(c->arena, path, (size_t)(slash - path) + 1) : "",
			  findings);
}

/* ---- making sense of them ---- */

/* name=value of the command line, over main.cf. */
static void apply_overrides(struct config *c, struct findings *findings)
{
	for (const char *const *o = c->overrides; o && *o; o++) {
		struct ost_why why;
		char *name, *value;
		if (split_assignment(arena_strdup(c->arena, *o), &name, &value, &why))
			dict_set(c->main, name, value, "command line");
		else
			findings_add(findings, FINDING_FATAL, "command line: %s", why.text);
	}
}

/* A copy that the configuration owns. */
static const char *const *copy_overrides(struct config *c, const char *const *overrides)
{
	size_t n = 0;
	while (overrides && overrides[n])
		n++;
	const char **copy = arena_alloc(c->arena, (n + 1) * sizeof *copy);
	for (size_t i = 0; i < n; i++)
		copy[i] = arena_strdup(c->arena, overrides[i]);
	return copy;
}

/* A file with a NUL byte would be read only up to it. */
static void check_bytes(const struct config *c, struct findings *findings)
{
	for (size_t i = 0; i < c->file_count; i++)
		if (memchr(c->files[i].text, '\0', c->files[i].len))
			findings_add(findings, FINDING_FATAL, "%s: the file contains a NUL byte",
				     c->files[i].name);
}

bool config_is_part(const struct config_file *file, const char *name)
{
	size_t n = strlen(name);
	return !strncmp(file->name, name, n) && (!file->name[n] || !strncmp(file->name + n, ".d/", 3));
}

bool config_same_file(const char *a, const char *b)
{
	size_t n = strcspn(a, ":");
	return n == strcspn(b, ":") && !memcmp(a, b, n);
}

/* From main.cf to parameters and the main view. */
static void parse_main(struct config *c, struct findings *findings)
{
	check_bytes(c, findings);
	for (size_t i = 0; i < c->file_count; i++)
		if (config_is_part(&c->files[i], "main.cf"))
			maincf_parse(c->arena, c->main, &c->files[i], findings);
	apply_overrides(c, findings);
	c->view = view_new(c, NULL, BY_ALL, "", program_invocation_short_name, findings);
}

/* From the other texts to services and modules. */
static void parse_others(struct config *c, struct findings *findings)
{
	check_bytes(c, findings);
	for (size_t i = 0; i < c->file_count; i++) {
		if (config_is_part(&c->files[i], "master.cf"))
			mastercf_parse(c, &c->files[i], findings);
		else if (!config_is_part(&c->files[i], "main.cf"))
			modulescf_parse(c, &c->files[i], findings);
	}
}

/* Reads the folder, without its main.cf when only defaults are of interest. */
static struct config *read_folder(const char *folder, const char *const *overrides, bool with_main,
				  struct findings *findings)
{
	char *absolute = realpath(folder, NULL);
	if (!absolute) {
		findings_add(findings, FINDING_FATAL, "%s: %s", folder, strerror(errno));
		return NULL;
	}
	struct config *c = config_new(absolute);
	free(absolute);
	c->overrides = copy_overrides(c, overrides);
	char *own = mem_printf("%s/modules.cf", c->folder);
	c->postfix = access(own, F_OK) != 0;
	free(own);
	if (!with_main) {
		add_file(c, "main.cf", "", 0);
	} else if (!read_with_fragments(c, "main.cf", findings)) {
		config_destroy(&c);
		return NULL;
	}
	parse_main(c, findings);
	read_with_fragments(c, "master.cf", findings);
	read_modules(c, findings);
	parse_others(c, findings);
	return c;
}

struct config *config_read(const char *folder, const char *const *overrides, struct findings *findings)
{
	return read_folder(folder, overrides, true, findings);
}

struct config *config_read_defaults(const char *folder, struct findings *findings)
{
	return read_folder(folder, NULL, false, findings);
}

/* ---- snapshot ---- */

int config_snapshot(const struct config *c, struct ost_why *why)
{
	CHECK_MAGIC(c, CONFIG_MAGIC);
	struct buf b = BUF_INIT;
	tlv_put_str(&b, SNAP_FOLDER, c->folder);
	tlv_put_u64(&b, SNAP_POSTFIX, c->postfix);
	for (const char *const *o = c->overrides; *o; o++)
		tlv_put_str(&b, SNAP_OVERRIDE, *o);
	for (size_t i = 0; i < c->file_count; i++) {
		size_t mark = tlv_open(&b, SNAP_FILE, 0);
		tlv_put_str(&b, SNAP_FILE_NAME, c->files[i].name);
		tlv_put(&b, SNAP_FILE_TEXT, 0, c->files[i].text, c->files[i].len);
		tlv_close(&b, mark);
	}
	int fd = io_memfd("configuration", buf_str(&b), b.len);
	if (fd < 0)
		why_errno(why, "configuration snapshot");
	buf_free(&b);
	return fd;
}

/* One file's fields. */
static bool load_file(struct config *c, const struct tlv *field)
{
	struct tlv_reader r = tlv_read(field->data, field->len);
	struct tlv name = { 0 }, text = { 0 }, f;
	while (tlv_next(&r, &f)) {
		if (f.type == SNAP_FILE_NAME)
			name = f;
		else if (f.type == SNAP_FILE_TEXT)
			text = f;
	}
	if (r.bad || !name.data || !text.data)
		return false;
	add_file(c, arena_strndup(c->arena, name.data, name.len), text.data, text.len);
	return true;
}

/* All fields. */
static bool load_snapshot(struct config *c, const char *data, size_t len)
{
	struct tlv_reader r = tlv_read(data, len);
	struct tlv f;
	const char **overrides = arena_alloc(c->arena, (len / TLV_HEAD + 1) * sizeof *overrides);
	size_t n = 0;
	uint64_t flag = 0;
	while (tlv_next(&r, &f)) {
		if (f.type == SNAP_FOLDER)
			c->folder = arena_strndup(c->arena, f.data, f.len);
		else if (f.type == SNAP_OVERRIDE)
			overrides[n++] = arena_strndup(c->arena, f.data, f.len);
		else if (f.type == SNAP_POSTFIX && tlv_u64(&f, &flag))
			c->postfix = flag != 0;
		else if (f.type == SNAP_FILE && !load_file(c, &f))
			return false;
	}
	c->overrides = overrides;
	return !r.bad && find_file(c, "main.cf");
}

/* Parses the bytes of a snapshot again. */
static struct config *config_from_bytes(const char *data, size_t len, struct ost_why *why)
{
	struct config *c = config_new("");
	if (!load_snapshot(c, data, len)) {
		why_set(why, "configuration snapshot: damaged");
		config_destroy(&c);
		return NULL;
	}
	struct findings *findings = findings_new();
	parse_main(c, findings);
	parse_others(c, findings);
	if (findings_fatal(findings)) {
		const struct finding *list;
		size_t n = findings_count(findings, &list), i = 0;
		while (i + 1 < n && list[i].grade != FINDING_FATAL)
			i++;
		why_set(why, "%s", list[i].text);
		config_destroy(&c);
	}
	findings_destroy(&findings);
	return c;
}

struct config *config_from_snapshot(int fd, struct ost_why *why)
{
	struct stat st;
	if (fstat(fd, &st) != 0) {
		why_errno(why, "configuration snapshot");
		return NULL;
	}
	size_t len = (size_t)st.st_size;
	char *data = mem_alloc(len + 1);
	struct config *c = NULL;
	if (io_pread_full(fd, data, len, 0))
		c = config_from_bytes(data, len, why);
	else
		why_errno(why, "configuration snapshot");
	free(data);
	return c;
}

/* ---- reading ---- */

const struct cfg_view *config_main_view(const struct config *c)
{
	CHECK_MAGIC(c, CONFIG_MAGIC);
	return c->view;
}

size_t config_services(const struct config *c, const struct service *const **list)
{
	CHECK_MAGIC(c, CONFIG_MAGIC);
	if (list)
		*list = c->services;
	return c->service_count;
}

const struct service *config_service(const struct config *c, const char *name, const char *command)
{
	CHECK_MAGIC(c, CONFIG_MAGIC);
	for (size_t i = 0; i < c->service_count; i++)
		if ((!name || !strcmp(c->services[i]->name, name)) &&
		    (!command || !strcmp(c->services[i]->command, command)))
			return c->services[i];
	return NULL;
}

const struct service *config_transport(const struct config *c, const char *name)
{
	CHECK_MAGIC(c, CONFIG_MAGIC);
	for (size_t i = 0; i < c->service_count; i++)
		if (c->services[i]->type == SERVICE_UNIX && !strcmp(c->services[i]->name, name))
			return c->services[i];
	return NULL;
}

const struct cfg_view *config_role_view(const struct config *c, const struct service *s,
					enum config_role role)
{
	static const struct {
		enum param_id name;
		const char *command;
	} roles[] = {
		[ROLE_CLEANUP] = { P_cleanup_service_name, "cleanup" },
		[ROLE_REWRITE] = { P_rewrite_service_name, "trivial-rewrite" },
	};
	CHECK_MAGIC(c, CONFIG_MAGIC);
	const struct cfg_view *own = s ? s->view : c->view;
	const struct service *line = config_service(c, cfg_str(own, roles[role].name), roles[role].command);
	return line ? line->view : c->view;
}

size_t config_texts(const struct config *c, const char *name, struct arena *arena,
		    const struct config_text **list)
{
	CHECK_MAGIC(c, CONFIG_MAGIC);
	struct config_text *texts = arena_alloc(arena, (c->file_count + 1) * sizeof *texts);
	size_t n = 0;
	for (size_t i = 0; i < c->file_count; i++)
		if (config_is_part(&c->files[i], name))
			texts[n++] = (struct config_text){ .name = c->files[i].name,
							   .text = c->files[i].text,
							   .len = c->files[i].len };
	*list = texts;
	return n;
}

size_t config_modules(const struct config *c, const struct module_line *const **list)
{
	CHECK_MAGIC(c, CONFIG_MAGIC);
	if (list)
		*list = c->modules;
	return c->module_count;
}
