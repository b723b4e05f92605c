/* SPDX-License-Identifier: Apache-2.0
 * sendmail: takes a message from standard input and hands it to pickup; while the mail system is down it goes to
 * maildrop/, on stable storage in either case before the exit status is 0. Started as mailq or newaliases, or with -bp
 * or -bi, it does those. */
#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "command/command.h"
#include "command/sendmail.h"
#include "config/config.h"
#include "ipc/link.h"
#include "ipc/protocol.h"
#include "mail/address.h"
#include "pickup/drop.h"
#include "process/paths.h"
#include "spool/message.h"

enum { CONNECT_SECONDS = 10, REPLY_SECONDS = 300 };
enum mode { MODE_MAIL, MODE_QUEUE, MODE_ALIASES, MODE_FLUSH };

struct call { /* what the command line says */
	struct arena *arena;
	enum mode mode;
	const char *config_dir, *flush_site, *flush_id;
	struct submission mail;
	bool from_headers; /* -t */
	bool dot_is_text;  /* -i, -oi */
};

/* Says why, and ends. */
static _Noreturn void __attribute__((format(printf, 2, 3))) die(int status, const char *fmt, ...)
{
	va_list ap;
	fputs("sendmail: fatal: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(status);
}

/* ---- the command line ---------------------------------------------------------------------------------------- */

/* An address argument in internal form. */
static const char *internal(struct call *c, const char *text, const char *what)
{
	const char *address;
	size_t used, len = strlen(text);
	if (address_parse_path(c->arena, text, len, false, &address, &used) != ADDRESS_OK || used != len)
		die(EX_USAGE, "bad %s address: %s", what, text);
	return address;
}

static void opt_sender(struct call *c, const char *value)
{
	c->mail.sender = *value ? internal(c, value, "sender") : "";
}

static void opt_full_name(struct call *c, const char *value)
{
	c->mail.full_name = value;
}

static void opt_body(struct call *c, const char *value)
{
	if (strcasecmp(value, "8BITMIME") == 0)
		c->mail.flags |= MSG_8BITMIME;
	else if (strcasecmp(value, "7BIT") != 0)
		die(EX_USAGE, "-B: bad body type: %s", value);
}

static void opt_mode(struct call *c, const char *value)
{
	switch (value[0]) {
	case 'm':
		c->mode = MODE_MAIL;
		return;
	case 'p':
		c->mode = MODE_QUEUE;
		return;
	case 'i':
		c->mode = MODE_ALIASES;
		return;
	case 's':
		die(EX_UNAVAILABLE, "-bs: speak SMTP to the mail system's port in place of standard input");
	case 'd':
	case 'l':
		die(EX_USAGE, "-b%c: the mail system is started with \"ostler start\"", value[0]);
	default:
		die(EX_USAGE, "-b%s: not supported", value);
	}
}

static void opt_config(struct call *c, const char *value)
{
	c->config_dir = value;
}

static void opt_ignore_dot(struct call *c, const char *value)
{
	(void)value;
	c->dot_is_text = true;
}

static void opt_from_headers(struct call *c, const char *value)
{
	(void)value;
	c->from_headers = true;
}

static void opt_aliases(struct call *c, const char *value)
{
	(void)value;
	c->mode = MODE_ALIASES;
}

/* -oX and -oX value: of all old options only the dot counts. */
static void opt_old(struct call *c, const char *value)
{
	if (value[0] == 'i')
		c->dot_is_text = true;
	else if (value[0] == '8')
		c->mail.flags |= MSG_8BITMIME;
}

static void opt_notify(struct call *c, const char *value)
{
	static const struct {
		const char *word;
		unsigned bit;
	} words[] = {
		{ "never", NOTIFY_NEVER }, { "success", NOTIFY_SUCCESS }, { "failure", NOTIFY_FAILURE }, { "delay", NOTIFY_DELAY },
	};
	const char **list = cfg_split(c->arena, value);
	for (size_t i = 0; list[i]; i++) {
		unsigned bit = 0;
		for (size_t k = 0; k < sizeof words / sizeof *words; k++)
			if (strcasecmp(words[k].word, list[i]) == 0)
				bit = words[k].bit;
		if (!bit)
			die(EX_USAGE, "-N: bad notification: %s", list[i]);
		c->mail.notify |= bit;
	}
	if (c->mail.notify & NOTIFY_NEVER && c->mail.notify != NOTIFY_NEVER)
		die(EX_USAGE, "-N: never goes alone");
}

static void opt_return(struct call *c, const char *value)
{
	c->mail.ret = strncasecmp(value, "full", 4) == 0 ? RET_FULL : strncasecmp(value, "hdrs", 4) == 0 ? RET_HDRS : RET_UNSET;
	if (!c->mail.ret)
		die(EX_USAGE, "-R: use hdrs or full");
}

static void opt_envid(struct call *c, const char *value)
{
	c->mail.envid = value;
}

/* -q, -qI queue id, -qR site; an interval is the queue manager's affair. */
static void opt_queue(struct call *c, const char *value)
{
	c->mode = MODE_FLUSH;
	if (value[0] == 'I')
		c->flush_id = value + 1;
	else if (value[0] == 'R')
		c->flush_site = value + 1;
	else if (*value)
		die(EX_USAGE, "-q%s: not supported", value);
}

static void opt_ignored(struct call *c, const char *value)
{
	(void)c;
	(void)value;
}

enum takes { NOTHING, A_VALUE, A_TAIL /* what follows in the same word */ };
static const struct {
	char letter;
	enum takes takes;
	void (*set)(struct call *, const char *value);
} options[] = {
	{ 'A', A_TAIL, opt_ignored },       { 'B', A_VALUE, opt_body },        { 'b', A_TAIL, opt_mode },
	{ 'C', A_VALUE, opt_config },       { 'F', A_VALUE, opt_full_name },   { 'f', A_VALUE, opt_sender },
	{ 'G', NOTHING, opt_ignored },      { 'h', A_VALUE, opt_ignored },     { 'I', NOTHING, opt_aliases },
	{ 'i', NOTHING, opt_ignore_dot },   { 'L', A_VALUE, opt_ignored },     { 'm', NOTHING, opt_ignored },
	{ 'N', A_VALUE, opt_notify },       { 'n', NOTHING, opt_ignored },     { 'O', A_VALUE, opt_ignored },
	{ 'o', A_TAIL, opt_old },           { 'p', A_VALUE, opt_ignored },     { 'q', A_TAIL, opt_queue },
	{ 'R', A_VALUE, opt_return },       { 'r', A_VALUE, opt_sender },      { 't', NOTHING, opt_from_headers },
	{ 'U', NOTHING, opt_ignored },      { 'V', A_VALUE, opt_envid },       { 'v', NOTHING, opt_ignored },
	{ 'X', A_VALUE, opt_ignored },
};

/* One word of options, "-oi" or "-tf"; answers the words used. */
static int read_option(struct call *c, int left, char **argv)
{
	for (const char *p = argv[0] + 1; *p; p++) {
		size_t i = 0;
		while (i < sizeof options / sizeof *options && options[i].letter != *p)
			i++;
		if (i == sizeof options / sizeof *options)
			die(EX_USAGE, "unknown option: -%c", *p);
		if (options[i].takes == NOTHING) {
			options[i].set(c, "");
			continue;
		}
		const char *value = p + 1;
		if (options[i].takes == A_VALUE && !*value) {
			if (left < 2)
				die(EX_USAGE, "option -%c needs a value", *p);
			options[i].set(c, argv[1]);
			return 2;
		}
		options[i].set(c, value);
		return 1;
	}
	return 1;
}

/* The whole command line. */
static void read_command_line(struct call *c, int argc, char **argv)
{
	int at = 1;
	while (at < argc && argv[at][0] == '-' && argv[at][1]) {
		if (strcmp(argv[at], "--") == 0) {
			at++;
			break;
		}
		at += read_option(c, argc - at, argv + at);
	}
	c->mail.rcpts = arena_alloc(c->arena, ((size_t)(argc - at) + 1) * sizeof *c->mail.rcpts);
	for (; at < argc; at++)
		sendmail_add_list(c->arena, &c->mail, argv[at], strlen(argv[at]));
	if (c->mode == MODE_MAIL && c->from_headers && c->mail.nrcpts)
		die(EX_USAGE, "cannot handle command-line recipients with -t");
	if (c->mode == MODE_MAIL && !c->from_headers && !c->mail.nrcpts)
		die(EX_USAGE, "Recipient addresses must be specified on the command line or via the -t option");
}

/* ---- handing over -------------------------------------------------------------------------------------------- */

/* Sends everything to pickup. False: it cannot be reached, or went away without an answer. */
static bool submit(const char *path, const struct submission *mail, const struct buf *content, struct intake_answer *out)
{
	struct ost_why why;
	struct ipc_message m;
	struct buf b = BUF_INIT;
	struct ipc_link *link = ipc_connect(path, "command", clock_mono() + CONNECT_SECONDS * CLOCK_SECOND, &why);
	bool ok = link != NULL;
	size_t done = 0;
	do {
		buf_reset(&b);
		done += submission_pack(&b, mail, done);
		ok = ok && ipc_send(link, M_SUBMIT, b.data, b.len);
	} while (ok && done < mail->nrcpts);
	for (size_t at = 0; ok && at < content->len; at += DROP_CHUNK) {
		size_t n = content->len - at < DROP_CHUNK ? content->len - at : DROP_CHUNK;
		ok = ipc_send(link, M_SUBMIT_DATA, content->data + at, n);
	}
	ok = ok && ipc_send(link, M_SUBMIT_END, NULL, 0) &&
	     ipc_receive(link, &m, clock_mono() + REPLY_SECONDS * CLOCK_SECOND) == IPC_GOT && m.type == M_SUBMIT_REPLY &&
	     sendmail_read_answer(m.body, m.len, out);
	if (ok) /* whether it arrives does not matter: pickup would remember the name a little longer */
		(void)ipc_send(link, M_SUBMIT_TAKEN, NULL, 0);
	buf_free(&b);
	ipc_link_destroy(&link);
	return ok;
}

/* Who calls, for messages: "root(0)". */
static const char *caller(struct arena *a)
{
	const struct passwd *pw = getpwuid(getuid());
	return arena_printf(a, "%s(%u)", pw ? pw->pw_name : "unknown", (unsigned)getuid());
}

/* Gets the message on its way; answers the exit status. */
static int send_mail(struct call *c, const struct cfg_view *view)
{
	struct buf content = BUF_INIT;
	struct intake_answer answer = { 0 };
	struct ost_why why;
	uint64_t limit = (uint64_t)cfg_size(view, P_message_size_limit);
	char name[DROP_NAME_LEN + 1];
	int status = EX_OK;
	if (!drop_name_new(name)) /* the same in both ways, so that what goes both ways is one message */
		die(EX_TEMPFAIL, "no random bits");
	c->mail.name = name;
	if (!sendmail_read_content(STDIN_FILENO, &content, limit, c->dot_is_text))
		die(EX_DATAERR, "%s: message file too big", caller(c->arena));
	if (c->from_headers)
		sendmail_header_rcpts(c->arena, &c->mail, content.data, content.len);
	if (c->mail.nrcpts == 0)
		die(EX_USAGE, "%s: No recipient addresses found in message header", caller(c->arena));
	char *socket = instance_path(view, PLACE_PICKUP), *folder = instance_path(view, PLACE_MAILDROP);
	if (submit(socket, &c->mail, &content, &answer)) {
		status = answer.status;
		if (status != EX_OK)
			fprintf(stderr, "sendmail: fatal: %s: %s\n", caller(c->arena), answer.reason);
	} else if (!drop_write(folder, &c->mail, buf_str(&content), content.len, &why)) {
		fprintf(stderr, "sendmail: fatal: %s: mail system is down, and %s\n", caller(c->arena), why.text);
		status = EX_TEMPFAIL;
	}
	free(socket);
	free(folder);
	buf_free(&content);
	return status;
}

/* The other things that sendmail is asked to do. */
static int other_mode(const struct call *c)
{
	char *queue[] = { (char[]){ "postqueue" }, (char[]){ "-f" }, NULL, NULL };
	int n = 2;
	if (c->mode == MODE_QUEUE)
		return cmd_mailq(1, (char *[]){ (char[]){ "mailq" }, NULL });
	if (c->mode == MODE_ALIASES)
		return cmd_newaliases(1, (char *[]){ (char[]){ "newaliases" }, NULL });
	if (c->flush_id || c->flush_site) {
		queue[1] = c->flush_id ? (char[]){ "-i" } : (char[]){ "-s" };
		queue[2] = arena_strdup(c->arena, c->flush_id ? c->flush_id : c->flush_site);
		n = 3;
	}
	return cmd_postqueue(n, queue);
}

int cmd_sendmail(int argc, char **argv)
{
	struct call c = { .arena = arena_new(), .config_dir = command_config_dir() };
	int status;
	read_command_line(&c, argc, argv);
	if (c.mode == MODE_MAIL) {
		struct findings *findings = findings_new();
		struct config *config = config_read(c.config_dir, NULL, findings);
		findings_destroy(&findings);
		if (!config)
			die(EX_CONFIG, "the configuration in %s cannot be read", c.config_dir);
		status = send_mail(&c, config_main_view(config));
		config_destroy(&config);
	} else {
		status = other_mode(&c);
	}
	arena_destroy(&c.arena);
	return status;
}
