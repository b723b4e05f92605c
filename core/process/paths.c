/* SPDX-License-Identifier: Apache-2.0 */
#include "process/paths.h"

#include "base/mem.h"

static const struct {
	bool below_queue_directory; /* rather than below the base */
	const char *path;
} places[] = {
	[PLACE_BASE] = { false, "" },
	[PLACE_SPOOL] = { false, "/queue" },
	[PLACE_MAILDROP] = { false, "/maildrop" },
	[PLACE_PUBLIC] = { false, "/public" },
	[PLACE_PRIVATE] = { false, "/private" },
	[PLACE_PICKUP] = { false, "/public/pickup" },
	[PLACE_QMGR] = { false, "/public/qmgr" },
	[PLACE_MASTER] = { false, "/private/master" },
	[PLACE_LOCK] = { true, "/pid/master.pid" },
	[PLACE_ROSTER] = { true, "/pid/ostler.processes" },
};

char *instance_path(const struct cfg_view *view, enum instance_place place)
{
	const char *base = cfg_postfix_folder(view) && !places[place].below_queue_directory ? "/ostler" : "";
	return mem_printf("%s%s%s", cfg_str(view, P_queue_directory), base, places[place].path);
}
