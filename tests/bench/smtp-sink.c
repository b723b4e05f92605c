/* SPDX-License-Identifier: Apache-2.0
 * smtp-sink: an SMTP server in one thread that counts messages. README.md beside it describes options and
 * report. */
#define _GNU_SOURCE 1
#include "sink.h"
#include "options.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MAX 256
#define BACKLOG    4096
#define NAME_MAX_  200

static const char synopsis[] =
	"smtp-sink [options] ADDRESS:PORT (port 0: a free one, which the first line tells)";

static void take_reply(void *into, char *text)
{
	struct sink *k = into;

	sink_rules_add(&k->rules, text);
}

static void take_delay(void *into, char *text)
{
	struct sink *k = into;

	sink_rules_delay(&k->rules, text);
}

static void take_keyword(void *into, char *text)
{
	struct sink *k = into;

	if (k->keywords == SINK_KEYWORDS_MAX || strlen(text) > 64)
		bench_die("ehlo: at most %d keywords of 64 characters", SINK_KEYWORDS_MAX);
	k->keyword[k->keywords++] = text;
}

static void parse_options(struct sink *k, int argc, char **argv)
{
	/* clang-format off */
	const struct option_entry table[] = {
		OPT_NUMBER('m', "messages", "N", &k->exit_after, 0, UINT64_MAX, "exit after so many"),
		OPT_TEXT(0, "ledger", "FILE", &k->ledger_path, "record each message and recipient"),
		OPT_CALL(0, "reply", "RULE", take_reply, k, "STAGE[*N][/N]:REGEX:ANSWER, the first that matches"),
		OPT_CALL(0, "delay", "WHAT", take_delay, k, "STAGE:MILLISECONDS before the answer"),
		OPT_CALL(0, "ehlo", "WORD", take_keyword, k, "a further keyword in the EHLO reply"),
		OPT_TEXT(0, "hostname", "NAME", &k->hostname, "in greeting and replies"),
	};
	/* clang-format on */
	const size_t n = sizeof table / sizeof table[0];
	int first = options_parse(argc, argv, table, n, synopsis);

	if (first != argc - 1)
		options_refuse(table, n, synopsis);
	if (strlen(k->hostname) > NAME_MAX_)
		bench_die("hostname: at most %d characters", NAME_MAX_);
	k->listen = argv[first];
}

static void report(const struct sink *k)
{
	const struct sink_counts *c = &k->count;

	printf("{\"connections\": %llu, \"open\": %u, \"messages\": %llu, \"recipients\": %llu, \"bytes\": "
	       "%llu, "
	       "\"bad\": %llu, \"ruled\": %llu, \"first_ns\": %llu, \"last_ns\": %llu, \"latency_us\": ",
	       (unsigned long long)c->connections, k->open, (unsigned long long)c->messages,
	       (unsigned long long)c->recipients, (unsigned long long)c->bytes, (unsigned long long)c->bad,
	       (unsigned long long)c->ruled, (unsigned long long)k->first_ns, (unsigned long long)k->last_ns);
	hist_print_json(stdout, &k->latency);
	printf("}\n");
	fflush(stdout);
}

/* Counters and latencies begin anew. */
static void forget(struct sink *k)
{
	k->count = (struct sink_counts){ .connections = 0 };
	k->latency = (struct hist){ .count = 0 };
	k->first_ns = k->last_ns = 0;
}

static int open_listener(const struct sink *k)
{
	const int one = 1;
	struct bench_address at;
	char text[80];
	int fd;

	bench_parse_address(k->listen, &at);
	fd = socket(at.sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		bench_die("socket: %m");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* accepted sockets inherit it */
	if (bind(fd, (const struct sockaddr *)&at.sa, at.len) != 0 || listen(fd, BACKLOG) != 0)
		bench_die("%s: %m", k->listen);
	getsockname(fd, (struct sockaddr *)&at.sa, &at.len);
	bench_format_address(&at, text, sizeof text);
	printf("{\"listening\": \"%s\"}\n", text);
	fflush(stdout);
	return fd;
}

static void on_signal(struct sink *k, int fd)
{
	int sig = bench_next_signal(fd);

	if (sig == SIGUSR1)
		report(k);
	else if (sig == SIGUSR2)
		forget(k);
	else if (sig != 0)
		k->stopping = true;
}

static void accept_one(struct sink *k, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		sink_session_start(k, fd);
	else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
		bench_die("accept: %m");
}

static void watch(struct sink *k, int *fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = fd };

	if (epoll_ctl(k->epoll, EPOLL_CTL_ADD, *fd, &ev) != 0)
		bench_die("epoll_ctl: %m");
}

static void run(struct sink *k)
{
	struct epoll_event ev[EVENTS_MAX];
	int signals = bench_signals();
	int listener = open_listener(k);

	watch(k, &signals);
	watch(k, &listener);
	while (!k->stopping) {
		int wait = sink_session_resume(k);
		int n = epoll_wait(k->epoll, ev, EVENTS_MAX, wait);

		for (int i = 0; i < n; i++) {
			void *who = ev[i].data.ptr;

			if (who == &signals)
				on_signal(k, signals);
			else if (who == &listener)
				accept_one(k, listener);
			else
				sink_session_event(k, who, ev[i].events);
		}
	}
	close(listener);
	close(signals);
}

static void release(struct sink *k)
{
	while (k->all)
		sink_session_end(k, k->all);
	while (k->unused) {
		struct sink_session *s = k->unused;

		k->unused = s->next;
		free(s->rcpt);
		free(s->out);
		free(s);
	}
	for (unsigned i = 0; i < k->rules.n; i++)
		if (k->rules.rule[i].has_regex)
			regfree(&k->rules.rule[i].regex);
	free(k);
}

int main(int argc, char **argv)
{
	struct sink *k = bench_alloc(sizeof *k);

	k->hostname = "sink.example";
	parse_options(k, argc, argv);
	sum_init();
	bench_raise_open_files();
	ledger_open(&k->ledger, k->ledger_path);
	k->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (k->epoll < 0)
		bench_die("epoll_create1: %m");
	run(k);
	report(k);
	release(k);
	return 0;
}
