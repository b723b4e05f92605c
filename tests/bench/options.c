/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"
#include "bench.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define OPTIONS_MAX 40
#define VALUE_BASE  256 /* above every letter */
#define VALUE_HELP  (VALUE_BASE + OPTIONS_MAX)
#define SECONDS_MAX 1000000

static void print_help(FILE *out, const struct option_entry *table, size_t n, const char *synopsis)
{
	fprintf(out, "usage: %s\n", synopsis);
	for (size_t i = 0; i < n; i++) {
		const struct option_entry *e = &table[i];

		fprintf(out, "  %c%c%c --%-12s %-6s %s\n", e->letter ? '-' : ' ', e->letter ? e->letter : ' ',
			e->letter ? ',' : ' ', e->name, e->argument ? e->argument : "", e->help);
	}
}

noreturn void options_refuse(const struct option_entry *table, size_t n, const char *synopsis)
{
	print_help(stderr, table, n, synopsis);
	exit(2);
}

static void take(const struct option_entry *e, char *argument)
{
	switch (e->kind) {
	case OPTION_NUMBER:
		*(uint64_t *)e->into = bench_number(e->name, argument, e->max);
		if (*(uint64_t *)e->into < e->min)
			bench_die("%s: %s is less than %llu", e->name, argument, (unsigned long long)e->min);
		break;
	case OPTION_SECONDS:
		*(uint64_t *)e->into = bench_number(e->name, argument, SECONDS_MAX) * BENCH_SECOND;
		break;
	case OPTION_TEXT:
		*(const char **)e->into = argument;
		break;
	case OPTION_FLAG:
		*(bool *)e->into = true;
		break;
	case OPTION_CALL:
		e->call(e->into, argument);
		break;
	}
}

int options_parse(int argc, char **argv, const struct option_entry *table, size_t n, const char *synopsis)
{
	struct option longs[OPTIONS_MAX + 2] = { 0 };
	char shorts[2 * OPTIONS_MAX + 1];
	size_t at = 0;
	int id;

	if (n > OPTIONS_MAX)
		bench_die("more than %d options", OPTIONS_MAX);
	for (size_t i = 0; i < n; i++) {
		longs[i] = (struct option){
			.name = table[i].name,
			.has_arg = table[i].argument ? required_argument : no_argument,
			.val = VALUE_BASE + (int)i,
		};
		if (table[i].letter)
			shorts[at++] = table[i].letter;
		if (table[i].letter && table[i].argument)
			shorts[at++] = ':';
	}
	shorts[at] = '\0';
	longs[n] = (struct option){ .name = "help", .val = VALUE_HELP };
	while ((id = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (id == VALUE_HELP) {
			print_help(stdout, table, n, synopsis);
			exit(0);
		}
		for (size_t i = 0; i < n && id < VALUE_BASE; i++)
			if (table[i].letter == id)
				id = VALUE_BASE + (int)i;
		if (id < VALUE_BASE)
			options_refuse(table, n, synopsis);
		take(&table[id - VALUE_BASE], optarg);
	}
	return optind;
}
