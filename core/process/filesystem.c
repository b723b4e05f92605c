/* SPDX-License-Identifier: Apache-2.0 */
#include "process/filesystem.h"

#include <endian.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/io.h"

enum {
	SUPERBLOCK_AT = 1024,
	MAGIC_AT = 0x38,      /* u16 in the superblock of ext2, ext3 and ext4 */
	COMPATIBLE_AT = 0x5c, /* u32: s_feature_compat */
	COMPATIBLE_FAST_COMMIT = 0x400,
};

/* The path itself, or the first folder above it that is there. */
static bool existing(const char *path, char *out, size_t size, struct stat *st)
{
	if ((size_t)snprintf(out, size, "%s", path) >= size || out[0] != '/')
		return false;
	while (stat(out, st) < 0) {
		char *slash = strrchr(out, '/');
		if (slash == out)
			return stat("/", st) == 0;
		*slash = '\0';
	}
	return true;
}

bool filesystem_has_fast_commit(const char *path)
{
	char at[4096], device[64];
	unsigned char block[COMPATIBLE_AT + 4];
	struct statfs fs;
	struct stat st;
	uint16_t magic;
	uint32_t features;
	if (!existing(path, at, sizeof at, &st) || statfs(at[0] ? at : "/", &fs) < 0 ||
	    fs.f_type != EXT4_SUPER_MAGIC)
		return false;
	snprintf(device, sizeof device, "/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
	int fd = open(device, O_RDONLY | O_CLOEXEC);
	bool got = fd >= 0 && io_pread_full(fd, block, sizeof block, SUPERBLOCK_AT);
	io_close(&fd);
	if (!got)
		return false;
	memcpy(&magic, block + MAGIC_AT, sizeof magic);
	memcpy(&features, block + COMPATIBLE_AT, sizeof features);
	return le16toh(magic) == EXT4_SUPER_MAGIC && (le32toh(features) & COMPATIBLE_FAST_COMMIT) != 0;
}
