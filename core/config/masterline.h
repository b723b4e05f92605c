/* SPDX-License-Identifier: Apache-2.0
 * One entry of master.cf as it is written: its columns and words, checked as Postfix's postconf checks them,
 * and back to text. No defaults are filled in here and nothing is looked up: mastercf.c makes services of
 * entries. */
#ifndef CONFIG_MASTERLINE_H
#define CONFIG_MASTERLINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/why.h"

enum master_field {
	MASTER_NAME,
	MASTER_TYPE,
	MASTER_PRIVATE,
	MASTER_UNPRIV,
	MASTER_CHROOT,
	MASTER_WAKEUP,
	MASTER_MAXPROC,
	MASTER_COMMAND,
	MASTER_FIELDS
};

struct master_entry {
	const char *fields[MASTER_FIELDS];
	const char **words; /* behind the command, NULL-terminated; "-o" and "name=value" are two */
	size_t count;
	size_t options;      /* how many of them are options and their values */
	const char *where;   /* "master.cf: line 12"; NULL when it was not read from a file */
	const char *warning; /* about how it is written; NULL: nothing */
};

const char *master_field_name(enum master_field); /* "process_limit" */
/* False: not a value of this column. */
bool master_field_valid(enum master_field, const char *value);

/* The next word of a text, which it changes, with a { } group as one word (its braces and the white space
 * inside them cut off); NULL at the end. *grouped: it was a group. *open: its closing brace is missing. */
char *master_word(char **at, bool *grouped, bool *open);

/* Reads one logical line; false with the reason in Postfix's words. In the arena. */
bool master_entry_read(struct arena *, const char *text, struct master_entry *, struct ost_why *);
/* Sets (value != NULL) or removes every "-o name=…". */
void master_entry_set(struct arena *, struct master_entry *, const char *name, const char *value);

/* How wide a folded line may get. */
enum { MASTER_WIDTH = 80 };
/* Appends the command and its words; folded: each option on a line of its own, the rest broken before
 * MASTER_WIDTH; column is where the text stands. */
void master_command_print(struct buf *, const struct master_entry *, bool fold, size_t column);
/* Appends the whole entry, each column at its place or behind a blank, with a newline. */
void master_entry_print(struct buf *, const struct master_entry *, bool fold);

#endif
