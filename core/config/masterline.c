/* SPDX-License-Identifier: Apache-2.0 */
#include "config/masterline.h"

#include <assert.h>
#include <string.h>

static const char *const field_names[MASTER_FIELDS] = { "service", "type",   "private",       "unprivileged",
							"chroot",  "wakeup", "process_limit", "command" };

const char *master_field_name(enum master_field field)
{
	assert((unsigned)field < MASTER_FIELDS);
	return field_names[field];
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v';
}

/* ---- columns ---- */

static bool is_flag(const char *s)
{
	return !strcmp(s, "-") || !strcmp(s, "y") || !strcmp(s, "n");
}

static bool is_type(const char *s)
{
	static const char *const types[] = { "inet", "unix", "fifo", "pass", "unix-dgram" };
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (!strcmp(types[i], s))
			return true;
	return false;
}

/* Digits, with a '?' behind them when that is allowed; or '-'. */
static bool is_count(const char *s, bool question)
{
	size_t n = strspn(s, "0123456789");
	return !strcmp(s, "-") || (n && (!s[n] || (question && !strcmp(s + n, "?"))));
}

bool master_field_valid(enum master_field field, const char *value)
{
	switch (field) {
	case MASTER_TYPE:
		return is_type(value);
	case MASTER_PRIVATE:
	case MASTER_UNPRIV:
	case MASTER_CHROOT:
		return is_flag(value);
	case MASTER_WAKEUP:
		return is_count(value, true);
	case MASTER_MAXPROC:
		return is_count(value, false);
	default:
		return *value != '\0';
	}
}

/* ---- reading ---- */

/* Goes behind the group that starts at p; p is at its end, or at the end of the text when it is not closed.
 */
static char *group_end(char *p, bool *closed)
{
	int level = 0;
	for (*closed = false; *p && !*closed; p++) {
		level += *p == '{' ? 1 : *p == '}' ? -1 : 0;
		*closed = level == 0;
	}
	return p;
}

/* Cuts white space from both ends, in place. */
static char *trim(char *s)
{
	while (is_space(*s))
		s++;
	size_t n = strlen(s);
	while (n && is_space(s[n - 1]))
		n--;
	s[n] = '\0';
	return s;
}

char *master_word(char **at, bool *grouped, bool *open)
{
	char *p = *at, *word;
	bool closed = true;
	while (is_space(*p))
		p++;
	if (!*p)
		return NULL;
	word = p;
	*grouped = *p == '{';
	if (*grouped)
		p = group_end(p, &closed);
	else
		while (*p && !is_space(*p))
			p++;
	*open = !closed;
	if (!*grouped) {
		*at = *p ? p + 1 : p;
		*p = '\0';
		return word;
	}
	*at = p; /* a word may stand directly behind the group */
	if (closed)
		p[-1] = '\0';
	return trim(word + 1);
}

/* The columns. */
static bool read_fields(struct arena *arena, const char *text, char **at, struct master_entry *e,
			struct ost_why *why)
{
	bool grouped, open;
	for (int i = 0; i < MASTER_FIELDS; i++) {
		e->fields[i] = master_word(at, &grouped, &open);
		if (!e->fields[i] || (grouped && i < MASTER_COMMAND))
			return why_set(why, "bad field count");
	}
	for (int i = 0; i < MASTER_FIELDS; i++)
		if (!master_field_valid((enum master_field)i, e->fields[i]))
			return why_set(why, "invalid %s field \"%.80s\" in \"%.160s\"", field_names[i],
				       e->fields[i], arena_strdup(arena, text));
	return true;
}

/* "name = value" becomes "name=value". */
static const char *normalize(struct arena *arena, char *text)
{
	char *equals = strchr(text, '=');
	if (!equals)
		return text;
	*equals = '\0';
	return arena_printf(arena, "%s=%s", trim(text), trim(equals + 1));
}

/* Takes a word, and says so when its group is not closed. */
static char *take_word(struct arena *arena, char **at, struct master_entry *e, bool *grouped)
{
	bool open = false;
	const char *from = *at;
	char *copy = arena_strdup(arena, from + strspn(from, " \t\r\n\f\v"));
	char *word = master_word(at, grouped, &open);
	if (word && open)
		e->warning = arena_printf(arena, "missing '}' in \"%s\"", copy);
	return word;
}

/* What stands behind the command. */
static void read_words(struct arena *arena, char *at, struct master_entry *e)
{
	bool grouped, options = true;
	char *word;
	e->words = arena_alloc(arena, (strlen(at) + 3) * sizeof *e->words);
	while ((word = take_word(arena, &at, e, &grouped)) != NULL) {
		options = options && !grouped && word[0] == '-' && word[1] && strcmp(word, "--") != 0;
		size_t flags =
			1 + strspn(word + 1, "DSlvz"); /* options without a value may stand before the o */
		const char *value = NULL;
		if (options && word[flags] == 'o') { /* -o name=value, -vo name=value, -oname=value */
			char *text = word[flags + 1] ? word + flags + 1 : take_word(arena, &at, e, &grouped);
			value = text ? normalize(arena, text) : NULL;
			if (flags > 1)
				e->words[e->count++] = arena_strndup(arena, word, flags);
			word = arena_strndup(arena, "-o", 2);
		}
		e->words[e->count++] = word;
		if (value)
			e->words[e->count++] = value;
		if (options)
			e->options = e->count;
	}
}

bool master_entry_read(struct arena *arena, const char *text, struct master_entry *e, struct ost_why *why)
{
	char *at = arena_strdup(arena, text);
	*e = (struct master_entry){ 0 };
	if (!read_fields(arena, text, &at, e, why))
		return false;
	read_words(arena, at, e);
	return true;
}

/* ---- options ---- */

/* Is words[i] "-o", and the word behind it "name=…"? */
static bool sets(const struct master_entry *e, size_t i, const char *name)
{
	size_t n = strlen(name);
	return i + 1 < e->options && !strcmp(e->words[i], "-o") && !strncmp(e->words[i + 1], name, n) &&
	       e->words[i + 1][n] == '=';
}

/* Takes the two words at i out. */
static void drop_option(struct master_entry *e, size_t i)
{
	memmove(&e->words[i], &e->words[i + 2], (e->count - i - 2) * sizeof *e->words);
	e->count -= 2;
	e->options -= 2;
	e->words[e->count] = NULL;
}

void master_entry_set(struct arena *arena, struct master_entry *e, const char *name, const char *value)
{
	const char *option = value ? arena_printf(arena, "%s=%s", name, value) : NULL;
	bool done = value == NULL;
	for (size_t i = 0; i + 1 < e->options;) {
		if (!sets(e, i, name)) {
			i++;
		} else if (option) {
			e->words[i + 1] = option;
			done = true;
			i += 2;
		} else {
			drop_option(e, i);
		}
	}
	if (done)
		return;
	const char **words = arena_alloc(arena, (e->count + 3) * sizeof *words);
	if (e->options)
		memcpy(words, e->words, e->options * sizeof *words);
	words[e->options] = "-o";
	words[e->options + 1] = option;
	if (e->count > e->options)
		memcpy(words + e->options + 2, e->words + e->options,
		       (e->count - e->options) * sizeof *words);
	e->words = words;
	e->count += 2;
	e->options += 2;
}

/* ---- printing ---- */

void master_command_print(struct buf *out, const struct master_entry *e, bool fold, size_t column)
{
	bool after_option = false;
	buf_puts(out, e->fields[MASTER_COMMAND]);
	column += strlen(e->fields[MASTER_COMMAND]);
	for (size_t i = 0; i < e->count; i++) {
		const char *word = e->words[i];
		bool value = i > 0 && i < e->options && !strcmp(e->words[i - 1], "-o");
		bool option = i < e->options && !value && !strcmp(word, "-o");
		bool braces = !*word || word[strcspn(word, " \t\r\n")] != '\0';
		size_t width = strlen(word) + (braces ? 2 : 0);
		bool new_line =
			fold && !value && (option || after_option || column + 1 + width >= MASTER_WIDTH);
		buf_puts(out, new_line ? "\n    " : " ");
		buf_printf(out, braces ? "{%s}" : "%s", word);
		column = (new_line ? 4 : column + 1) + width;
		after_option = option || value;
	}
}

void master_entry_print(struct buf *out, const struct master_entry *e, bool fold)
{
	static const size_t places[MASTER_FIELDS] = { 0, 11, 17, 25, 33, 41, 49, 57 };
	size_t start = out->len;
	for (int i = 0; i < MASTER_FIELDS; i++) {
		if (i > 0)
			buf_putc(out, ' ');
		while (out->len - start < places[i])
			buf_putc(out, ' ');
		if (i < MASTER_COMMAND)
			buf_puts(out, e->fields[i]);
	}
	master_command_print(out, e, fold, out->len - start);
	buf_putc(out, '\n');
}
