/* SPDX-License-Identifier: Apache-2.0
 * Role "lookup": what the system's user database says of one name, asked in a process of its own, since the
 * answer may come from a directory server, or not at all. */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "process/broker.h"
#include "process/roles.h"
#include "process/worker_state.h"

enum { PASSWD_BYTES = 65536 };

static bool lookup_prepare(struct worker *w, struct ost_why *why)
{
	struct passwd pw, *found = NULL;
	char *space = mem_alloc(PASSWD_BYTES);
	struct buf body = BUF_INIT;
	(void)why;
	int error = getpwnam_r(w->user.name, &pw, space, PASSWD_BYTES, &found);
	if (found) {
		tlv_put_u64(&body, F_STATUS, BROKER_OK);
		tlv_put_u64(&body, K_UID, pw.pw_uid);
		tlv_put_u64(&body, K_GID, pw.pw_gid);
		tlv_put_str(&body, K_HOME, pw.pw_dir);
	} else {
		bool unknown = error == 0 || error == ENOENT || error == ESRCH;
		tlv_put_u64(&body, F_STATUS, unknown ? BROKER_NO_USER : BROKER_FAILED);
		tlv_put_str(&body, F_REASON, unknown ? "no such user" : "the user database does not answer");
	}
	ipc_send(w->ctl, CTL_FOUND, body.data, body.len);
	buf_free(&body);
	free(space);
	return true;
}

static int lookup_serve(struct worker *w)
{
	(void)w;
	return 0;
}

const struct role role_lookup = { .name = "lookup", .prepare = lookup_prepare, .serve = lookup_serve };
