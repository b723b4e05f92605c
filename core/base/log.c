/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sanitize.h"

enum { LINE_MAX_BYTES = 2000, GATHER_BYTES = 16 * 1024 };

static const struct {
	const char *word;
	int priority;
} levels[] = {
	[LOG_LEVEL_FATAL] = { "fatal: ", LOG_CRIT },       [LOG_LEVEL_PANIC] = { "panic: ", LOG_CRIT },
	[LOG_LEVEL_ERROR] = { "error: ", LOG_ERR },        [LOG_LEVEL_WARNING] = { "warning: ", LOG_WARNING },
	[LOG_LEVEL_INFO] = { "", LOG_INFO },               [LOG_LEVEL_DEBUG] = { "", LOG_DEBUG },
};

/* Written before the first thread starts and only read afterwards; syslog_fd is replaced under lock. */
static struct {
	char *tag, *command;
	int fd; /* the file, or -1 */
	int facility;
	int pid; /* of the process that called log_open(): asking the kernel for each line costs */
	bool use_syslog, also_stderr, verbose, opened, own_fd;
} out = { .fd = -1 };

/* Lines of this thread that wait for log_flush(); NULL: they do not wait. */
static _Thread_local struct gathered {
	size_t len;
	char bytes[GATHER_BYTES];
} *gathered;

static pthread_mutex_t syslog_lock = PTHREAD_MUTEX_INITIALIZER; /* guards syslog_fd */
static int syslog_fd = -1;

void log_open(const struct log_to *to)
{
	free(out.tag);
	free(out.command);
	if (out.own_fd)
		close(out.fd);
	out.tag = to->role && *to->role ? mem_printf("%s/%s", to->syslog_name, to->role) : mem_strdup(to->syslog_name);
	out.command = to->command ? mem_strdup(to->command) : NULL;
	out.facility = to->facility ? to->facility : LOG_MAIL;
	out.also_stderr = to->also_stderr;
	out.own_fd = false;
	out.fd = to->fd;
	if (out.fd < 0 && to->file) {
		out.fd = open(to->file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
		out.own_fd = out.fd >= 0;
	}
	out.use_syslog = out.fd < 0;
	out.pid = (int)getpid();
	out.opened = true;
}

void log_set_verbose(bool on)
{
	out.verbose = on;
}

/* Lock held. */
static void syslog_connect(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
	syslog_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (syslog_fd >= 0 && connect(syslog_fd, (struct sockaddr *)&sun, sizeof sun) < 0) {
		close(syslog_fd);
		syslog_fd = -1;
	}
}

void log_connect(void)
{
	pthread_mutex_lock(&syslog_lock);
	if (out.use_syslog && syslog_fd < 0)
		syslog_connect();
	pthread_mutex_unlock(&syslog_lock);
}

/* One datagram to /dev/log; reconnects once when syslogd was restarted. */
static void to_syslog(int priority, const char *line, size_t len)
{
	char packet[LINE_MAX_BYTES + 64];
	int n = snprintf(packet, sizeof packet, "<%d>%.*s", out.facility | priority, (int)len, line);
	size_t size = n < (int)sizeof packet ? (size_t)n : sizeof packet - 1;
	pthread_mutex_lock(&syslog_lock);
	for (int attempt = 0; attempt < 2; attempt++) {
		if (syslog_fd < 0)
			syslog_connect();
		if (syslog_fd < 0 || send(syslog_fd, packet, size, MSG_NOSIGNAL) >= 0)
			break;
		close(syslog_fd);
		syslog_fd = -1;
	}
	pthread_mutex_unlock(&syslog_lock);
}

/* "Nov 22 14:30:41": the classic syslog stamp, cached per thread and second because localtime_r takes a lock. */
static const char *stamp(void)
{
	static _Thread_local time_t last;
	static _Thread_local char text[32];
	time_t now = time(NULL);
	if (now != last) {
		struct tm tm;
		localtime_r(&now, &tm);
		strftime(text, sizeof text, "%b %e %H:%M:%S", &tm);
		last = now;
	}
	return text;
}

/* The host name up to its first dot, as syslogd writes it. */
static const char *host(void)
{
	static _Thread_local char name[65];
	if (!name[0]) {
		if (gethostname(name, sizeof name - 1) < 0)
			snprintf(name, sizeof name, "localhost");
		name[strcspn(name, ".")] = '\0';
	}
	return name;
}

void log_flush(void)
{
	if (!gathered || gathered->len == 0)
		return;
	int saved = errno;
	(void)!write(out.fd, gathered->bytes, gathered->len);
	gathered->len = 0;
	errno = saved;
}

void log_gather(bool on)
{
	if (on && !gathered) {
		gathered = MEM_NEW(struct gathered);
	} else if (!on) {
		log_flush();
		free(gathered);
		gathered = NULL;
	}
}

/* A whole line for the log file. */
static void to_file(enum log_level level, const char *line, size_t n)
{
	if (!gathered) {
		(void)!write(out.fd, line, n);
		return;
	}
	if (gathered->len + n > sizeof gathered->bytes)
		log_flush();
	memcpy(gathered->bytes + gathered->len, line, n);
	gathered->len += n;
	if (level <= LOG_LEVEL_PANIC)
		log_flush();
}

__attribute__((format(printf, 2, 0))) static void emit(enum log_level level, const char *fmt, va_list ap)
{
	char text[LINE_MAX_BYTES], clean[LINE_MAX_BYTES], line[LINE_MAX_BYTES + 256];
	int saved = errno;
	int n = vsnprintf(text, sizeof text, fmt, ap);
	size_t len = n < 0 ? 0 : n < (int)sizeof text ? (size_t)n : sizeof text - 1;
	sanitize_into(clean, sizeof clean, text, len, SANITIZE_LOG);
	const char *tag = out.tag ? out.tag : "ostler";
	if (!out.opened || out.also_stderr)
		dprintf(STDERR_FILENO, "%s: %s%s\n", out.command ? out.command : tag, levels[level].word, clean);
	if (out.opened && out.fd >= 0) {
		n = snprintf(line, sizeof line, "%s %s %s[%d]: %s%s\n", stamp(), host(), tag, out.pid,
			     levels[level].word, clean);
		to_file(level, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
	} else if (out.opened && out.use_syslog) {
		n = snprintf(line, sizeof line, "%s %s[%d]: %s%s", stamp(), tag, out.pid, levels[level].word,
			     clean);
		to_syslog(levels[level].priority, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
	}
	errno = saved;
}

#define EMIT(level)                                                                                                  \
	do {                                                                                                         \
		va_list ap;                                                                                          \
		va_start(ap, fmt);                                                                                   \
		emit((level), fmt, ap);                                                                              \
		va_end(ap);                                                                                          \
	} while (0)

void log_info(const char *fmt, ...)
{
	EMIT(LOG_LEVEL_INFO);
}

void log_warning(const char *fmt, ...)
{
	EMIT(LOG_LEVEL_WARNING);
}

void log_error(const char *fmt, ...)
{
	EMIT(LOG_LEVEL_ERROR);
}

void log_debug(const char *fmt, ...)
{
	if (out.verbose)
		EMIT(LOG_LEVEL_DEBUG);
}

void log_fatal(const char *fmt, ...)
{
	EMIT(LOG_LEVEL_FATAL);
	exit(1);
}

void log_fatal_status(int status, const char *fmt, ...)
{
	EMIT(LOG_LEVEL_FATAL);
	exit(status);
}

void log_panic(const char *fmt, ...)
{
	EMIT(LOG_LEVEL_PANIC);
	abort();
}
