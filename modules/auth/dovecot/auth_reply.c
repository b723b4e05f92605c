/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/dovecot/auth_reply.h"

#include <string.h>
#include <strings.h>

#include "ostler/auth.h"

/* The next field; NULL: there is none. */
static char *next_field(char **rest)
{
	return *rest ? strsep(rest, "\t") : NULL;
}

/* A number of 32 bits, and nothing else. */
static bool number(const char *text, uint32_t *value)
{
	uint64_t n = 0;
	if (!text || !*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || (n = n * 10 + (uint64_t)(*text - '0')) > UINT32_MAX)
			return false;
	}
	*value = (uint32_t)n;
	return true;
}

/* "\001t" stands for a tab, "\001n" for a newline, "\0010" for NUL, "\0011" for itself. What may not stand in a name becomes '?'. */
static const char *unescape(char *text)
{
	char *to = text;
	for (const char *from = text; *from; from++) {
		if (*from == '\001' && from[1]) {
			from++;
			*to++ = *from == 't' ? '\t' : '?';
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
	return text;
}

static void parse_version(char *rest, struct auth_reply *r)
{
	uint32_t major;
	r->kind = number(next_field(&rest), &major) && major == 1 ? LINE_VERSION : LINE_BAD;
}

static void parse_mech(char *rest, struct auth_reply *r)
{
	static const struct {
		const char *word;
		uint32_t bit;
	} words[] = {
		{ "plaintext", OST_AUTH_PLAINTEXT },   { "active", OST_AUTH_ACTIVE },
		{ "dictionary", OST_AUTH_DICTIONARY }, { "anonymous", OST_AUTH_ANONYMOUS },
		{ "forward-secrecy", OST_AUTH_FORWARD_SECRECY }, { "mutual-auth", OST_AUTH_MUTUAL },
	};
	char *name = next_field(&rest);
	if (!name || !*name) {
		r->kind = LINE_BAD;
		return;
	}
	r->kind = LINE_MECH;
	r->mechanism = name;
	for (char *word; (word = next_field(&rest));) {
		r->hidden = r->hidden || strcasecmp(word, "private") == 0;
		for (size_t i = 0; i < sizeof words / sizeof *words; i++)
			if (strcasecmp(words[i].word, word) == 0)
				r->properties |= words[i].bit;
	}
}

static void parse_plain(char *rest, struct auth_reply *r)
{
	(void)rest;
	(void)r;
}

static void parse_cont(char *rest, struct auth_reply *r)
{
	char *challenge = number(next_field(&rest), &r->id) ? next_field(&rest) : NULL;
	if (challenge)
		r->challenge = challenge;
	else
		r->kind = LINE_BAD;
}

/* OK and FAIL: "name=value" and bare words. */
static void parse_end(char *rest, struct auth_reply *r)
{
	if (!number(next_field(&rest), &r->id)) {
		r->kind = LINE_BAD;
		return;
	}
	for (char *word; (word = next_field(&rest));) {
		if (strncmp(word, "user=", 5) == 0)
			r->user = unescape(word + 5);
		else if (strncmp(word, "reason=", 7) == 0)
			r->reason = unescape(word + 7);
		else if (strcmp(word, "temp") == 0 || strcmp(word, "code=temp_fail") == 0)
			r->temporary = true;
	}
}

void auth_parse(char *line, struct auth_reply *r)
{
	static const struct {
		const char *word;
		enum auth_line kind;
		void (*parse)(char *, struct auth_reply *);
	} kinds[] = {
		{ "VERSION", LINE_VERSION, parse_version }, { "MECH", LINE_MECH, parse_mech }, { "SPID", LINE_SPID, parse_plain },
		{ "DONE", LINE_DONE, parse_plain },         { "OK", LINE_OK, parse_end },      { "CONT", LINE_CONT, parse_cont },
		{ "FAIL", LINE_FAIL, parse_end },
	};
	char *rest = line;
	const char *word = next_field(&rest);
	*r = (struct auth_reply){ .challenge = "", .user = "", .reason = "", .mechanism = "" };
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (strcmp(kinds[i].word, word) == 0) {
			r->kind = kinds[i].kind;
			kinds[i].parse(rest, r);
			return;
		}
	}
}
