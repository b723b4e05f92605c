/* SPDX-License-Identifier: Apache-2.0 */
#include "command/map_build.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "command/map_module.h"
#include "command/unprivileged.h"

enum { SOURCE_BYTES = 1 << 30 };

/* A job under way. */
struct build {
	const struct map_job *job;
	int source_fd; /* -1: standard input, or none */
	struct stat source;
	char *text; /* of the source */
	struct map_text source_text;
	char *temporary; /* the new file's name while it is written; NULL: there is none */
	int fd;
};

/* Reads standard input to its end. */
static bool read_stdin(struct build *b, struct ost_why *why)
{
	struct buf text = BUF_INIT;
	for (;;) {
		buf_reserve(&text, 65536);
		ssize_t n = read(STDIN_FILENO, text.data + text.len, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || text.len + (size_t)n > SOURCE_BYTES) {
			buf_free(&text);
			return n < 0 ? why_errno(why, "read standard input")
				     : why_set(why, "standard input is too long");
		}
		if (n == 0)
			break;
		text.len += (size_t)n;
	}
	b->text = buf_steal(&text, &b->source_text.len);
	return true;
}

/* Opens the source. It may be missing where the present index is what counts. */
static bool open_source(struct build *b, struct ost_why *why)
{
	const struct map_job *job = b->job;
	b->source_fd = open(job->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (b->source_fd < 0)
		return job->incremental || job->remove || why_errno(why, "open %s", job->path);
	if (fstat(b->source_fd, &b->source) < 0)
		return why_errno(why, "%s", job->path);
	return S_ISREG(b->source.st_mode) || why_set(why, "%s is not a regular file", job->path);
}

static bool read_source(struct build *b, struct ost_why *why)
{
	if (b->job->remove)
		return true;
	if (b->job->incremental)
		return read_stdin(b, why);
	b->text = io_read_fd(b->source_fd, SOURCE_BYTES, &b->source_text.len);
	return b->text || why_errno(why, "read %s", b->job->path);
}

/* What the index is made of. Files that values name are read here, with the rights of who makes the index. */
static void prepare(struct build *b)
{
	struct map_text *t = &b->source_text;
	t->name = b->job->incremental ? "stdin" : b->job->path;
	t->text = b->text;
	t->arena = arena_new();
	if (!b->job->files || b->job->remove)
		return;
	struct entries entries;
	entries_open(&entries, t->name, t->text, t->len, b->job->syntax, b->job->fold, b->job->utf8);
	t->files = map_files_read(t->arena, &entries);
	entries_close(&entries);
}

/* The source's owner makes the index, so that root does not write in other users' folders. */
static bool become_owner(const struct build *b, struct ost_why *why)
{
	if (!command_is_root() || b->job->keep_root || b->source_fd < 0 || b->source.st_uid == 0)
		return true;
	return command_become(b->source.st_uid, b->source.st_gid, why);
}

static bool make_temporary(struct build *b, struct ost_why *why)
{
	b->temporary = mem_printf("%s.XXXXXX", b->job->path);
	b->fd = mkostemp(b->temporary, O_CLOEXEC);
	if (b->fd >= 0)
		return true;
	why_errno(why, "create a file beside %s", b->job->path);
	free(b->temporary);
	b->temporary = NULL;
	return false;
}

/* Mode and owner: those of the index that is replaced; of a first one, the source's permissions for group and
 * others. */
static bool set_mode(const struct build *b, const char *target, struct ost_why *why)
{
	struct stat old;
	mode_t mode = 0644;
	if (lstat(target, &old) == 0 && S_ISREG(old.st_mode)) {
		mode = old.st_mode & 0777;
		if (command_is_root() && fchown(b->fd, old.st_uid, old.st_gid) < 0)
			return why_errno(why, "chown %s", b->temporary);
	} else if (b->job->inherit_mode && b->source_fd >= 0) {
		mode = 0600 | (b->source.st_mode & 0044);
		if (command_is_root() && fchown(b->fd, b->source.st_uid, b->source.st_gid) < 0)
			return why_errno(why, "chown %s", b->temporary);
	}
	return fchmod(b->fd, mode) == 0 || why_errno(why, "chmod %s", b->temporary);
}

static bool sync_folder(const char *path, struct ost_why *why)
{
	char *copy = mem_strdup(path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;
	if (!ok)
		why_errno(why, "sync the folder of %s", path);
	io_close(&fd);
	free(copy);
	return ok;
}

/* The new file takes the old one's place, durably. */
static bool publish(struct build *b, const char *suffix, struct ost_why *why)
{
	char *target = mem_printf("%s%s", b->job->path, suffix);
	bool ok = set_mode(b, target, why);
	if (ok && fsync(b->fd) < 0)
		ok = why_errno(why, "sync %s", b->temporary);
	if (ok && rename(b->temporary, target) < 0)
		ok = why_errno(why, "rename %s to %s", b->temporary, target);
	if (ok) {
		free(b->temporary);
		b->temporary = NULL;
		ok = sync_folder(target, why);
	}
	free(target);
	return ok;
}

/* Everything but the module's part, in order. */
static enum map_built run(struct build *b, struct ost_why *why)
{
	char suffix[MAP_SUFFIX];
	if (!open_source(b, why) || !become_owner(b, why) || !read_source(b, why) || !make_temporary(b, why))
		return MAP_FAILED;
	prepare(b);
	enum map_built result = map_module_write(b->job, &b->source_text, b->fd, suffix, why);
	if (result == MAP_BUILT && !publish(b, suffix, why))
		result = MAP_FAILED;
	return result;
}

enum map_built map_build(const struct map_job *job, struct ost_why *why)
{
	struct build b = { .job = job, .source_fd = -1, .fd = -1 };
	sigset_t block, before;
	sigemptyset(&block);
	sigaddset(&block, SIGHUP);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGTERM);
	sigprocmask(SIG_BLOCK, &block, &before); /* no half-made files are left behind */
	enum map_built result = run(&b, why);
	if (b.temporary)
		unlink(b.temporary);
	sigprocmask(SIG_SETMASK, &before, NULL);
	io_close(&b.fd);
	io_close(&b.source_fd);
	free(b.temporary);
	free(b.text);
	arena_destroy(&b.source_text.arena);
	return result;
}
