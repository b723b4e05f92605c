/* SPDX-License-Identifier: Apache-2.0 */
#include "process/limits.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "process/sandbox.h"

enum { OFFERED = 200 }; /* of 1000 */
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

/* Raises what the out-of-memory killer goes by, proc(5); never lowers it, which would need privileges. */
static void offer_first(void)
{
	char text[16] = "";
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	if (fd >= 0 && read(fd, text, sizeof text - 1) > 0 && strtol(text, NULL, 10) < OFFERED) {
		int n = snprintf(text, sizeof text, "%d", OFFERED);
		(void)!pwrite(fd, text, (size_t)n, 0);
	}
	io_close(&fd);
}

void limits_memory(const struct cfg_view *view)
{
	rlim_t bytes = (rlim_t)cfg_size(view, P_ostler_worker_memory_limit);
	struct rlimit have;
	offer_first();
	if (bytes == 0 || UNDER_SANITIZER || getrlimit(RLIMIT_DATA, &have) < 0)
		return;
	if (have.rlim_max != RLIM_INFINITY && have.rlim_max < bytes)
		bytes = have.rlim_max;
	if (setrlimit(RLIMIT_DATA, &(struct rlimit){ .rlim_cur = bytes, .rlim_max = bytes }) < 0)
		log_warning("ostler_worker_memory_limit: %m");
}
