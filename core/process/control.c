/* SPDX-License-Identifier: Apache-2.0 */
#include "process/control.h"

#include <stddef.h>
#include <string.h>

#include "base/io.h"

bool control_text(const struct tlv *f, char *out, size_t size)
{
	if (f->len >= size || memchr(f->data, '\0', f->len))
		return false;
	memcpy(out, f->data, f->len);
	out[f->len] = '\0';
	return true;
}

enum how { NUMBER, FLAG, TEXT };

#define AT(member) offsetof(struct control_fields, member), sizeof(((struct control_fields *)0)->member)
static const struct {
	unsigned type;
	enum how how;
	size_t offset, size;
} known[] = {
	{ F_ID, NUMBER, AT(id) },
	{ F_STATUS, NUMBER, AT(status) },
	{ F_KIND, NUMBER, AT(kind) },
	{ K_LINE, NUMBER, AT(line) },
	{ K_GENERATION, NUMBER, AT(generation) },
	{ K_COLUMN, NUMBER, AT(column) },
	{ K_UID, NUMBER, AT(uid) },
	{ K_GID, NUMBER, AT(gid) },
	{ K_WHAT, NUMBER, AT(what) },
	{ K_ROOTLESS, FLAG, AT(rootless) },
	{ K_STDERR, FLAG, AT(to_stderr) },
	{ F_NAME, TEXT, AT(name) },
	{ K_NAMED, TEXT, AT(name) },
	{ F_REASON, TEXT, AT(reason) },
	{ K_SERVICE, TEXT, AT(service) },
	{ K_HOME, TEXT, AT(home) },
	{ K_PATH, TEXT, AT(path) },
};

/* One field into the struct. */
static bool take_field(const struct tlv *f, struct control_fields *out)
{
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		char *at = (char *)out + known[i].offset;
		uint64_t number;
		if (known[i].type != f->type)
			continue;
		if (known[i].how == TEXT)
			return control_text(f, at, known[i].size);
		if (!tlv_u64(f, &number))
			return false;
		if (known[i].how == NUMBER)
			memcpy(at, &number, sizeof number);
		else
			*(bool *)at = number != 0;
		out->has_uid |= f->type == K_UID;
		return true;
	}
	return true; /* a field of a later version */
}

bool control_read(const struct ipc_message *m, struct control_fields *out)
{
	struct tlv_reader r = tlv_read(m->body, m->len);
	struct tlv f;
	memset(out, 0, sizeof *out);
	while (tlv_next(&r, &f)) {
		if (!take_field(&f, out))
			return false;
	}
	return !r.bad;
}

void control_drop_fds(struct ipc_message *m)
{
	for (int i = 0; i < m->nfds; i++)
		io_close(&m->fds[i]);
	m->nfds = 0;
}
