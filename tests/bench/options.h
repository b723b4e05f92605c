/* SPDX-License-Identifier: Apache-2.0
 * Command line options as a table that also prints the help text. */
#ifndef OST_BENCH_OPTIONS_H
#define OST_BENCH_OPTIONS_H

#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

enum option_kind {
	OPTION_NUMBER,  /* into: uint64_t */
	OPTION_SECONDS, /* into: uint64_t, nanoseconds */
	OPTION_TEXT,    /* into: const char * */
	OPTION_FLAG,    /* into: bool */
	OPTION_CALL,    /* call(into, argument) */
};

struct option_entry {
	char letter; /* or 0 */
	const char *name;
	const char *argument; /* its name in the help text, NULL: takes none */
	enum option_kind kind;
	void *into;
	uint64_t min;
	uint64_t max;
	void (*call)(void *into, char *argument);
	const char *help;
};

/* One entry each, for the tables. */
#define OPT_NUMBER(letter_, name_, argument_, into_, min_, max_, help_)                                      \
	{                                                                                                    \
		.letter = letter_, .name = name_, .argument = argument_, .kind = OPTION_NUMBER,              \
		.into = into_, .min = min_, .max = max_, .help = help_                                       \
	}
#define OPT_SECONDS(letter_, name_, into_, help_)                                                            \
	{                                                                                                    \
		.letter = letter_, .name = name_, .argument = "SEC", .kind = OPTION_SECONDS, .into = into_,  \
		.help = help_                                                                                \
	}
#define OPT_TEXT(letter_, name_, argument_, into_, help_)                                                    \
	{                                                                                                    \
		.letter = letter_, .name = name_, .argument = argument_, .kind = OPTION_TEXT, .into = into_, \
		.help = help_                                                                                \
	}
#define OPT_FLAG(letter_, name_, into_, help_)                                                               \
	{                                                                                                    \
		.letter = letter_, .name = name_, .kind = OPTION_FLAG, .into = into_, .help = help_          \
	}
#define OPT_CALL(letter_, name_, argument_, call_, into_, help_)                                             \
	{                                                                                                    \
		.letter = letter_, .name = name_, .argument = argument_, .kind = OPTION_CALL, .call = call_, \
		.into = into_, .help = help_                                                                 \
	}

/* Reads argv by the table; returns the index of the first argument that is no option. Prints the help text
 * and exits for --help, and for an option that is not in the table. `synopsis` follows the program's name. */
int options_parse(int argc, char **argv, const struct option_entry *table, size_t n, const char *synopsis);

/* Prints the help text on stderr and exits with status 2. */
noreturn void options_refuse(const struct option_entry *table, size_t n, const char *synopsis);

#endif
