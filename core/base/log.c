/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
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

enum { LINE_MAX_BYTES = 2000, PREFIX_MAX = 256, LEVEL_MAX = 16, GATHER_MAX = 16 * 1024 };

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
	unsigned opened; /* how many times log_open() was called */
	bool use_syslog, also_stderr, verbose, own_fd;
} out = { .fd = -1 };

static pthread_mutex_t gathering = PTHREAD_MUTEX_INITIALIZER; /* guards both, but a length of 0 is seen without */
static char gathered[GATHER_MAX];
static atomic_size_t gathered_len;
static _Thread_local bool gathers; /* log_gather() */

static pthread_mutex_t syslog_lock = PTHREAD_MUTEX_INITIALIZER; /* guards syslog_fd */
static int syslog_fd = -1;

void log_open(const struct log_to *to)
{
	log_flush();
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
	out.opened++;
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

/* What each line begins with: "Nov 22 14:30:41 host ostler/smtpd[123]: ". Kept per thread for a second, because
 * localtime_r() takes a lock. Syslog's own lines have no host. */
struct prefix {
	time_t second;
	unsigned opened; /* of which log_open() */
	size_t len;
	char text[PREFIX_MAX];
};

/* The host name up to its first dot, as syslogd writes it. */
static void short_host(char *name, size_t size)
{
	name[size - 1] = '\0';
	if (gethostname(name, size - 1) < 0)
		snprintf(name, size, "localhost");
	name[strcspn(name, ".")] = '\0';
}

static const struct prefix *prefix(void)
{
	static _Thread_local struct prefix p;
	time_t now = time(NULL);
	if (now == p.second && p.opened == out.opened)
		return &p;
	char stamp[32], host[65] = "";
	struct tm tm;
	localtime_r(&now, &tm);
	strftime(stamp, sizeof stamp, "%b %e %H:%M:%S", &tm);
	if (!out.use_syslog)
		short_host(host, sizeof host);
	int n = snprintf(p.text, sizeof p.text, "%s %s%s%s[%d]: ", stamp, host, *host ? " " : "", out.tag, out.pid);
	p.len = (size_t)n < sizeof p.text ? (size_t)n : sizeof p.text - 1;
	p.second = now;
	p.opened = out.opened;
	return &p;
}

/* Gathering held: what has been gathered goes to the file. */
static void write_gathered(void)
{
	if (gathered_len)
		(void)!write(out.fd, gathered, gathered_len);
	atomic_store_explicit(&gathered_len, 0, memory_order_relaxed);
}

void log_flush(void)
{
	if (atomic_load_explicit(&gathered_len, memory_order_relaxed) == 0)
		return;
	int saved = errno;
	pthread_mutex_lock(&gathering);
	write_gathered();
	pthread_mutex_unlock(&gathering);
	errno = saved;
}

void log_flush_dying(void)
{
	if (pthread_mutex_trylock(&gathering) != 0)
		return; /* another thread is at it, or this one died at it */
	write_gathered();
	pthread_mutex_unlock(&gathering);
}

void log_gather(bool on)
{
	log_flush();
	gathers = on;
}

/* One line, with its LF, to the file; or kept until more have come. */
static void to_file(enum log_level level, const char *line, size_t len)
{
	bool now = !gathers || (level != LOG_LEVEL_INFO && level != LOG_LEVEL_DEBUG);
	if (now && atomic_load_explicit(&gathered_len, memory_order_relaxed) == 0) {
		(void)!write(out.fd, line, len);
		return;
	}
	pthread_mutex_lock(&gathering);
	if (gathered_len + len > sizeof gathered)
		write_gathered();
	memcpy(gathered + gathered_len, line, len);
	atomic_store_explicit(&gathered_len, gathered_len + len, memory_order_relaxed);
	if (now)
		write_gathered();
	pthread_mutex_unlock(&gathering);
}

__attribute__((format(printf, 2, 0))) static void emit(enum log_level level, const char *fmt, va_list ap)
{
	char text[LINE_MAX_BYTES], line[PREFIX_MAX + LEVEL_MAX + LINE_MAX_BYTES + 1];
	int saved = errno;
	int n = vsnprintf(text, sizeof text, fmt, ap);
	size_t len = n < 0 ? 0 : n < (int)sizeof text ? (size_t)n : sizeof text - 1;
	const char *word = levels[level].word;
	size_t at = 0, word_len = strlen(word);
	if (out.opened) {
		const struct prefix *p = prefix();
		memcpy(line, p->text, p->len);
		at = p->len;
	}
	memcpy(line + at, word, word_len);
	char *clean = sanitize_into(line + at + word_len, LINE_MAX_BYTES, text, len, SANITIZE_LOG);
	if (!out.opened || out.also_stderr)
		dprintf(STDERR_FILENO, "%s: %s\n", out.command ? out.command : out.opened ? out.tag : "ostler", line + at);
	at += word_len + strlen(clean);
	if (out.opened && out.fd >= 0) {
		line[at++] = '\n';
		to_file(level, line, at);
	} else if (out.opened && out.use_syslog) {
		to_syslog(levels[level].priority, line, at);
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
