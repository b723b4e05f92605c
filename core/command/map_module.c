/* SPDX-License-Identifier: Apache-2.0 */
#include "command/map_module.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "command/unprivileged.h"
#include "mail/ascii.h"
#include "module/hosts.h"
#include "module/module.h"
#include "table/handle.h"

/* ---- files that root may read, for a process that is root no more ------------------------------------------------ */

static const char *const suffixes[] = { "", ".db", ".cdb", ".lmdb" };
enum { SUFFIXES = sizeof suffixes / sizeof *suffixes };

struct kept { /* constant once privileges are gone */
	struct kept *next;
	char *path;
	int fd, error;
};
static struct kept *kept_files;

/* A descriptor of a file that was kept open; others are opened as the user that the process is now. */
static int open_kept(const char *path, struct ost_why *why)
{
	int fd = -1;
	const struct kept *k = kept_files;
	while (k && strcmp(k->path, path) != 0)
		k = k->next;
	errno = k ? k->error : 0;
	if (!k)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	else if (k->fd >= 0)
		fd = fcntl(k->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		char text[128];
		why_set(why, "%s", strerror_r(errno, text, sizeof text));
	}
	return fd;
}

void map_module_keep_open(const char *path)
{
	static const struct mod_files_ops ops = { open_kept };
	for (size_t i = 0; i < SUFFIXES; i++) {
		struct kept *k = MEM_NEW(struct kept);
		k->path = mem_printf("%s%s", path, suffixes[i]);
		k->fd = open(k->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		k->error = k->fd < 0 ? errno : 0;
		k->next = kept_files;
		kept_files = k;
	}
	mod_host_set_files(&ops);
}

/* ---- the present entries ----------------------------------------------------------------------------------------- */

struct old_entry {
	struct old_entry *next;
	const char *key, *value;
	size_t klen, vlen;
};

/* Entries for the module: first the old ones, then those of the text. */
struct source {
	struct ost_source pub;
	const struct map_job *job;
	struct entries entries;
	struct old_entry *old, **old_end;
	const struct file_entry *files;
	struct arena *arena;
	bool removed;       /* a key to remove was there */
	size_t special;     /* how many of the special aliases were given out */
	const char *target; /* "/etc/aliases.db" */
	const char *shown;  /* for warnings: as Postfix calls it */
};

/* What sendmail and NIS want to find among the aliases. */
static const char *const special_aliases[] = { "@", "YP_LAST_MODIFIED", "YP_MASTER_NAME" };
enum { SPECIALS = sizeof special_aliases / sizeof *special_aliases };

static bool is_special_alias(const struct source *s, const char *key, size_t klen)
{
	for (size_t i = 0; s->job->syntax == ENTRY_ALIAS && i < SPECIALS; i++)
		if (strlen(special_aliases[i]) == klen && memcmp(special_aliases[i], key, klen) == 0)
			return true;
	return false;
}

static int compare_keys(const void *key, const void *element)
{
	return strcmp(key, *(const char *const *)element);
}

static bool to_remove(const struct source *s, const char *key)
{
	return s->job->remove &&
	       bsearch(key, s->job->remove, s->job->removals, sizeof *s->job->remove, compare_keys);
}

static bool keep_entry(void *ctx, const char *key, size_t klen, const char *value, size_t vlen)
{
	struct source *s = ctx;
	if (!s->job->remove && is_special_alias(s, key, klen))
		return true; /* comes anew */
	char *copy = arena_strndup(s->arena, key, klen);
	if (to_remove(s, copy)) {
		s->removed = true;
		return true;
	}
	struct old_entry *e = ARENA_NEW(s->arena, struct old_entry);
	e->key = copy;
	e->value = arena_strndup(s->arena, value, vlen);
	e->klen = klen;
	e->vlen = vlen;
	*s->old_end = e;
	s->old_end = &e->next;
	return true;
}

/* Postfix treats this type otherwise than others. */
static bool is_lmdb(const struct map_job *job)
{
	return strcmp(job->type, "lmdb") == 0;
}

/* The index as Postfix calls it when a key comes twice. */
static const char *shown_name(const struct source *s)
{
	const struct map_job *job = s->job;
	return is_lmdb(job)                    ? arena_printf(s->arena, "%s:%s", job->type, job->path)
	       : strcmp(job->type, "cdb") == 0 ? job->path
					       : s->target;
}

/* Reads the index that is there. Adding to none makes a first one. */
static bool read_old(struct source *s, struct ost_why *why)
{
	if (!s->job->incremental && !s->job->remove)
		return true;
	bool makes_file = !s->job->remove || is_lmdb(s->job); /* where there is none */
	if (makes_file && access(s->target, F_OK) < 0 && errno == ENOENT)
		return true;
	char *name = mem_printf("%s:%s", s->job->type, s->job->path);
	struct arena *a = arena_new();
	struct ost_why inner = { "" };
	struct table *t = table_open(s->job->view, name, &inner);
	bool ok =
		inner.text[0] == '\0' ? table_walk(t, a, keep_entry, s, why) : why_set(why, "%s", inner.text);
	arena_destroy(&a);
	free(name);
	return ok;
}

/* ---- what the module calls --------------------------------------------------------------------------------------- */

static struct source *of(struct ost_source *pub)
{
	return (struct source *)pub; /* its first member */
}

static bool next_special(struct source *s, struct entry *e)
{
	if (s->job->syntax != ENTRY_ALIAS || s->special == SPECIALS)
		return false;
	const char *key = special_aliases[s->special], *value = key;
	if (s->special == 1)
		value = arena_printf(s->arena, "%lld", (long long)time(NULL));
	if (s->special == 2)
		value = cfg_str(s->job->view, P_myhostname);
	s->special++;
	*e = (struct entry){ .key = key, .klen = strlen(key), .value = value, .vlen = strlen(value) };
	return true;
}

/* The next entry of the source, and behind them what postalias adds. */
static bool next_new(struct source *s, struct entry *e)
{
	if (s->job->remove)
		return false;
	if (s->files) {
		*e = s->files->entry;
		s->files = s->files->next;
		return true;
	}
	return (!s->job->files && entries_next(&s->entries, e)) || next_special(s, e);
}

static bool next_entry(struct ost_source *pub, const char **key, size_t *klen, const char **value,
		       size_t *vlen, int *line)
{
	struct source *s = of(pub);
	struct entry e;
	if (s->old) {
		e = (struct entry){ s->old->key, s->old->value, s->old->klen, s->old->vlen, 0 };
		s->old = s->old->next;
	} else if (!next_new(s, &e)) {
		return false;
	}
	*key = e.key;
	*klen = e.klen;
	*value = e.value;
	*vlen = e.vlen;
	*line = e.line;
	return true;
}

static void duplicate(struct ost_source *pub, int line, const char *key, size_t klen)
{
	(void)line;
	if (!is_special_alias(of(pub), key, klen))
		log_warning("%s: duplicate entry: \"%.*s\"", of(pub)->shown, (int)klen, key);
}

/* ---- running it -------------------------------------------------------------------------------------------------- */

/* Suffixes go into a file name that root may rename to. */
static bool suffix_sane(const char *suffix)
{
	if (!suffix || suffix[0] != '.' || strlen(suffix) >= MAP_SUFFIX)
		return false;
	for (const char *p = suffix + 1; *p; p++)
		if (!ascii_alnum(*p))
			return false;
	return true;
}

static enum map_built write_index(const struct map_job *job, const struct ost_table_ops *ops,
				  const struct map_text *t, int fd, struct ost_why *why)
{
	char *target = mem_printf("%s%s", job->path, ops->suffix);
	struct source s = { .pub = { .size = sizeof s.pub,
				     .next = next_entry,
				     .duplicate = duplicate,
				     .fd = fd,
				     .flags = job->build_flags },
			    .job = job,
			    .files = t->files,
			    .arena = arena_new(),
			    .target = target };
	s.shown = shown_name(&s);
	s.old_end = &s.old;
	entries_open(&s.entries, t->name, t->text, t->len, job->syntax, job->fold, job->utf8);
	enum map_built result = read_old(&s, why) ? MAP_BUILT : MAP_FAILED;
	if (result == MAP_BUILT && job->remove && !s.removed)
		result = MAP_NO_KEY;
	struct ost_why inner = { "" };
	if (result == MAP_BUILT && !ops->build(&s.pub, &inner)) {
		why_set(why, "%s: %s", target, inner.text);
		result = MAP_FAILED;
	}
	entries_close(&s.entries);
	arena_destroy(&s.arena);
	free(target);
	return result;
}

/* Postfix's words for what a type cannot do. */
static bool may_build(const struct map_job *job, const struct ost_table_ops *ops, struct ost_why *why)
{
	bool changes = job->remove || job->incremental;
	if (!ops->build || !suffix_sane(ops->suffix)) {
		if (!job->remove)
			return why_set(why,
				       "unsupported dictionary type: %s does not support bulk-mode creation.",
				       job->type);
		return strcmp(job->type, "static") == 0
			       ? why_set(why, "table %s:%s: delete operation is not supported", job->type,
					 job->path)
			       : why_set(why, "%s:%s map requires O_RDONLY access mode", job->type,
					 job->path);
	}
	return !changes || ops->walk ||
	       why_set(why,
		       "dict_%s_open: inappropriate open flags for %s database - specify O_RDONLY or "
		       "O_WRONLY|O_CREAT|O_TRUNC",
		       job->type, job->type);
}

/* In this process, which is not root. */
static enum map_built write_here(const struct map_job *job, const struct map_text *t, int fd,
				 char suffix[MAP_SUFFIX], struct ost_why *why)
{
	struct ost_why inner = { "" };
	const struct mod_provider *provider = mod_find(OST_KIND_TABLE, job->type, &inner);
	if (!provider) {
		why_set(why, "unsupported dictionary type: %s (%s)", job->type, inner.text);
		return MAP_FAILED;
	}
	const struct ost_table_ops *ops = (const struct ost_table_ops *)provider->ops;
	if (!may_build(job, ops, why))
		return MAP_FAILED;
	memcpy(suffix, ops->suffix, strlen(ops->suffix) + 1);
	return write_index(job, ops, t, fd, why);
}

/* What the child tells. */
struct outcome {
	enum map_built result;
	char suffix[MAP_SUFFIX];
	struct ost_why why;
};

static _Noreturn void child(const struct map_job *job, const struct map_text *t, int fd, int report_fd)
{
	struct outcome o = { .result = MAP_FAILED };
	if (command_become_mail_owner(job->view, &o.why))
		o.result = write_here(job, t, fd, o.suffix, &o.why);
	(void)io_write_all(report_fd, &o, sizeof o);
	_exit(0);
}

/* In a child that becomes $mail_owner, for root. What it says is not trusted. */
static enum map_built write_in_child(const struct map_job *job, const struct map_text *t, int fd,
				     char suffix[MAP_SUFFIX], struct ost_why *why)
{
	struct outcome o = { .result = MAP_FAILED };
	int report[2];
	map_module_keep_open(job->path);
	if (pipe2(report, O_CLOEXEC) < 0) {
		why_errno(why, "pipe");
		return MAP_FAILED;
	}
	pid_t pid = fork();
	if (pid == 0)
		child(job, t, fd, report[1]);
	io_close(&report[1]);
	size_t got = 0;
	while (pid > 0 && got < sizeof o) {
		ssize_t n = read(report[0], (char *)&o + got, sizeof o - got);
		if (n == 0 || (n < 0 && errno != EINTR))
			break;
		got += n > 0 ? (size_t)n : 0;
	}
	io_close(&report[0]);
	int status = 0;
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	o.suffix[MAP_SUFFIX - 1] = o.why.text[sizeof o.why.text - 1] = '\0';
	if (got < sizeof o || (o.result == MAP_BUILT && !suffix_sane(o.suffix))) {
		why_set(why, "the table type %s failed while it made the index", job->type);
		return MAP_FAILED;
	}
	memcpy(suffix, o.suffix, MAP_SUFFIX);
	*why = o.why;
	return o.result;
}

enum map_built map_module_write(const struct map_job *job, const struct map_text *t, int fd,
				char suffix[MAP_SUFFIX], struct ost_why *why)
{
	return command_is_root() ? write_in_child(job, t, fd, suffix, why)
				 : write_here(job, t, fd, suffix, why);
}
