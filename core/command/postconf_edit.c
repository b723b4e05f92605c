/* SPDX-License-Identifier: Apache-2.0
 * postconf -e, -X and -#, for main.cf and (with -M, -F, -P) for master.cf. Each is changed where it stands:
 * -e in the file that has the last word (a fragment, or main.cf), -X and -# in all. What is new goes to
 * main.cf or master.cf itself. */
#include <stdlib.h>
#include <string.h>

#include "command/edit_file.h"
#include "command/postconf.h"
#include "config/edit.h"

static enum edit_action action_of(const struct postconf *p)
{
	return p->edit == 'X' ? EDIT_REMOVE : p->edit == '#' ? EDIT_COMMENT : EDIT_SET;
}

/* The files of main.cf or master.cf, in the order in which they are read: names below the folder. */
static size_t find_files(const struct postconf *p, const char *name, const char ***list)
{
	struct findings *findings = findings_new();
	struct config *c = config_read(p->folder, NULL, findings);
	const struct config_text *texts;
	size_t n = c ? config_texts(c, name, p->arena, &texts) : 0;
	const char **files = arena_alloc(p->arena, (n + 2) * sizeof *files);
	files[0] = name; /* also when it cannot be read: opening it says why */
	for (size_t i = 1; i < n; i++)
		files[i] = arena_strdup(p->arena, texts[i].name);
	config_destroy(&c);
	findings_destroy(&findings);
	*list = files;
	return n ? n : 1;
}

/* One kind of editing: what it does with a file's text. */
struct editing {
	const struct postconf *p;
	enum edit_action action;
	enum edit_level level;
	struct edit_request *main_requests;
	struct edit_master_request *master_requests;
	size_t count;
};

/* Counts what the text has of each request, in matches. */
static bool edit_text(const struct editing *e, const char *text, size_t len, bool add, struct buf *out,
		      struct ost_why *why)
{
	for (size_t i = 0; i < e->count; i++) {
		if (e->main_requests)
			e->main_requests[i].matches = 0;
		else
			e->master_requests[i].matches = 0;
	}
	if (e->master_requests)
		return edit_master_cf(text, len, e->level, e->action, e->master_requests, e->count, add, out,
				      why);
	edit_main_cf(text, len, e->action, e->main_requests, e->count, out);
	return true;
}

/* Which requests are for this file: bit i of the answer's i-th member. Reads the file without changing it. */
static bool look(const struct editing *e, const char *path, bool *found, struct ost_why *why)
{
	struct buf out = BUF_INIT;
	const char *text;
	size_t len;
	struct edit_file *f = edit_file_open(path, &text, &len, why);
	bool ok = f && edit_text(e, text, len, false, &out, why);
	for (size_t i = 0; ok && i < e->count; i++)
		found[i] =
			(e->main_requests ? e->main_requests[i].matches : e->master_requests[i].matches) > 0;
	edit_file_abort(&f);
	buf_free(&out);
	return ok;
}

static void warn_multiple(const struct editing *e, const char *path)
{
	for (size_t i = 0; i < e->count && e->main_requests; i++)
		if (e->main_requests[i].matches > 1)
			postconf_warn(e->p, "%s: multiple entries for \"%s\"", path,
				      e->main_requests[i].name);
}

/* Changes one file, which has the requests that are not ignored. */
static bool change(const struct editing *e, const char *path, bool add, struct ost_why *why)
{
	struct buf out = BUF_INIT;
	const char *text;
	size_t len;
	struct edit_file *f = edit_file_open(path, &text, &len, why);
	bool ok = f && edit_text(e, text, len, add, &out, why);
	if (ok)
		warn_multiple(e, path);
	if (ok && (out.len != len || memcmp(buf_str(&out), text, len) != 0))
		ok = edit_file_commit(&f, &out, why);
	edit_file_abort(&f);
	buf_free(&out);
	return ok;
}

static void set_ignored(const struct editing *e, size_t i, bool ignored)
{
	if (e->main_requests)
		e->main_requests[i].ignored = ignored;
	else
		e->master_requests[i].ignored = ignored;
}

/* Is only the file changed that has the last word? */
static bool wants_last(const struct editing *e)
{
	return e->action == EDIT_SET && (e->main_requests || e->level == EDIT_ENTRY);
}

/* Runs over all files: first which of them has what, then the changes. unmatched: requests that were found
 * nowhere. */
static bool edit_files(const struct editing *e, const char *const *files, size_t n, const bool *overridden,
		       bool *unmatched, struct ost_why *why)
{
	bool *found = arena_alloc(e->p->arena, (n * e->count + 1) * sizeof *found), ok = true;
	const char **paths = arena_alloc(e->p->arena, n * sizeof *paths);
	for (size_t f = 0; f < n && ok; f++) {
		paths[f] = arena_printf(e->p->arena, "%s/%s", e->p->folder, files[f]);
		ok = look(e, paths[f], found + f * e->count, why);
	}
	for (size_t i = 0; i < e->count; i++) {
		size_t last = n;
		for (size_t f = 0; f < n; f++)
			last = found[f * e->count + i] ? f : last;
		unmatched[i] = last == n && !overridden[i];
		for (size_t f = 0; f < n && wants_last(e); f++)
			found[f * e->count + i] = f == (last == n ? 0 : last);
	}
	for (size_t f = 0; f < n && ok; f++) {
		bool any = false;
		for (size_t i = 0; i < e->count; i++) {
			set_ignored(e, i, overridden[i] || !found[f * e->count + i]);
			any = any || (!overridden[i] && found[f * e->count + i]);
		}
		ok = !any || change(e, paths[f], f == 0, why);
	}
	return ok;
}

static int missing_argument(const struct postconf *p)
{
	return postconf_fatal(p, p->edit == 'e' ? "-e requires name=value argument"
						: "missing service argument");
}

int postconf_edit(const struct postconf *p, char **texts, int count)
{
	struct ost_why why;
	const char **files;
	size_t n = (size_t)count;
	bool *overridden = arena_alloc(p->arena, (n + 1) * sizeof *overridden);
	bool *unmatched = arena_alloc(p->arena, (n + 1) * sizeof *unmatched);
	struct editing e = { .p = p, .action = action_of(p), .count = n };
	if (!n)
		return missing_argument(p);
	e.main_requests = arena_alloc(p->arena, n * sizeof *e.main_requests);
	if (!edit_requests_read(p->arena, e.action, (const char *const *)texts, n, e.main_requests, &why))
		return postconf_fatal(p, "%s", why.text);
	for (size_t i = 0; i < n; i++) {
		overridden[i] = e.main_requests[i].ignored;
		if (overridden[i] && e.action == EDIT_SET)
			postconf_warn(p, "ignoring earlier request: '%s = %s'", e.main_requests[i].name,
				      e.main_requests[i].value);
	}
	size_t file_count = find_files(p, "main.cf", &files);
	if (!edit_files(&e, files, file_count, overridden, unmatched, &why))
		return postconf_fatal(p, "%s", why.text);
	return EXIT_SUCCESS;
}

int postconf_edit_master(const struct postconf *p, char **texts, int count)
{
	struct ost_why why;
	const char **files;
	size_t n = (size_t)count;
	bool *overridden = arena_alloc(p->arena, (n + 1) * sizeof *overridden);
	bool *unmatched = arena_alloc(p->arena, (n + 1) * sizeof *unmatched);
	struct editing e = { .p = p, .action = action_of(p), .count = n };
	e.level = p->mode == 'M' ? EDIT_ENTRY : p->mode == 'F' ? EDIT_FIELD : EDIT_OPTION;
	if (!n)
		return missing_argument(p);
	e.master_requests = arena_alloc(p->arena, n * sizeof *e.master_requests);
	if (!edit_master_requests_read(p->arena, e.level, e.action, (const char *const *)texts, n,
				       e.master_requests, &why))
		return postconf_fatal(p, "%s", why.text);
	size_t file_count = find_files(p, "master.cf", &files);
	if (!edit_files(&e, files, file_count, overridden, unmatched, &why))
		return postconf_fatal(p, "%s", why.text);
	for (size_t i = 0; i < n && e.level != EDIT_ENTRY; i++)
		if (unmatched[i])
			postconf_warn(p, "unmatched service_name/type: \"%s\"", e.master_requests[i].text);
	return EXIT_SUCCESS;
}
