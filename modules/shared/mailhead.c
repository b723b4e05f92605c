/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/mailhead.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { HEADER_MAX = 256 * 1024 };

/* Text from the envelope stays within its line. */
static void neutralize(char *p)
{
	for (; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
}

/* printf() into memory of its own, one line without its LF; control bytes are '?'. */
static char *line(const char *before, const char *text, const char *after)
{
	char *out = NULL;
	if (asprintf(&out, "%s%s%s", before, text, after) < 0)
		abort();
	neutralize(out);
	return out;
}

char *mail_args(const struct ost_delivery *d, const char *sender, const char *original, const char *delivered_to, size_t *len)
{
	char date[64], *out = NULL;
	struct tm tm;
	time_t now = time(NULL);
	(void)d;
	strftime(date, sizeof date, "%a %b %e %H:%M:%S %Y", localtime_r(&now, &tm));
	char *from = line("From ", *sender ? sender : "MAILER-DAEMON", "");
	for (char *p = from + sizeof "From " - 1; *p; p++) /* blanks would end the sender's field */
		if (*p == ' ')
			*p = '_';
	char *path = line("Return-Path: <", sender, ">");
	char *orig = original && *original ? line("X-Original-To: ", original, "") : NULL;
	char *to = line("Delivered-To: ", delivered_to, "");
	int n = asprintf(&out, "%s  %s\n%s\n%s%s%s\n", from, date, path, orig ? orig : "", orig ? "\n" : "", to);
	if (n < 0)
		abort();
	free(from);
	free(path);
	free(orig);
	free(to);
	*len = (size_t)n;
	return out;
}

bool header_has(const char *header, size_t len, const char *name, const char *value)
{
	size_t name_len = strlen(name), value_len = strlen(value);
	for (const char *p = header, *end = header + len; p < end && *p != '\n';) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		const char *stop = lf ? lf : end;
		if ((size_t)(stop - p) > name_len && strncasecmp(p, name, name_len) == 0 && p[name_len] == ':') {
			const char *v = p + name_len + 1;
			while (v < stop && (*v == ' ' || *v == '\t'))
				v++;
			const char *v_end = stop;
			while (v_end > v && (v_end[-1] == ' ' || v_end[-1] == '\t' || v_end[-1] == '\r'))
				v_end--;
			if ((size_t)(v_end - v) == value_len && strncasecmp(v, value, value_len) == 0)
				return true;
		}
		p = lf ? lf + 1 : end;
	}
	return false;
}

bool mail_was_here(const struct ost_host *host, struct ost_delivery *d, const char *address)
{
	uint64_t size = 0;
	const char *content = host->content(d, &size);
	if (content)
		return header_has(content, size, "Delivered-To", address);
	char *header = malloc(HEADER_MAX);
	if (!header)
		abort();
	int64_t n = host->content_read(d, 0, header, HEADER_MAX);
	bool found = n > 0 && header_has(header, (size_t)n, "Delivered-To", address);
	free(header);
	return found;
}
