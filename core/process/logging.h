/* SPDX-License-Identifier: Apache-2.0
 * The log as the configuration wants it: syslog_name, syslog_facility, maillog_file. */
#ifndef PROCESS_LOGGING_H
#define PROCESS_LOGGING_H

#include "base/why.h"
#include "config/view.h"

/* fd: maillog_file, opened by the master, or -1: syslog. */
void logging_open(const struct cfg_view *, const char *role, int fd, bool to_stderr);
/* Opens maillog_file for appending, making it when it is missing: -1 when none is set, -2 with the reason on
 * failure. */
int logging_file(const struct cfg_view *, struct ost_why *);

#endif
