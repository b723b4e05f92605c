/* SPDX-License-Identifier: Apache-2.0
 * The log, in Postfix's form: `ostler/smtpd[pid]: QUEUEID: …`, to syslog or to a file, local time.
 *
 * Lines are sanitized as a whole (control bytes become '?') and cut at 2,000 bytes, and a line is never split over two
 * write(2)s or datagrams, so that lines of several threads and processes never mix. All calls may come from any thread. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_FATAL, LOG_LEVEL_PANIC, LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct log_to {
	const char *syslog_name; /* "ostler", "ostler/submission" */
	const char *role;        /* "smtpd": the tag is syslog_name/role */
	const char *file;        /* maillog_file: appended to; "/dev/stdout"; NULL: syslog's socket */
	int facility;            /* LOG_MAIL … of syslog.h */
	bool also_stderr;        /* for commands and start-fg */
	const char *command;     /* what lines on standard error start with: "postmap"; NULL: the tag */
	int fd;                  /* an open descriptor to write to in place of `file`, or -1; stays the caller's */
};

/* Before the first thread. Until then lines go to stderr. Strings are copied; a second call replaces all. */
void log_open(const struct log_to *to);
void log_connect(void);          /* connects to syslog now, where that is the log: before a chroot */
void log_set_verbose(bool on); /* log_debug() lines appear */
/* From now on the calling thread's lines for a log file wait, up to some kilobytes of them, until log_flush(): many lines
 * become one write. For loops that log much: flush before each wait. Fatal and panic lines, and all before them, go out
 * at once. False: back to a write each. */
void log_gather(bool on);
void log_flush(void); /* writes what the calling thread has gathered; cheap when that is nothing */

/* log_info() lines have no level word; the others start with "warning: ", "error: " … as Postfix's do. */
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Logs "fatal: …" and exits with status 1 (EX_… of sysexits.h for commands: log_fatal_status). */
_Noreturn void log_fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void log_fatal_status(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Our own bug: logs "panic: …" and aborts. */
_Noreturn void log_panic(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
