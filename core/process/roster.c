/* SPDX-License-Identifier: Apache-2.0 */
#include "process/roster.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/magic.h"
#include "base/mem.h"
#include "process/paths.h"

#define ROSTER_MAGIC 0x2057e201u
enum { STAT_STATE = 3, STAT_STARTED = 22 }; /* fields of /proc/PID/stat */

struct entry {
	int32_t pid; /* 0: nobody; written last */
	uint32_t reserved;
	uint64_t started; /* clock ticks since the boot */
	char role[24], service[104];
};

struct file {
	char boot[64]; /* /proc/sys/kernel/random/boot_id */
	struct entry entries[COUNTER_COLUMNS];
};

struct roster {
	unsigned magic;
	struct file *file;
};

/* When the process started, in ticks since the boot; 0: there is none, or one that nobody has waited for. */
static uint64_t started_at(pid_t pid)
{
	char path[64];
	size_t len;
	uint64_t started = 0;
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	char *text = io_read_file(AT_FDCWD, path, 4096, &len), *save = NULL;
	char *behind = text ? strrchr(text, ')') : NULL;
	int n = STAT_STATE;
	for (char *f = behind ? strtok_r(behind + 1, " ", &save) : NULL; f;
	     f = strtok_r(NULL, " ", &save), n++) {
		if (n == STAT_STATE && (*f == 'Z' || *f == 'X'))
			break;
		if (n == STAT_STARTED) {
			started = strtoull(f, NULL, 10);
			break;
		}
	}
	free(text);
	return started;
}

static void read_boot(char *out, size_t size)
{
	size_t len;
	char *text = io_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 256, &len);
	memset(out, 0, size);
	snprintf(out, size, "%.*s", text ? (int)strcspn(text, "\n") : 0, text ? text : "");
	free(text);
}

static struct file *map_file(const char *path, struct ost_why *why)
{
	struct stat st;
	void *p = MAP_FAILED;
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);
	bool ok = fd >= 0 && fstat(fd, &st) == 0;
	if (ok && (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022)))
		errno = EPERM, ok = false;
	if (ok && st.st_size != (off_t)sizeof(struct file)) /* new, or another version's: of no use */
		ok = ftruncate(fd, 0) == 0 && posix_fallocate(fd, 0, sizeof(struct file)) == 0;
	if (ok)
		p = mmap(NULL, sizeof(struct file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		why_errno(why, "%s", path);
	io_close(&fd);
	return p == MAP_FAILED ? NULL : p;
}

struct roster *roster_open(const struct cfg_view *view, struct ost_why *why)
{
	char boot[sizeof((struct file *)NULL)->boot];
	char *path = instance_path(view, PLACE_ROSTER);
	struct file *file = map_file(path, why);
	free(path);
	if (!file)
		return NULL;
	read_boot(boot, sizeof boot);
	if (memcmp(file->boot, boot, sizeof boot) != 0) {
		memset(file, 0, sizeof *file);
		memcpy(file->boot, boot, sizeof boot);
	}
	struct roster *r = MEM_NEW(struct roster);
	r->magic = ROSTER_MAGIC;
	r->file = file;
	return r;
}

void roster_close(struct roster **rp)
{
	struct roster *r = *rp;
	if (!r)
		return;
	CHECK_MAGIC(r, ROSTER_MAGIC);
	munmap(r->file, sizeof *r->file);
	r->magic = 0;
	free(r);
	*rp = NULL;
}

void roster_enter(struct roster *r, unsigned slot, pid_t pid, const char *role, const char *service)
{
	if (!r)
		return;
	CHECK_MAGIC(r, ROSTER_MAGIC);
	struct entry *e = &r->file->entries[slot];
	e->started = started_at(pid);
	snprintf(e->role, sizeof e->role, "%s", role);
	snprintf(e->service, sizeof e->service, "%s", service);
	__atomic_store_n(&e->pid, pid, __ATOMIC_RELEASE);
}

void roster_leave(struct roster *r, unsigned slot)
{
	if (!r)
		return;
	CHECK_MAGIC(r, ROSTER_MAGIC);
	__atomic_store_n(&r->file->entries[slot].pid, 0, __ATOMIC_RELEASE);
}

bool roster_alive(struct roster *r, unsigned slot, struct roster_row *out)
{
	if (!r)
		return false;
	CHECK_MAGIC(r, ROSTER_MAGIC);
	const struct entry *e = &r->file->entries[slot];
	if (e->pid <= 1 || e->pid == getpid() || e->started == 0 || started_at(e->pid) != e->started) {
		roster_leave(r, slot);
		return false;
	}
	out->pid = e->pid;
	memcpy(out->role, e->role, sizeof out->role);
	memcpy(out->service, e->service, sizeof out->service);
	out->role[sizeof out->role - 1] = out->service[sizeof out->service - 1] = '\0';
	return true;
}
