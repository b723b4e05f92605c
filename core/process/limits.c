/* SPDX-License-Identifier: Apache-2.0 */
#include "process/limits.h"

#include <sys/resource.h>

#include "base/log.h"

enum { BESIDE_SESSIONS = 1024, AT_LEAST = 4096 }; /* segments, files, links, tables, connections of modules */

/* The largest number of sessions that one process may have to hold. */
static int64_t most_sessions(const struct config *c)
{
	const struct service *const *list;
	size_t n = config_services(c, &list);
	int64_t most = cfg_int(config_main_view(c), P_smtpd_session_limit);
	for (size_t i = 0; i < n; i++) {
		int64_t limit = cfg_int(list[i]->view, P_smtpd_session_limit);
		most = limit > most ? limit : most;
	}
	return most;
}

void limits_raise_files(const struct config *c)
{
	struct rlimit have, want;
	int64_t sessions = most_sessions(c);
	if (getrlimit(RLIMIT_NOFILE, &have) < 0)
		return;
	rlim_t need = sessions > 0 ? (rlim_t)sessions + BESIDE_SESSIONS : AT_LEAST;
	want = have;
	if (want.rlim_cur < want.rlim_max)
		want.rlim_cur = want.rlim_max;
	if (want.rlim_cur < need)
		want.rlim_cur = want.rlim_max = need;
	if (setrlimit(RLIMIT_NOFILE, &want) == 0)
		return;
	want = have;
	want.rlim_cur = have.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &want);
	if (want.rlim_cur < need)
		log_warning("the system allows %llu open files: smtpd_session_limit = %lld needs %llu",
			    (unsigned long long)want.rlim_cur, (long long)sessions, (unsigned long long)need);
}
