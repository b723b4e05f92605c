/* SPDX-License-Identifier: Apache-2.0
 * Commands and their words, for the files of this folder that run them. */
#ifndef SMTPD_COMMAND_H
#define SMTPD_COMMAND_H

#include "smtpd/session.h"

enum { WORDS_MAX = 64 };

struct word { /* points into the command line */
	const char *at;
	size_t len;
};
struct words {
	const char *line;
	size_t len;
	struct word word[WORDS_MAX]; /* separated by white space; the first is the command */
	size_t count;
};
void words_split(struct words *, const char *line, size_t len);
bool word_is(const struct word *, const char *text); /* case does not count */
/* The line from a word on, without white space at its end. */
const char *words_rest(const struct words *, size_t from, size_t *len);

/* Each answers false when it counts as an error; the reply is queued. */
bool cmd_helo(struct session *, struct words *);
bool cmd_ehlo(struct session *, struct words *);
bool cmd_mail(struct session *, struct words *);
bool cmd_rcpt(struct session *, struct words *);
bool cmd_data(struct session *, struct words *);
bool command_verify(struct session *, struct words *);
bool command_etrn(struct session *, struct words *);

void command_data_done(struct session *); /* a DATA command has led to a stored message */

/* hidden.c: EHLO keywords that a client does not get. */
unsigned hidden_bits(struct arena *, const char *list); /* EHLO_* of a list; words that are no keywords count nothing */
void hidden_find(struct session *); /* for this client: once it is known who it is; may wait */
bool hidden_tell(struct session *); /* at EHLO, for the log; false: they are not known, the 421 is queued */

const char *hello_with(const struct session *); /* how the message came, for its Received header (RFC 3848, RFC 6531 4.3) */

#endif
