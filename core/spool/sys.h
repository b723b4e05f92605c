/* SPDX-License-Identifier: Apache-2.0
 * Every step by which this folder changes the disk. Each passes one hook first, with which tests stop, fail
 * or kill the code at the nth step. Without a hook (always, outside tests) a step is the system call and
 * nothing else. */
#ifndef SPOOL_SYS_H
#define SPOOL_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum sys_step {
	SYS_CREATE,
	SYS_WRITE,
	SYS_SYNC,
	SYS_SYNC_FOLDER,
	SYS_SYNC_WHOLE,
	SYS_RENAME,
	SYS_LINK,
	SYS_UNLINK,
	SYS_TRUNCATE
};

struct sys_call {
	enum sys_step step;
	int fd;           /* the file; for a name the folder it is in; of SYNC_WHOLE any on that file system */
	const char *name; /* of CREATE, RENAME (from), LINK (from), UNLINK */
	int to_fd;
	const char *to;   /* of RENAME, LINK */
	uint64_t at, len; /* of WRITE; of TRUNCATE the new length in at */
};

/* Answers 0 to go on, an errno value to fail with, or SYS_TORN: write the first half, then die. May end the
 * process. */
typedef int sys_hook(void *ctx, const struct sys_call *);
enum { SYS_TORN = -1 };

struct sys {
	sys_hook *hook; /* NULL outside tests */
	void *ctx;
};

/* All answer as the system call does, true or a descriptor for success, with errno otherwise. */
/* O_EXCL, 0600; readable as well, or for writing alone (a sandboxed writer may not read message files); -1.
 */
int sys_create(const struct sys *, int dir, const char *name, bool readable);
bool sys_pwritev(const struct sys *, int fd, struct iovec *iov, int count,
		 uint64_t at); /* all of it; changes iov */
bool sys_pwrite(const struct sys *, int fd, const void *p, size_t n, uint64_t at);
/* Asks the kernel to begin to write what stands there, so that a later sync has less to wait for. That sync alone tells whether it
 * is durable: this neither waits nor takes note of an error, which is left for the sync to report. */
void sys_start_write(int fd, uint64_t at, uint64_t len);
bool sys_datasync(const struct sys *, int fd);
bool sys_fsync(const struct sys *, int fd);
bool sys_sync_folder(const struct sys *, int fd);
bool sys_sync_whole(const struct sys *, int fd); /* syncfs(2): see base/syncwhole.h */
bool sys_rename(const struct sys *, int dir, const char *from, int to_dir, const char *to);
bool sys_link(const struct sys *, int dir, const char *from, int to_dir, const char *to);
bool sys_unlink(const struct sys *, int dir, const char *name);
bool sys_truncate(const struct sys *, int fd, uint64_t len);

/* Which file a descriptor means. A module in the same process may close descriptors that are not its own, and the number then
 * comes back as another file: what is acknowledged was written to the file that it was meant for. */
struct sys_identity {
	dev_t device;
	ino_t inode; /* 0: not known */
};
struct sys_identity sys_identity(int fd);
/* Ends the process, before anybody is answered, when the descriptor means another file now (or none). */
void sys_check_identity(int fd, const struct sys_identity *, const char *what);

/* After a failed openat(2) beneath a folder of the spool: ends the process when the folder's descriptor is none any more, for the
 * same reason. Leaves errno. */
void sys_check_folder(void);

/* Exclusive lock of the open file description, without waiting: it goes with the last descriptor. False:
 * another has it (errno EAGAIN), or an error. */
bool sys_lock(int fd);
bool sys_locked_by_other(int fd); /* does somebody else hold it now? */

#endif
