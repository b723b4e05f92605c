/* SPDX-License-Identifier: Apache-2.0 */
#include "process/logging.h"

#include <fcntl.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"

static const struct {
	const char *name;
	int facility;
} facilities[] = {
	{ "auth", LOG_AUTH },     { "authpriv", LOG_AUTHPRIV }, { "cron", LOG_CRON },
	{ "daemon", LOG_DAEMON }, { "ftp", LOG_FTP },           { "kern", LOG_KERN },
	{ "lpr", LOG_LPR },       { "mail", LOG_MAIL },         { "news", LOG_NEWS },
	{ "syslog", LOG_SYSLOG }, { "user", LOG_USER },         { "uucp", LOG_UUCP },
	{ "local0", LOG_LOCAL0 }, { "local1", LOG_LOCAL1 },     { "local2", LOG_LOCAL2 },
	{ "local3", LOG_LOCAL3 }, { "local4", LOG_LOCAL4 },     { "local5", LOG_LOCAL5 },
	{ "local6", LOG_LOCAL6 }, { "local7", LOG_LOCAL7 },
};

static int facility_of(const char *name)
{
	for (size_t i = 0; i < sizeof facilities / sizeof facilities[0]; i++) {
		if (strcasecmp(facilities[i].name, name) == 0)
			return facilities[i].facility;
	}
	return LOG_MAIL;
}

void logging_open(const struct cfg_view *view, const char *role, int fd, bool to_stderr)
{
	struct log_to to = {
		.syslog_name = cfg_str(view, P_syslog_name),
		.role = role,
		.facility = facility_of(cfg_str(view, P_syslog_facility)),
		.also_stderr = to_stderr,
		.fd = fd,
	};
	log_open(&to);
}

/* maillog_file_prefixes bounds what a configuration can make root write to. */
static bool allowed(const struct cfg_view *view, const char *file)
{
	struct arena *a = arena_new();
	bool ok = geteuid() != 0; /* an ordinary user can write to nothing but what is its own */
	for (const char **p = cfg_split(a, cfg_str(view, P_maillog_file_prefixes)); *p && !ok; p++)
		ok = strncmp(file, *p, strlen(*p)) == 0;
	arena_destroy(&a);
	return ok && !strstr(file, "/../");
}

int logging_file(const struct cfg_view *view, struct ost_why *why)
{
	const char *file = cfg_str(view, P_maillog_file);
	if (!*file)
		return -1;
	if (!allowed(view, file)) {
		why_set(why, "maillog_file: %s does not start with one of maillog_file_prefixes", file);
		return -2;
	}
	int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
	if (fd < 0) {
		why_errno(why, "maillog_file: open %s", file);
		return -2;
	}
	return fd;
}
