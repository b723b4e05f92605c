/* SPDX-License-Identifier: Apache-2.0
 * The client's side of one SMTP dialogue, driven by epoll. */
#include "load.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#define RETRY_NS     (100 * BENCH_MS)
#define READ_SIZE    8192
#define COMMAND_ROOM 64 // "RCPT TO:<>", CRLF and the like around an address

void load_session_init(struct load *l, struct load_session *s)
{
	s->fd = -1;
	if (l->opt.idle)
		return;
	s->command_size = (size_t)(l->opt.recipients + 2) * (LOAD_RECIPIENT_MAX + COMMAND_ROOM);
	s->command = bench_alloc(s->command_size);
	s->rcpt_ok = bench_alloc(l->opt.recipients * sizeof *s->rcpt_ok);
}

void load_session_free(struct load_session *s)
{
	if (s->fd >= 0)
		close(s->fd);
	free(s->command);
	free(s->rcpt_ok);
	free(s->text.own);
}

/* Asks epoll for what the session waits for: to write, or (always) to read. */
static void watch(struct load *l, struct load_session *s, int op)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = s };

	if (s->blocked)
		ev.events |= EPOLLOUT;
	if (epoll_ctl(l->epoll, op, s->fd, &ev) != 0)
		bench_die("epoll_ctl: %m");
}

void load_session_open(struct load *l, struct load_session *s)
{
	const struct bench_address *to = &l->opt.server;
	const int one = 1;
	int fd;

	if (l->stopping || (!l->opt.idle && !s->claimed && !load_claim(l))) {
		s->finished = true;
		l->open--;
		return;
	}
	s->claimed = true;
	fd = socket(to->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		bench_die("socket: %m");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	s->opened_ns = s->asked_ns = bench_now();
	s->fd = fd;
	s->step = LOAD_GREETING;
	s->done = 0;
	s->reply_len = 0;
	s->outs = 0;
	s->blocked = s->in_message = s->dot_sent = s->can_pipeline = false;
	if (connect(fd, (const struct sockaddr *)&to->sa, to->len) != 0 && errno != EINPROGRESS) {
		load_session_lost(l, s, RETRY_NS);
		return;
	}
	watch(l, s, EPOLL_CTL_ADD);
}

static void add_to_ledger(struct load *l, const struct load_session *s, const char *verdict)
{
	uint64_t now = bench_now();
	char to[LOAD_RECIPIENT_MAX];

	for (unsigned i = 0; i < l->opt.recipients; i++) {
		if (!s->rcpt_ok[i])
			continue;
		load_recipient(l, s->text.number, i, to);
		ledger_add(&l->ledger, verdict, s->text.stamp.id, now, to);
	}
}

static void end_connection(struct load *l, struct load_session *s, uint64_t delay_ns)
{
	close(s->fd);
	s->fd = -1;
	s->step = LOAD_CLOSED;
	s->connection++;
	if (l->opt.idle) {
		s->finished = true;
		l->open--;
		return;
	}
	if (delay_ns == 0)
		load_session_open(l, s);
	else
		s->retry_ns = bench_now() + delay_ns;
}

void load_session_lost(struct load *l, struct load_session *s, uint64_t delay_ns)
{
	if (s->step == LOAD_GREETING) {
		l->count.connect_failures++;
		if (l->opt.idle)
			l->opening--;
	} else if (s->step != LOAD_QUIT) {
		l->count.lost++;
		if (s->step > LOAD_MAIL && s->step <= LOAD_DOT)
			l->count.dropped++;
	}
	if (s->step == LOAD_IDLE)
		l->greeted--;
	if (s->in_message) {
		if (s->dot_sent) {
			l->count.unknown++;
			add_to_ledger(l, s, "unknown");
		} else {
			l->count.failed++;
		}
		s->in_message = false;
	}
	end_connection(l, s, s->step == LOAD_QUIT ? l->opt.pause_ms * 1000000 : delay_ns);
}

/* Writes what is waiting; the connection may be lost afterwards, and then false is returned. */
static bool flush(struct load *l, struct load_session *s)
{
	bool was_blocked = s->blocked;
	unsigned first = 0;

	s->blocked = false;
	while (first < s->outs) {
		uint64_t before = s->step == LOAD_DOT ? bench_now() : 0;
		struct msghdr msg = { .msg_iov = s->out + first, .msg_iovlen = s->outs - first };
		ssize_t n = sendmsg(s->fd, &msg, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			s->blocked = true;
			break;
		}
		if (n < 0) {
			load_session_lost(l, s, RETRY_NS);
			return false;
		}
		for (size_t left = (size_t)n; first < s->outs;) {
			struct iovec *v = &s->out[first];

			if (left < v->iov_len) {
				v->iov_base = (char *)v->iov_base + left;
				v->iov_len -= left;
				break;
			}
			left -= v->iov_len;
			first++;
		}
		s->dot_ns = before;
	}
	memmove(s->out, s->out + first, (s->outs - first) * sizeof s->out[0]);
	s->outs -= first;
	if (s->step == LOAD_DOT && s->outs == 0)
		s->dot_sent = true;
	if (s->blocked != was_blocked)
		watch(l, s, EPOLL_CTL_MOD);
	return true;
}

static void queue(struct load_session *s, const char *bytes, size_t n)
{
	s->out[s->outs++] = (struct iovec){ .iov_base = (void *)(uintptr_t)bytes, .iov_len = n };
}

static void say(struct load *l, struct load_session *s, const char *line, enum load_step awaited)
{
	s->step = awaited;
	queue(s, line, strlen(line));
	flush(l, s);
}

static size_t put_rcpt(const struct load *l, struct load_session *s, size_t at, unsigned i)
{
	char to[LOAD_RECIPIENT_MAX];

	load_recipient(l, s->text.number, i, to);
	return at + (size_t)snprintf(s->command + at, s->command_size - at, "RCPT TO:<%s>\r\n", to);
}

static void start_message(struct load *l, struct load_session *s)
{
	size_t n;

	s->claimed = false;
	s->in_message = true;
	s->dot_sent = false;
	s->rcpts_answered = s->rcpts_ok = 0;
	s->text.number = l->count.started++;
	n = (size_t)snprintf(s->command, s->command_size, "MAIL FROM:<%s>\r\n", l->opt.sender);
	if (s->can_pipeline) {
		for (unsigned i = 0; i < l->opt.recipients; i++)
			n = put_rcpt(l, s, n, i);
		n += (size_t)snprintf(s->command + n, s->command_size - n, "DATA\r\n");
	}
	s->step = LOAD_MAIL;
	queue(s, s->command, n);
	flush(l, s);
}

static void ask_rcpt(struct load *l, struct load_session *s)
{
	size_t n = put_rcpt(l, s, 0, s->rcpts_answered);

	s->step = LOAD_RCPT;
	queue(s, s->command, n);
	flush(l, s);
}

static void send_text(struct load *l, struct load_session *s)
{
	load_text_make(l, &s->text);
	s->step = LOAD_DOT;
	queue(s, s->text.head, s->text.head_len);
	queue(s, s->text.body, s->text.body_len);
	queue(s, ".\r\n", 3);
	l->count.bytes += s->text.head_len + s->text.body_len + 3;
	flush(l, s);
}

/* The transaction was refused: the connection is closed politely, and the next one takes the next message. */
static void give_up_message(struct load *l, struct load_session *s)
{
	l->count.failed++;
	if (s->dot_sent)
		add_to_ledger(l, s, "refused");
	s->in_message = false;
	say(l, s, "QUIT\r\n", LOAD_QUIT);
}

static void message_accepted(struct load *l, struct load_session *s)
{
	uint64_t now = bench_now();

	l->count.accepted++;
	l->last_ns = now;
	hist_add(&l->latency, now - s->dot_ns);
	if (l->opt.ledger)
		add_to_ledger(l, s, "accepted");
	s->in_message = false;
	s->done++;
	if ((l->opt.per_session == 0 || s->done < l->opt.per_session) && load_claim(l))
		start_message(l, s);
	else
		say(l, s, "QUIT\r\n", LOAD_QUIT);
}

static void on_greeting(struct load *l, struct load_session *s, int code)
{
	if (code != 220) {
		load_session_lost(l, s, RETRY_NS);
		return;
	}
	l->count.connections++;
	hist_add(&l->greeting, bench_now() - s->opened_ns);
	if (l->opt.idle) {
		l->opening--;
		l->greeted++;
		s->step = LOAD_IDLE;
		return;
	}
	snprintf(s->command, s->command_size, "EHLO %s\r\n", l->opt.helo);
	say(l, s, s->command, LOAD_EHLO);
}

static void on_ehlo(struct load *l, struct load_session *s, int code)
{
	if (code / 100 != 2)
		load_session_lost(l, s, RETRY_NS);
	else if (l->stopping)
		say(l, s, "QUIT\r\n", LOAD_QUIT);
	else
		start_message(l, s);
}

static void on_mail(struct load *l, struct load_session *s, int code)
{
	if (s->can_pipeline)
		s->step = LOAD_RCPT;
	else if (code / 100 == 2)
		ask_rcpt(l, s);
	else
		give_up_message(l, s);
}

static void on_rcpt(struct load *l, struct load_session *s, int code)
{
	s->rcpt_ok[s->rcpts_answered++] = code / 100 == 2;
	if (code / 100 == 2)
		s->rcpts_ok++;
	if (s->rcpts_answered < l->opt.recipients) {
		if (!s->can_pipeline)
			ask_rcpt(l, s);
	} else if (s->can_pipeline) {
		s->step = LOAD_DATA;
	} else if (s->rcpts_ok > 0) {
		say(l, s, "DATA\r\n", LOAD_DATA);
	} else {
		give_up_message(l, s);
	}
}

static void on_data(struct load *l, struct load_session *s, int code)
{
	if (code != 354)
		give_up_message(l, s);
	else if (s->rcpts_ok == 0)
		say(l, s, ".\r\n", LOAD_DOT);
	else
		send_text(l, s);
}

static void on_dot(struct load *l, struct load_session *s, int code)
{
	if (code / 100 == 2 && s->rcpts_ok > 0)
		message_accepted(l, s);
	else
		give_up_message(l, s);
}

static void on_quit(struct load *l, struct load_session *s, int code)
{
	(void)code;
	end_connection(l, s, l->opt.pause_ms * 1000000);
}

/* Nobody asked: 421 before the server closes an idle connection. */
static void on_idle(struct load *l, struct load_session *s, int code)
{
	(void)code;
	load_session_lost(l, s, RETRY_NS);
}

static void (*const on_reply[])(struct load *l, struct load_session *s, int code) = {
	[LOAD_GREETING] = on_greeting, [LOAD_EHLO] = on_ehlo, [LOAD_MAIL] = on_mail, [LOAD_RCPT] = on_rcpt,
	[LOAD_DATA] = on_data,         [LOAD_DOT] = on_dot,   [LOAD_QUIT] = on_quit, [LOAD_IDLE] = on_idle,
};

/* One line of a reply, without its line end. */
static void take_line(struct load *l, struct load_session *s, const char *line, size_t n)
{
	int code = n >= 3 ? (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0') : 0;

	l->progress_ns = s->asked_ns;
	if (s->step == LOAD_EHLO && l->opt.pipelining && n == 14 &&
	    strncasecmp(line + 4, "PIPELINING", 10) == 0)
		s->can_pipeline = true;
	if (n > 3 && line[3] == '-')
		return;
	if (code / 100 == 4)
		l->count.refused_4xx++;
	else if (code / 100 == 5)
		l->count.refused_5xx++;
	if (code == 421 && s->step != LOAD_QUIT && s->step != LOAD_DOT)
		load_session_lost(l, s, RETRY_NS);
	else
		on_reply[s->step](l, s, code);
}

/* Takes bytes from the server; stops when they made the session close its connection. */
static void take_bytes(struct load *l, struct load_session *s, const char *bytes, size_t n)
{
	unsigned connection = s->connection;

	for (size_t i = 0; i < n && s->connection == connection; i++) {
		size_t len = s->reply_len;

		if (bytes[i] != '\n') {
			if (len < sizeof s->reply)
				s->reply[s->reply_len++] = bytes[i];
			continue;
		}
		if (len > 0 && s->reply[len - 1] == '\r')
			len--;
		s->reply_len = 0;
		take_line(l, s, s->reply, len);
	}
}

void load_session_event(struct load *l, struct load_session *s, uint32_t events)
{
	char bytes[READ_SIZE];
	ssize_t n;

	if (s->fd < 0)
		return;
	s->asked_ns = bench_now();
	if ((events & EPOLLOUT) && !flush(l, s))
		return;
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	n = recv(s->fd, bytes, sizeof bytes, 0);
	if (n > 0)
		take_bytes(l, s, bytes, (size_t)n);
	else if (n == 0 || errno != EAGAIN)
		load_session_lost(l, s, RETRY_NS);
}
