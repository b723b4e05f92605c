/* SPDX-License-Identifier: Apache-2.0
 * smtp-load: a source of SMTP load in one thread. README.md beside it describes the options and the report.
 */
#include "load.h"

#include "options.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MAX   256
#define TICK_MS      20
#define OPENING_MAX  64 /* idle connections that are being opened at one time */
#define SESSIONS_MAX 200000
#define ADDRESS_MAX  256
#define PREFIX_MAX   (STAMP_ID_MAX - 20)

static const char synopsis[] = "smtp-load [options] ADDRESS:PORT";

static void take_size(void *into, char *text)
{
	struct load_options *o = into;
	char *dash = strchr(text, '-');

	if (dash)
		*dash++ = '\0';
	o->size_min = bench_number("size", text, UINT32_MAX);
	o->size_max = dash ? bench_number("size", dash, UINT32_MAX) : o->size_min;
	if (o->size_min > o->size_max)
		bench_die("size: the first number is the smaller one");
}

static void take_pattern(void *into, char *text)
{
	struct load_options *o = into;

	if (o->patterns == LOAD_PATTERNS_MAX)
		bench_die("to: at most %d", LOAD_PATTERNS_MAX);
	o->pattern[o->patterns++] = text;
}

static void take_keep(void *into, char *text)
{
	struct load_options *o = into;

	(void)text;
	o->per_session = 0;
}

static void check_options(struct load_options *o)
{
	if (o->messages == UINT64_MAX && o->duration_ns == 0)
		o->messages = 1;
	if (o->patterns == 0)
		o->pattern[o->patterns++] = "user%d@sink.example";
	if (o->mailboxes < o->recipients)
		o->mailboxes = o->recipients;
	for (unsigned i = 0; i < o->patterns; i++)
		if (o->mailboxes > 1 && !strstr(o->pattern[i], "%d"))
			bench_die("to: %s: several mailboxes need a %%d in it", o->pattern[i]);
	if (strlen(o->id_prefix) > PREFIX_MAX || strpbrk(o->id_prefix, " \t<>@:"))
		bench_die("id: at most %d letters and digits", PREFIX_MAX);
	if (strlen(o->sender) > ADDRESS_MAX || strlen(o->helo) > ADDRESS_MAX)
		bench_die("from and helo have at most %d characters", ADDRESS_MAX);
}

static void parse_options(struct load_options *o, int argc, char **argv)
{
	/* clang-format off */
	const struct option_entry table[] = {
		OPT_NUMBER('s', "sessions", "N", &o->sessions, 1, SESSIONS_MAX, "sessions side by side (1)"),
		OPT_NUMBER('m', "messages", "N", &o->messages, 0, UINT64_MAX, "messages in all (1, or no end with -T)"),
		OPT_SECONDS('T', "duration", &o->duration_ns, "start no message after so long"),
		OPT_CALL('l', "size", "N[-M]", take_size, o, "bytes of the body (4096); a range is evenly spread"),
		OPT_NUMBER('r', "recipients", "N", &o->recipients, 1, 10000, "recipients of each message (1)"),
		OPT_CALL('t', "to", "ADDR", take_pattern, o, "%d becomes a mailbox's number; several take turns"),
		OPT_NUMBER('k', "mailboxes", "N", &o->mailboxes, 1, UINT32_MAX, "how many numbers there are (as recipients)"),
		OPT_TEXT('f', "from", "ADDR", &o->sender, "sender"),
		OPT_NUMBER('n', "per-session", "N", &o->per_session, 1, UINT64_MAX, "messages on one connection (1)"),
		OPT_CALL('d', "keep", NULL, take_keep, o, "do not disconnect between messages"),
		OPT_NUMBER(0, "pause", "MS", &o->pause_ms, 0, 60000, "between the connections of a session (0)"),
		OPT_FLAG('p', "pipelining", &o->pipelining, "send MAIL, RCPT and DATA together"),
		OPT_NUMBER(0, "idle", "N", &o->idle, 1, SESSIONS_MAX, "open N connections, read the greeting, stay"),
		OPT_TEXT(0, "ledger", "FILE", &o->ledger, "record accepted messages; bodies get a sum"),
		OPT_TEXT(0, "id", "TEXT", &o->id_prefix, "first part of the messages' ids"),
		OPT_NUMBER(0, "seed", "N", &o->seed, 0, UINT64_MAX, "for sizes that vary (1)"),
		OPT_SECONDS(0, "timeout", &o->timeout_ns, "for each reply (60)"),
		OPT_SECONDS(0, "give-up", &o->give_up_ns, "end when no reply at all comes for so long (60)"),
		OPT_TEXT(0, "helo", "NAME", &o->helo, "for EHLO"),
	};
	/* clang-format on */
	const size_t n = sizeof table / sizeof table[0];
	int first = options_parse(argc, argv, table, n, synopsis);

	if (first != argc - 1)
		options_refuse(table, n, synopsis);
	bench_parse_address(argv[first], &o->server);
	check_options(o);
}

bool load_claim(struct load *l)
{
	if (l->stopping || l->claims >= l->opt.messages)
		return false;
	l->claims++;
	return true;
}

static void report(const struct load *l)
{
	const struct load_counts *c = &l->count;
	uint64_t end = l->last_ns ? l->last_ns : bench_now();
	double span = (double)(end - l->start_ns) / (double)BENCH_SECOND;

	printf("{\"sent\": %llu, \"accepted\": %llu, \"failed\": %llu, \"unknown\": %llu, ",
	       (unsigned long long)c->started, (unsigned long long)c->accepted, (unsigned long long)c->failed,
	       (unsigned long long)c->unknown);
	printf("\"replies_4xx\": %llu, \"replies_5xx\": %llu, \"connections\": %llu, \"connect_failures\": "
	       "%llu, "
	       "\"lost\": %llu, \"dropped\": %llu, \"idle\": %u, ",
	       (unsigned long long)c->refused_4xx, (unsigned long long)c->refused_5xx,
	       (unsigned long long)c->connections, (unsigned long long)c->connect_failures,
	       (unsigned long long)c->lost, (unsigned long long)c->dropped, l->greeted);
	printf("\"bytes\": %llu, \"seconds\": %.6f, \"per_second\": %.1f, \"start_ns\": %llu, \"last_ns\": "
	       "%llu, ",
	       (unsigned long long)c->bytes, span, span > 0 ? (double)c->accepted / span : 0.0,
	       (unsigned long long)l->start_ns, (unsigned long long)l->last_ns);
	printf("\"latency_us\": ");
	hist_print_json(stdout, &l->latency);
	printf(", \"greeting_us\": ");
	hist_print_json(stdout, &l->greeting);
	printf("}\n");
	fflush(stdout);
}

static void on_signal(struct load *l, int fd)
{
	int sig = bench_next_signal(fd);

	if (sig == SIGUSR1)
		report(l);
	else if (sig != 0)
		l->stopping = true;
}

/* Idle mode: opens the next few; when none is missing any more, says so once. */
static void open_idle(struct load *l, unsigned *next)
{
	while (*next < l->sessions && l->opening < OPENING_MAX && !l->stopping) {
		l->opening++;
		load_session_open(l, &l->session[(*next)++]);
	}
}

/* What time brings: reconnecting, timeouts, the end of the run. */
static void tick(struct load *l)
{
	uint64_t now = bench_now();

	if (l->opt.duration_ns && now - l->start_ns >= l->opt.duration_ns)
		l->stopping = true;
	if (l->opt.idle && l->opening == 0)
		return;
	for (unsigned i = 0; i < l->sessions; i++) {
		struct load_session *s = &l->session[i];

		if (s->finished)
			continue;
		if (s->step == LOAD_CLOSED) {
			if (!l->opt.idle && (now >= s->retry_ns || l->stopping))
				load_session_open(l, s);
		} else if (s->step != LOAD_IDLE && now - s->asked_ns > l->opt.timeout_ns) {
			load_session_lost(l, s, 0);
		}
	}
}

static bool gave_up(const struct load *l)
{
	uint64_t now = bench_now();

	return l->greeted == 0 && now > l->progress_ns && now - l->progress_ns > l->opt.give_up_ns;
}

static bool run(struct load *l, int signals)
{
	struct epoll_event ev[EVENTS_MAX];
	uint64_t next_tick = 0;
	unsigned next_idle = 0;
	bool told = false;

	tick(l);
	while (l->open > 0 && !(l->opt.idle && l->stopping)) {
		int n = epoll_wait(l->epoll, ev, EVENTS_MAX, TICK_MS);

		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr)
				load_session_event(l, ev[i].data.ptr, ev[i].events);
			else
				on_signal(l, signals);
		}
		ledger_flush(&l->ledger);
		if (l->opt.idle) {
			open_idle(l, &next_idle);
			if (!told && next_idle == l->sessions && l->opening == 0) {
				told = true;
				report(l);
			}
		}
		if (bench_now() < next_tick)
			continue;
		tick(l);
		next_tick = bench_now() + TICK_MS * BENCH_MS;
		if (gave_up(l))
			return false;
	}
	return true;
}

/* What is still under way when the run is given up is lost. */
static void close_all(struct load *l)
{
	l->stopping = true;
	for (unsigned i = 0; i < l->sessions; i++) {
		if (l->session[i].step != LOAD_CLOSED && l->session[i].step != LOAD_IDLE)
			load_session_lost(l, &l->session[i], 0);
	}
	ledger_flush(&l->ledger);
}

static void start(struct load *l, int signals)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };

	sum_init();
	bench_raise_open_files();
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, signals, &ev) != 0)
		bench_die("epoll: %m");
	ledger_open(&l->ledger, l->opt.ledger);
	load_text_init(l);
	l->sessions = l->open = (unsigned)(l->opt.idle ? l->opt.idle : l->opt.sessions);
	l->session = bench_alloc(l->sessions * sizeof *l->session);
	l->start_ns = l->progress_ns = bench_now();
	for (unsigned i = 0; i < l->sessions; i++)
		load_session_init(l, &l->session[i]);
}

int main(int argc, char **argv)
{
	struct load *l = bench_alloc(sizeof *l);
	char prefix[STAMP_ID_MAX];
	bool whole;
	int signals;

	snprintf(prefix, sizeof prefix, "%lx", (unsigned long)getpid());
	l->opt = (struct load_options){
		.sessions = 1,
		.messages = UINT64_MAX,
		.size_min = 4096,
		.size_max = 4096,
		.recipients = 1,
		.mailboxes = 1,
		.sender = "load@source.example",
		.helo = "source.example",
		.id_prefix = prefix,
		.seed = 1,
		.per_session = 1,
		.timeout_ns = 60 * BENCH_SECOND,
		.give_up_ns = 60 * BENCH_SECOND,
	};
	parse_options(&l->opt, argc, argv);
	signals = bench_signals();
	start(l, signals);
	whole = run(l, signals);
	close_all(l);
	report(l);
	for (unsigned i = 0; i < l->sessions; i++)
		load_session_free(&l->session[i]);
	free(l->session);
	free(l->shared_body);
	free(l);
	return whole ? 0 : 1;
}
