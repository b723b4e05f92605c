/* SPDX-License-Identifier: Apache-2.0
 * Small helpers around read(2) and write(2) that finish the job. Answers true when all was done; errno otherwise. */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

bool io_write_all(int fd, const void *p, size_t n);
bool io_pwrite_all(int fd, const void *p, size_t n, off_t at);
bool io_pwritev_all(int fd, struct iovec *iov, int count, off_t at); /* changes iov */
/* Exactly n bytes; errno is 0 when the end came first. */
bool io_pread_full(int fd, void *p, size_t n, off_t at);
/* A whole small file into memory the caller frees (NUL-terminated), at most max bytes (EFBIG). */
char *io_read_file(int dirfd, const char *path, size_t max, size_t *len);
/* The same from a descriptor of a file; its offset is neither used nor moved. */
char *io_read_fd(int fd, size_t max, size_t *len);
bool io_set_nonblock(int fd, bool on);
bool io_set_cloexec(int fd, bool on);
/* Closes *fd when it is open (>= 0) and sets it to -1. Keeps errno. */
void io_close(int *fd);
/* Standard input, output and error become /dev/null: whoever called may go on. */
void io_leave_terminal(void);
/* A sealed (F_SEAL_SEAL|SHRINK|GROW|WRITE) read-only memfd with these bytes; -1 on failure. */
int io_memfd(const char *name, const void *p, size_t n);
/* The same in steps: an empty one to be written to, which is sealed, and at its beginning, then. */
int io_memfd_new(const char *name);
bool io_memfd_seal(int fd);
/* mkdir -p: every folder on the way; an existing one is fine. */
bool io_mkdirs(const char *path, mode_t mode);

#endif
