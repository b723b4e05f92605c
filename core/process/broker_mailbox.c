/* SPDX-License-Identifier: Apache-2.0
 * Mailboxes in mail_spool_directory: opened, made and locked for an agent's child, with Postfix's rules. What
 * lies in that folder is not trusted: its users may have put links, pipes or other people's files there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "process/broker_state.h"

struct dot_lock {
	struct dot_lock *next;
	char name[256]; /* of the mailbox, in mail_spool_directory */
	dev_t device;   /* of the lock file that we made */
	ino_t inode;
};

static int open_folder(const struct cfg_view *view, struct ost_why *why)
{
	const char *path = cfg_str(view, P_mail_spool_directory);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		why_errno(why, "open folder %s", path);
	return fd;
}

/* ---- the file ------------------------------------------------------------------------------------------------ */

/* Is it a plain file of this user, with one name? */
static bool acceptable(const struct cfg_view *view, const struct stat *st, const char *name, uid_t owner,
		       struct ost_why *why)
{
	if (!S_ISREG(st->st_mode))
		return why_set(why, "mailbox %s is not a regular file", name);
	if (st->st_nlink != 1)
		return why_set(why, "mailbox %s has %u links", name, (unsigned)st->st_nlink);
	if (st->st_mode & (S_ISUID | S_ISGID | S_IXUSR | S_IXGRP | S_IXOTH))
		return why_set(why, "mailbox %s is executable", name);
	if (cfg_bool(view, P_strict_mailbox_ownership) && st->st_uid != owner)
		return why_set(why, "mailbox %s is owned by uid %u, not by its user", name,
			       (unsigned)st->st_uid);
	return true;
}

/* An existing mailbox; nothing that is not a plain file is opened even for a moment. */
static int open_existing(const struct cfg_view *view, int folder, const char *name, uid_t owner,
			 struct ost_why *why)
{
	struct stat before, st;
	if (fstatat(folder, name, &before, AT_SYMLINK_NOFOLLOW) < 0) {
		int error = errno;
		why_errno(why, "mailbox %s", name);
		errno = error;
		return -1;
	}
	errno = 0;
	if (!acceptable(view, &before, name, owner, why))
		return -1;
	int fd = openat(folder, name, O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0) {
		why_errno(why, "open mailbox %s", name);
		errno = 0;
		return -1;
	}
	bool same = fstat(fd, &st) == 0 && st.st_dev == before.st_dev && st.st_ino == before.st_ino;
	if (!same || !acceptable(view, &st, name, owner, why)) {
		if (!same)
			why_set(why, "mailbox %s changed while it was opened", name);
		io_close(&fd);
		errno = 0;
	}
	return fd;
}

/* Its name, for a file that has none yet. */
static bool give_name(int fd, int folder, const char *name)
{
	char self[64];
	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, folder, name, AT_SYMLINK_FOLLOW) == 0;
}

/* A new mailbox: its user's, with the folder's group, and durable. Where the file system can do that it gets its name last: if
 * we died in between, a file that is not its user's would lie there, and be refused for ever. */
static int create(int folder, const char *name, uid_t owner, struct ost_why *why)
{
	struct stat st;
	bool nameless = true;
	int fd = openat(folder, ".", O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		nameless = false;
		fd = openat(folder, name, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	}
	if (fd < 0) {
		why_errno(why, "create mailbox %s", name);
		return -1;
	}
	bool ok = fstat(folder, &st) == 0 && fchown(fd, owner, st.st_gid) == 0 && fchmod(fd, 0600) == 0 &&
		  (!nameless || give_name(fd, folder, name));
	bool named = ok || !nameless;
	if (!ok || fsync(folder) < 0) {
		why_errno(why, "give mailbox %s to its user", name);
		if (named)
			unlinkat(folder, name, 0);
		io_close(&fd);
	}
	return fd;
}

static int open_mailbox(const struct cfg_view *view, int folder, const char *name, uid_t owner,
			struct ost_why *why)
{
	int fd = open_existing(view, folder, name, owner, why);
	return fd < 0 && errno == ENOENT ? create(folder, name, owner, why) : fd;
}

/* ---- locks --------------------------------------------------------------------------------------------------- */

struct locking {
	struct broker_agent *agent;
	const struct cfg_view *view;
	int folder, fd;
	const char *name;
	bool dotted;
};

/* The kind of fcntl lock that belongs to the open file: the child's descriptor keeps it. */
static enum mailbox_outcome lock_fcntl(struct locking *k, struct ost_why *why)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	if (fcntl(k->fd, F_OFD_SETLK, &lock) == 0)
		return MAILBOX_OPEN;
	bool held = errno == EAGAIN || errno == EACCES;
	why_errno(why, "unable to lock mailbox %s", k->name);
	return held ? MAILBOX_LOCKED : MAILBOX_FAILED;
}

static enum mailbox_outcome lock_flock(struct locking *k, struct ost_why *why)
{
	if (flock(k->fd, LOCK_EX | LOCK_NB) == 0)
		return MAILBOX_OPEN;
	bool held = errno == EWOULDBLOCK;
	why_errno(why, "unable to lock mailbox %s", k->name);
	return held ? MAILBOX_LOCKED : MAILBOX_FAILED;
}

static void lock_file_name(char *out, size_t size, const char *name)
{
	snprintf(out, size, "%s.lock", name);
}

/* A lock file that is older than stale_lock_time was left over. */
static bool is_stale(const struct locking *k, const char *file)
{
	struct stat st;
	return fstatat(k->folder, file, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (int64_t)(time(NULL) - st.st_ctime) * 1000000 > cfg_time(k->view, P_stale_lock_time);
}

static enum mailbox_outcome lock_dot(struct locking *k, struct ost_why *why)
{
	char file[300];
	struct stat st;
	lock_file_name(file, sizeof file, k->name);
	if (is_stale(k, file))
		unlinkat(k->folder, file, 0);
	int fd = openat(k->folder, file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		bool held = errno == EEXIST;
		why_errno(why, "unable to create lock file %s", file);
		return held ? MAILBOX_LOCKED : MAILBOX_FAILED;
	}
	struct dot_lock *lock = MEM_NEW(struct dot_lock);
	if (fstat(fd, &st) == 0) {
		lock->device = st.st_dev;
		lock->inode = st.st_ino;
	}
	io_close(&fd);
	snprintf(lock->name, sizeof lock->name, "%s", k->name);
	lock->next = k->agent->locks;
	k->agent->locks = lock;
	k->dotted = true;
	return MAILBOX_OPEN;
}

static const struct {
	const char *name;
	enum mailbox_outcome (*take)(struct locking *, struct ost_why *);
} methods[] = {
	{ "fcntl", lock_fcntl },
	{ "flock", lock_flock },
	{ "dotlock", lock_dot },
};

/* All of mailbox_delivery_lock, in its order. */
static enum mailbox_outcome lock_mailbox(struct locking *k, struct ost_why *why)
{
	struct arena *a = arena_new();
	enum mailbox_outcome outcome = MAILBOX_OPEN;
	for (const char **word = cfg_split(a, cfg_str(k->view, P_mailbox_delivery_lock)); *word && !outcome;
	     word++) {
		size_t i = 0, n = sizeof methods / sizeof methods[0];
		while (i < n && strcmp(methods[i].name, *word) != 0)
			i++;
		if (i < n)
			outcome = methods[i].take(k, why);
		else {
			why_set(why, "mailbox_delivery_lock: unknown method %s", *word);
			outcome = MAILBOX_FAILED;
		}
	}
	arena_destroy(&a);
	return outcome;
}

/* Removes the lock file, when it is still the one that we made. */
static void remove_lock(struct broker_agent *a, struct dot_lock *lock)
{
	struct ost_why why;
	char file[300];
	struct stat st;
	int folder = open_folder(a->line->view, &why);
	lock_file_name(file, sizeof file, lock->name);
	if (folder >= 0 && fstatat(folder, file, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_dev == lock->device && st.st_ino == lock->inode)
		unlinkat(folder, file, 0);
	io_close(&folder);
	free(lock);
}

static void unlock_named(struct broker_agent *a, const char *name)
{
	for (struct dot_lock **at = &a->locks; *at; at = &(*at)->next) {
		if (strcmp((*at)->name, name) == 0) {
			struct dot_lock *lock = *at;
			*at = lock->next;
			remove_lock(a, lock);
			return;
		}
	}
}

/* ---- requests ------------------------------------------------------------------------------------------------ */

void mailbox_take(struct broker_agent *a, const struct control_fields *f, const struct broker_user *user)
{
	struct ost_why why = { "" };
	char name[256];
	enum mailbox_outcome outcome = MAILBOX_FAILED;
	struct locking k = { .agent = a, .view = a->line->view, .folder = -1, .fd = -1, .name = name };
	bool ok = broker_may_become(k.view, &a->broker->own, user->uid, user->gid, false, &why) &&
		  broker_mailbox_name(k.view, f->path, name, sizeof name, &why) &&
		  (k.folder = open_folder(k.view, &why)) >= 0 &&
		  (k.fd = open_mailbox(k.view, k.folder, name, user->uid, &why)) >= 0;
	if (ok)
		outcome = lock_mailbox(&k, &why);
	if (outcome == MAILBOX_OPEN && fcntl(k.fd, F_SETFL, O_APPEND) < 0) {
		why_errno(&why, "mailbox %s", name);
		outcome = MAILBOX_FAILED;
	}
	if (outcome != MAILBOX_OPEN && k.dotted)
		unlock_named(a, name);
	broker_answer(a, CTL_MAILBOXED, f->id, outcome, outcome == MAILBOX_OPEN ? NULL : why.text,
		      outcome == MAILBOX_OPEN ? k.fd : -1);
	io_close(&k.fd);
	io_close(&k.folder);
}

void mailbox_done(struct broker_agent *a, const struct control_fields *f)
{
	char name[256];
	if (broker_mailbox_name(a->line->view, f->path, name, sizeof name, NULL))
		unlock_named(a, name);
}

void mailbox_forget(struct broker_agent *a)
{
	while (a->locks) {
		struct dot_lock *lock = a->locks;
		a->locks = lock->next;
		remove_lock(a, lock);
	}
}
