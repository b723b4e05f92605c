/* SPDX-License-Identifier: Apache-2.0
 *
 * The table type `unix`: the system's users and groups, as unix:passwd.byname and unix:group.byname. */
#undef unix /* some compilers define it: here it is a name */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ostler/host.h"

enum { FIRST_BYTES = 4096, MOST_BYTES = 4 << 20 };

static const struct ost_host *host;

/* Room for what the system answers; grows until it fits. */
struct room {
	char *bytes;
	size_t size;
};

static bool grow(struct room *room)
{
	size_t size = room->size ? room->size * 4 : FIRST_BYTES;
	char *bytes = size <= MOST_BYTES ? realloc(room->bytes, size) : NULL;
	if (!bytes)
		return false;
	room->bytes = bytes;
	room->size = size;
	return true;
}

/* "name:password:uid:gid:gecos:home:shell". 0 or an error number; *line NULL: there is no such user. */
static int find_user(const char *name, struct room *room, char **line)
{
	struct passwd pw, *found;
	int error = getpwnam_r(name, &pw, room->bytes, room->size, &found);
	if (error == 0 && found &&
	    asprintf(line, "%s:%s:%u:%u:%s:%s:%s", pw.pw_name, pw.pw_passwd, (unsigned)pw.pw_uid, (unsigned)pw.pw_gid,
		     pw.pw_gecos, pw.pw_dir, pw.pw_shell) < 0)
		return ENOMEM;
	return error;
}

/* "name:password:gid:member,member" */
static int find_group(const char *name, struct room *room, char **line)
{
	struct group gr, *found;
	int error = getgrnam_r(name, &gr, room->bytes, room->size, &found);
	if (error != 0 || !found)
		return error;
	size_t len;
	FILE *out = open_memstream(line, &len);
	if (!out)
		return ENOMEM;
	fprintf(out, "%s:%s:%u:", gr.gr_name, gr.gr_passwd, (unsigned)gr.gr_gid);
	for (char **member = gr.gr_mem; *member; member++)
		fprintf(out, "%s%s", member == gr.gr_mem ? "" : ",", *member);
	return fclose(out) == 0 ? 0 : ENOMEM;
}

static const struct unix_map {
	const char *name;
	int (*find)(const char *name, struct room *, char **line);
} maps[] = {
	{ "passwd.byname", find_user },
	{ "group.byname", find_group },
};

static bool unix_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

static bool unix_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)config;
	static const struct unix_map *const end = maps + sizeof maps / sizeof *maps;
	const struct unix_map *map = maps;
	while (map < end && strcmp(map->name, host->instance_name(instance)) != 0)
		map++;
	if (map == end)
		return host->why(why, "unknown table: unix:%s", host->instance_name(instance));
	*self = (void *)(uintptr_t)map;
	return true;
}

static void unix_close(void *self)
{
	(void)self;
}

/* Does the system say "there is none" with an error number? */
static bool means_absent(int error)
{
	return error == ENOENT || error == ESRCH;
}

static enum ost_found unix_lookup(void *self, const struct ost_query *query, struct ost_answer *answer)
{
	const struct unix_map *map = self;
	struct room room = { 0 };
	char *line = NULL;
	if (memchr(query->key, '\0', query->klen) || memchr(query->key, ':', query->klen) || query->klen == 0)
		return OST_NOTFOUND; /* no such name can be there */
	int error = ERANGE;
	while (error == ERANGE && grow(&room))
		error = map->find(query->key, &room, &line);
	free(room.bytes);
	if (line && error == 0) {
		host->answer(answer, line, strlen(line));
		free(line);
		return OST_FOUND;
	}
	free(line);
	if (error == 0 || means_absent(error))
		return OST_NOTFOUND;
	host->answer_why(answer, "%s: %s", map->name, strerror(error));
	return OST_TEMPFAIL;
}

static const struct ost_table_ops unix_ops = {
	.ops = {
		.size = sizeof unix_ops,
		.flags = OST_TABLE_IMMEDIATE,
		.open = unix_open,
		.close = unix_close,
	},
	.lookup = unix_lookup,
};

static const struct ost_provide unix_provides[] = {
	{ OST_KIND_TABLE, "unix", &unix_ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(unix, .version = "1.0", .summary = "the system's users and groups", .license = "Apache-2.0",
	   .provides = unix_provides, .load = unix_load);
