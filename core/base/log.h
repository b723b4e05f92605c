/* SPDX-License-Identifier: Apache-2.0
 * The log, in Postfix's form: `ostler/smtpd[pid]: QUEUEID: …`, to syslog or to a file, local time.
 *
 * Lines are sanitized as a whole (control bytes become '?') and cut at 2,000 bytes, and are one datagram each, or are
 * written whole, so that lines of several threads and processes never mix. All calls may come from any thread. */
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

/* From now on (off: no longer) this thread's lines of log_info() and log_debug() for a log file wait, some kilobytes of
 * them at most and in the order of all threads' lines, until log_flush(): many lines become one write. Any other line is
 * written at once, with those before it. For loops that log much: flush before each wait, as the threads of base/pool.h
 * do. So what they log before a message is given to the spool is written before the message is durable. A process that
 * is killed loses what it has not written. */
void log_gather(bool on);
void log_flush(void); /* writes what all threads have gathered; cheap when that is nothing */
void log_flush_dying(void); /* the same in a handler of SIGSEGV and its like: tries, and does not wait */

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
