/* SPDX-License-Identifier: Apache-2.0 */
#include "spool/aside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"

enum { NAME = 96 };

/* Writes the copy, under another name until it is whole. */
static bool write_copy(struct spool *s, const char *name, const char *bytes, uint64_t len)
{
	char fresh[NAME + 8];
	snprintf(fresh, sizeof fresh, "%s.new", name);
	int fd = sys_create(&s->sys, s->corrupt, fresh, false);
	if (fd < 0 && errno == EEXIST && sys_unlink(&s->sys, s->corrupt, fresh)) /* of a recovery that died */
		fd = sys_create(&s->sys, s->corrupt, fresh, false);
	bool ok = fd >= 0 && sys_pwrite(&s->sys, fd, bytes, (size_t)len, 0) && sys_fsync(&s->sys, fd) &&
		  sys_rename(&s->sys, s->corrupt, fresh, s->corrupt, name) && sys_sync_folder(&s->sys, s->corrupt);
	io_close(&fd);
	return ok;
}

bool aside_bytes(struct spool *s, const char *folder, const struct segment_header *h, uint64_t from,
		 const char *bytes, uint64_t len)
{
	char name[NAME];
	snprintf(name, sizeof name, "%s-%08u-%08x-%08llx", folder, h->number, salt_id(&h->salt),
		 (unsigned long long)from);
	if (faccessat(s->corrupt, name, F_OK, 0) == 0) /* an earlier recovery was here */
		return true;
	bool ok = write_copy(s, name, bytes, len);
	if (ok)
		log_error("spool: segment %s/%08u has no good record at %llu, %llu bytes: kept in corrupt/%s",
			  folder, h->number, (unsigned long long)from, (unsigned long long)len, name);
	else
		log_error("spool: segment %s/%08u has no good record at %llu, %llu bytes, and they could not "
			  "be set "
			  "aside: errno %d",
			  folder, h->number, (unsigned long long)from, (unsigned long long)len, errno);
	return ok;
}

bool aside_file(struct spool *s, int dir, const char *name, const char *why)
{
	char to[NAME];
	const char *slash = strrchr(name, '/');
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(to, sizeof to, "%.64s.%u", slash ? slash + 1 : name, i);
		if (faccessat(s->corrupt, to, F_OK, 0) == 0)
			continue;
		if (!sys_rename(&s->sys, dir, name, s->corrupt, to))
			break;
		(void)sys_sync_folder(&s->sys, s->corrupt);
		log_error("spool: %s is damaged (%s): moved to corrupt/%s", name, why, to);
		return true;
	}
	bool gone = errno == ENOENT;
	log_error("spool: %s is damaged (%s) and could not be set aside: errno %d", name, why, errno);
	return gone;
}
