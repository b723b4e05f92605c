/* SPDX-License-Identifier: Apache-2.0 */
#include "process/keepsake.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"

enum { CONFIGURATION_MAX = 64 * 1024 * 1024 };

/* The file: the length of the snapshot, which is 0 while it is being written, and the snapshot. */

int keepsake_new(void)
{
	return memfd_create("ostler-keepsake", MFD_CLOEXEC);
}

void keepsake_put(int keepsake, int snapshot)
{
	size_t len;
	char *text = keepsake < 0 ? NULL : io_read_fd(snapshot, CONFIGURATION_MAX, &len);
	if (!text)
		return;
	uint64_t none = 0, n = len;
	if (io_pwrite_all(keepsake, &none, sizeof none, 0) &&
	    ftruncate(keepsake, (off_t)(sizeof n + len)) == 0 && io_pwrite_all(keepsake, text, len, sizeof n))
		(void)io_pwrite_all(keepsake, &n, sizeof n, 0);
	free(text);
}

int keepsake_get(int keepsake)
{
	uint64_t n = 0;
	if (keepsake < 0 || !io_pread_full(keepsake, &n, sizeof n, 0) || n == 0 || n > CONFIGURATION_MAX)
		return -1;
	char *text = malloc(n);
	int fd = text && io_pread_full(keepsake, text, n, sizeof n) ? io_memfd("configuration", text, n) : -1;
	free(text);
	return fd;
}
