/* SPDX-License-Identifier: Apache-2.0
 * What the messages of smtp-load look like. */
#include "load.h"

#include <string.h>
#include <time.h>

#define LINE_WIRE  80 /* a body line with its CRLF */
#define LINE_MIN   4
#define DOT_EVERY  16 /* one line in so many begins with a dot */
#define LEAD_MAX   64
#define ALPHABET   "abcdefghijklmnopqrstuvwxyz 0123456789 "
#define ID_PADDING 8

/* A number that looks random and is the same in each run with the same seed. */
static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* One line of `wire` bytes with its CRLF; in a message with an id each line names it. */
static void put_line(char *out, size_t wire, uint64_t n, const char *id)
{
	const bool dot = n % DOT_EVERY == DOT_EVERY - 1;
	char lead[LEAD_MAX];
	size_t text = wire - 2;
	size_t at = 0;
	int k;

	k = snprintf(lead, sizeof lead, "%s%s%s%llu ", dot ? ".." : "", id ? id : "", id ? " " : "",
		     (unsigned long long)n);
	at = (size_t)k < text ? (size_t)k : text;
	memcpy(out, lead, at);
	for (size_t i = at; i < text; i++)
		out[i] = ALPHABET[(i + n) % (sizeof ALPHABET - 1)];
	out[text] = '\r';
	out[text + 1] = '\n';
}

/* The length on the wire of the body nearest below `size` that is made of whole lines. */
static size_t wire_size(uint64_t size)
{
	size_t rest = size % LINE_WIRE;

	if (size < LINE_WIRE)
		return size < LINE_MIN ? LINE_MIN : size;
	return rest < LINE_MIN ? size - rest : size;
}

/* Fills out with a body of `wire` bytes; takes its sum when one is wanted. */
static void put_body(char *out, size_t wire, const char *id, struct sum *sum)
{
	uint64_t n = 0;

	for (size_t at = 0; at < wire; n++) {
		size_t line = wire - at < LINE_WIRE ? wire - at : LINE_WIRE;
		size_t skip;

		put_line(out + at, line, n, id);
		if (sum) {
			skip = out[at] == '.' ? 1 : 0;
			sum_add(sum, out + at + skip, line - 2 - skip);
			sum_add(sum, "\n", 1);
		}
		at += line;
	}
}

void load_text_init(struct load *l)
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(l->date, sizeof l->date, "%a, %d %b %Y %H:%M:%S +0000", &tm);
	if (l->opt.ledger)
		return;
	l->shared_body_len = wire_size(l->opt.size_max);
	l->shared_body = bench_alloc(l->shared_body_len);
	put_body(l->shared_body, l->shared_body_len, NULL, NULL);
}

static uint64_t size_of(const struct load_options *o, uint64_t number)
{
	uint64_t span = o->size_max - o->size_min;

	return span == 0 ? o->size_max : o->size_min + mix(o->seed + number) % (span + 1);
}

/* Without a ledger all messages share one body, cut at a line's end. */
static void use_shared_body(const struct load *l, struct load_text *t)
{
	size_t size = size_of(&l->opt, t->number);

	t->body = l->shared_body;
	t->body_len = l->shared_body_len;
	if (size < t->body_len)
		t->body_len = size < LINE_WIRE ? LINE_WIRE : size - size % LINE_WIRE;
}

static void make_own_body(const struct load *l, struct load_text *t)
{
	t->body_len = wire_size(size_of(&l->opt, t->number));
	if (t->own_size < t->body_len) {
		t->own = bench_realloc(t->own, t->body_len);
		t->own_size = t->body_len;
	}
	t->stamp.has_sum = true;
	put_body(t->own, t->body_len, t->stamp.id, &t->stamp.sum);
	t->body = t->own;
}

void load_text_make(struct load *l, struct load_text *t)
{
	char to[LOAD_RECIPIENT_MAX];
	size_t stamp_len;
	int n;

	t->stamp = (struct stamp){ .has_sum = false };
	snprintf(t->stamp.id, sizeof t->stamp.id, "%s-%0*llx", l->opt.id_prefix, ID_PADDING,
		 (unsigned long long)t->number);
	if (l->opt.ledger)
		make_own_body(l, t);
	else
		use_shared_body(l, t);
	load_recipient(l, t->number, 0, to);
	t->stamp.ns = bench_now();
	stamp_len = stamp_format(&t->stamp, t->head, sizeof t->head);
	n = snprintf(t->head + stamp_len, sizeof t->head - stamp_len,
		     "From: <%s>\r\nTo: <%s>\r\nSubject: load %s\r\nDate: %s\r\nMessage-ID: "
		     "<%s@load.invalid>\r\n\r\n",
		     l->opt.sender, to, t->stamp.id, l->date, t->stamp.id);
	if (stamp_len == 0 || n <= 0 || (size_t)n >= sizeof t->head - stamp_len)
		bench_die("the header of a message is too long");
	t->head_len = stamp_len + (size_t)n;
}

size_t load_recipient(const struct load *l, uint64_t number, unsigned i, char out[LOAD_RECIPIENT_MAX])
{
	const struct load_options *o = &l->opt;
	const char *pattern = o->pattern[number % o->patterns];
	const char *place = strstr(pattern, "%d");
	uint64_t which = (number / o->patterns * o->recipients + i) % o->mailboxes;
	int n;

	if (place)
		n = snprintf(out, LOAD_RECIPIENT_MAX, "%.*s%llu%s", (int)(place - pattern), pattern,
			     (unsigned long long)which, place + 2);
	else
		n = snprintf(out, LOAD_RECIPIENT_MAX, "%s", pattern);
	if (n <= 0 || n >= LOAD_RECIPIENT_MAX)
		bench_die("a recipient is too long");
	return (size_t)n;
}
