/* SPDX-License-Identifier: Apache-2.0 */
#include "process/landlock.h"

#include "config.h"

#ifdef HAVE_LINUX_LANDLOCK_H
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "process/worker.h"

#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14) /* since the third version of the interface */
#endif

enum { REFER_SINCE = 2, TRUNCATE_SINCE = 3, SCOPED_SINCE = 6 };

/* landlock_ruleset_attr as newer kernels know it; the headers may be older. */
struct ruleset {
	uint64_t access_fs, access_net, scoped;
};
#define SCOPE_SIGNAL (1ULL << 1) /* signals stay within this process, whatever way they are sent */

#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE                                                                                                \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_MAKE_REG |         \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |      \
	 LANDLOCK_ACCESS_FS_REFER)
#define FILE_ONLY                                                                                            \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |        \
	 LANDLOCK_ACCESS_FS_EXECUTE)
#define OTHERS                                                                                               \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_SOCK |          \
	 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

/* What libc, resolver and TLS libraries read while a process runs. */
static const struct {
	const char *path;
	uint64_t access;
} system_paths[] = {
	{ "/etc", READ },
	{ "/usr", READ },
	{ "/lib", READ },
	{ "/lib64", READ },
	{ "/run", READ },
	{ "/var/run", READ },
	{ "/proc", READ },
	{ "/sys/devices/system/cpu", READ },
	{ "/dev/null", READ | LANDLOCK_ACCESS_FS_WRITE_FILE },
	{ "/dev/zero", READ },
	{ "/dev/random", READ },
	{ "/dev/urandom", READ },
};

/* Places in the spool ("" is the spool itself) by what a role does there. */
static const struct {
	unsigned flag;
	const char *place;
	uint64_t access;
} spool_paths[] = {
	{ ROLE_SPOOL_KEEP, "", READ | WRITE },
	{ ROLE_SPOOL_READ, "", READ },
	{ ROLE_SPOOL_READ, "/results", READ | WRITE },
	{ ROLE_SPOOL_STORE, "", LANDLOCK_ACCESS_FS_READ_DIR },
	{ ROLE_SPOOL_STORE, "/serial", READ | WRITE },
	{ ROLE_SPOOL_STORE, "/journal", READ | WRITE },
	{ ROLE_SPOOL_STORE, "/message", LANDLOCK_ACCESS_FS_READ_DIR | WRITE },
	/* A link between two folders is refused when the second allows more than the first. */
	{ ROLE_MAILDROP, "/named", READ | WRITE },
	{ ROLE_MAILDROP, "/message", READ | WRITE },
};

static int landlock_call_create(const struct ruleset *attr, size_t size, unsigned flags)
{
	return (int)syscall(SYS_landlock_create_ruleset, attr, size, flags);
}

/* A path that is not there is left out. */
static bool allow(int ruleset, const char *path, uint64_t access, uint64_t handled)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access & handled };
	struct stat st;
	if (!path || rule.allowed_access == 0)
		return true;
	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return true;
	if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed_access &= FILE_ONLY;
	bool ok = rule.allowed_access == 0 ||
		  syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
	close(rule.parent_fd);
	return ok;
}

static bool allow_all(int ruleset, const struct sandbox *s, uint64_t handled)
{
	bool ok = true;
	for (size_t i = 0; i < sizeof system_paths / sizeof system_paths[0]; i++)
		ok = ok && allow(ruleset, system_paths[i].path, system_paths[i].access, handled);
	for (size_t i = 0; i < sizeof spool_paths / sizeof spool_paths[0]; i++) {
		char path[1024];
		if (!(s->flags & spool_paths[i].flag) || !s->spool)
			continue;
		snprintf(path, sizeof path, "%s%s", s->spool, spool_paths[i].place);
		ok = ok && allow(ruleset, path, spool_paths[i].access, handled);
	}
	if (s->flags & ROLE_MAILDROP)
		ok = ok && allow(ruleset, s->maildrop, READ | WRITE, handled);
	ok = ok && allow(ruleset, s->config, READ, handled);
	ok = ok && allow(ruleset, s->data, READ | ((s->flags & ROLE_MODULES) ? WRITE : 0), handled);
	return ok && allow(ruleset, s->write, READ | WRITE, handled);
}

bool landlock_seal(const struct sandbox *s, enum landlock_part part, struct ost_why *why)
{
	int abi = landlock_call_create(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 1) {
		log_debug("Landlock is not there: paths are not restricted");
		return true;
	}
	uint64_t handled = WRITE | OTHERS | (part == LANDLOCK_WHOLE ? READ : 0);
	if (abi < TRUNCATE_SINCE)
		handled &= ~LANDLOCK_ACCESS_FS_TRUNCATE;
	if (abi < REFER_SINCE)
		handled &= ~LANDLOCK_ACCESS_FS_REFER;
	struct ruleset attr = { .access_fs = handled, .scoped = SCOPE_SIGNAL };
	size_t size = abi >= SCOPED_SINCE ? sizeof attr : offsetof(struct ruleset, access_net);
	int ruleset = landlock_call_create(&attr, size, 0);
	if (ruleset < 0)
		return why_errno(why, "Landlock: make a ruleset");
	bool ok = (allow_all(ruleset, s, handled) && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0) ||
		  why_errno(why, "Landlock");
	io_close(&ruleset);
	return ok;
}

#else

bool landlock_seal(const struct sandbox *s, enum landlock_part part, struct ost_why *why)
{
	(void)s;
	(void)part;
	(void)why;
	return true;
}

#endif
