/* SPDX-License-Identifier: Apache-2.0 */
#include "config/expand.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* A parameter whose value is being expanded, for loops. */
struct frame {
	const char *name;
	const struct frame *up;
	int depth;
};

/* One call of expand(). */
struct expansion {
	expand_lookup_fn *lookup;
	void *ctx;
	struct ost_why *why;
	long steps;
	int nesting; /* of texts within texts */
};

/* A piece of the text under work. */
struct span {
	const char *at, *end;
};

static bool expand_span(struct expansion *, struct buf *out, struct span, const struct frame *);

static struct span span_of(const char *s)
{
	return (struct span){ .at = s, .end = s + strlen(s) };
}

static bool span_empty(struct span s)
{
	return s.at == s.end;
}

/* Drops white space at the front. */
static struct span skip_blanks(struct span s)
{
	while (s.at < s.end && isspace((unsigned char)*s.at))
		s.at++;
	return s;
}

/* Length of the name at s: letters, digits, underscores. */
static size_t name_length(struct span s)
{
	size_t n = 0;
	while (s.at + n < s.end && (isalnum((unsigned char)s.at[n]) || s.at[n] == '_'))
		n++;
	return n;
}

/* Reports what is wrong, with the place. */
static bool bad(const struct expansion *x, const char *what, struct span at)
{
	return why_set(x->why, "%s at \"%.*s\"", what, (int)(at.end - at.at > 60 ? 60 : at.end - at.at),
		       at.at);
}

/* Takes a group from its opening bracket (s->at) to the matching closing one; s goes behind it. */
static bool take_group(const struct expansion *x, struct span *s, struct span *inside)
{
	char open = *s->at, shut = open == '(' ? ')' : '}';
	const char *p = s->at;
	for (int level = 0; p < s->end; p++) {
		if (*p == open)
			level++;
		else if (*p == shut && --level == 0) {
			*inside = (struct span){ .at = s->at + 1, .end = p };
			s->at = p + 1;
			return true;
		}
	}
	return bad(x, "missing closing bracket", *s);
}

/* Says which names form the circle. */
static bool report_loop(const struct expansion *x, const char *name, const struct frame *up)
{
	struct buf circle = BUF_INIT;
	buf_puts(&circle, name);
	for (const struct frame *f = up; f && circle.len < 150; f = f->up) {
		buf_printf(&circle, " <- %s", f->name);
		if (!strcmp(f->name, name))
			break;
	}
	why_set(x->why, "its value refers to itself: %s", buf_str(&circle));
	buf_free(&circle);
	return false;
}

/* Appends the expanded value of a name. */
static bool expand_name(struct expansion *x, struct buf *out, const char *name, const char *value,
			const struct frame *up)
{
	for (const struct frame *f = up; f; f = f->up)
		if (!strcmp(f->name, name))
			return report_loop(x, name, up);
	struct frame here = { .name = name, .up = up, .depth = up ? up->depth + 1 : 1 };
	if (here.depth > EXPAND_DEPTH)
		return why_set(x->why, "names are nested too deep (%d)", EXPAND_DEPTH);
	return expand_span(x, out, span_of(value), &here);
}

/* ---- comparisons ---- */

enum compare { CMP_LT = 1, CMP_EQ = 2, CMP_GT = 4 };
static const struct operator_name {
	const char *text;
	unsigned truth; /* for which orders it holds */
	bool level;
} operators[] = {
	{ "==level", CMP_EQ, true },
	{ "!=level", CMP_LT | CMP_GT, true },
	{ "<=level", CMP_LT | CMP_EQ, true },
	{ ">=level", CMP_GT | CMP_EQ, true },
	{ "<level", CMP_LT, true },
	{ ">level", CMP_GT, true },
	{ "==", CMP_EQ, false },
	{ "!=", CMP_LT | CMP_GT, false },
	{ "<=", CMP_LT | CMP_EQ, false },
	{ ">=", CMP_GT | CMP_EQ, false },
	{ "<", CMP_LT, false },
	{ ">", CMP_GT, false },
};

/* The operator at s, NULL when there is none; s goes behind it. */
static const struct operator_name *take_operator(struct span *s)
{
	for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
		size_t n = strlen(operators[i].text);
		if ((size_t)(s->end - s->at) >= n && !memcmp(s->at, operators[i].text, n)) {
			s->at += n;
			return &operators[i];
		}
	}
	return NULL;
}

/* Nothing but digits? */
static bool all_digits(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == '\0';
}

/* Compares texts of digits as numbers of any length, others byte by byte. */
static int compare_values(const char *a, const char *b)
{
	if (all_digits(a) && all_digits(b)) {
		a += strspn(a, "0");
		b += strspn(b, "0");
		size_t la = strlen(a), lb = strlen(b);
		if (la != lb)
			return la < lb ? -1 : 1;
	}
	return strcmp(a, b);
}

/* One number of a level; s goes behind it. */
static bool take_level_part(const char **s, unsigned *part)
{
	if (!isdigit((unsigned char)**s))
		return false;
	*part = 0;
	for (int digits = 0; isdigit((unsigned char)**s); (*s)++) {
		if (++digits > 6)
			return false;
		*part = *part * 10 + (unsigned)(**s - '0');
	}
	return true;
}

/* "3.6.1" as three numbers. */
static bool parse_level(const char *s, unsigned parts[3])
{
	memset(parts, 0, 3 * sizeof *parts);
	for (int i = 0; i < 3; i++) {
		if (!take_level_part(&s, &parts[i]))
			return false;
		if (*s == '\0')
			return true;
		if (*s++ != '.')
			return false;
	}
	return false;
}

bool expand_compare_levels(const char *a, const char *b, int *order)
{
	unsigned pa[3], pb[3];
	if (!parse_level(a, pa) || !parse_level(b, pb))
		return false;
	*order = 0;
	for (int i = 0; i < 3 && !*order; i++)
		*order = pa[i] < pb[i] ? -1 : pa[i] > pb[i];
	return true;
}

/* Does `left op right` hold? */
static bool evaluate(const struct expansion *x, const struct operator_name *op, const char *left,
		     const char *right, bool *truth)
{
	int order;
	if (!op->level)
		order = compare_values(left, right);
	else if (!expand_compare_levels(left, right, &order))
		return why_set(x->why, "bad compatibility level in \"%.60s\" %s \"%.60s\"", left, op->text,
			       right);
	*truth = (op->truth & (order < 0 ? CMP_LT : order > 0 ? CMP_GT : CMP_EQ)) != 0;
	return true;
}

/* {left} op {right} at the front of s. */
static bool take_comparison(struct expansion *x, struct span *s, const struct frame *up, bool *truth)
{
	struct span left, right, start = *s;
	if (!take_group(x, s, &left))
		return false;
	*s = skip_blanks(*s);
	const struct operator_name *op = take_operator(s);
	if (!op)
		return bad(x, "comparison operator expected", *s);
	*s = skip_blanks(*s);
	if (span_empty(*s) || *s->at != '{')
		return bad(x, "\"{expression}\" expected", start);
	if (!take_group(x, s, &right))
		return false;
	struct buf l = BUF_INIT, r = BUF_INIT;
	bool ok = expand_span(x, &l, left, up) && expand_span(x, &r, right, up) &&
		  evaluate(x, op, buf_str(&l), buf_str(&r), truth);
	buf_free(&l);
	buf_free(&r);
	return ok;
}

/* ---- ${…} ---- */

/* {a} : {b}, behind ? or :, in s. The texts for true and false of what was written first; absent ones are
 * empty. */
static bool take_branches(const struct expansion *x, struct span s, char mark, struct span *yes,
			  struct span *no)
{
	struct span first, second = { 0 };
	struct span brace = skip_blanks(s);
	if (!span_empty(brace) && *brace.at == '{') {
		s = brace;
		if (!take_group(x, &s, &first))
			return false;
		s = skip_blanks(s);
		if (!span_empty(s)) {
			if (*s.at != ':' || mark != '?')
				return bad(x, "\":\" expected", s);
			s.at++;
			s = skip_blanks(s);
			if (span_empty(s) || *s.at != '{') {
				second = s;
			} else {
				if (!take_group(x, &s, &second))
					return false;
				s = skip_blanks(s);
				if (!span_empty(s))
					return bad(x, "text after a conditional expression", s);
			}
		}
	} else {
		first = s;
	}
	*yes = mark == '?' ? first : second;
	*no = mark == '?' ? second : first;
	return true;
}

/* What follows the condition: nothing, ?… or :…; appends the branch that applies. */
static bool expand_branches(struct expansion *x, struct buf *out, struct span s, bool truth,
			    const struct frame *up)
{
	struct span yes, no;
	char mark = *s.at++;
	if (mark != '?' && mark != ':')
		return bad(x, "name syntax error", (struct span){ .at = s.at - 1, .end = s.end });
	if (!take_branches(x, s, mark, &yes, &no))
		return false;
	return expand_span(x, out, truth ? yes : no, up);
}

/* A name with nothing behind it, or the condition of a ?: */
static bool expand_reference(struct expansion *x, struct buf *out, struct span name, struct span rest,
			     const struct frame *up)
{
	if (++x->steps > EXPAND_STEPS)
		return why_set(x->why, "expansion takes too many steps (%d)", EXPAND_STEPS);
	char *key = mem_strndup(name.at, (size_t)(name.end - name.at));
	const char *value = x->lookup(x->ctx, key);
	bool ok = true;
	rest = skip_blanks(rest);
	if (!span_empty(rest))
		ok = expand_branches(x, out, rest, value && *value, up);
	else if (value)
		ok = expand_name(x, out, key, value, up);
	free(key);
	return ok;
}

/* The inside of ${…} or $(…). */
static bool expand_braced(struct expansion *x, struct buf *out, struct span s, const struct frame *up)
{
	s = skip_blanks(s);
	if (!span_empty(s) && *s.at == '{') {
		bool truth = false;
		if (!take_comparison(x, &s, up, &truth))
			return false;
		s = skip_blanks(s);
		if (span_empty(s)) {
			buf_puts(out, truth ? "bool_true" : "");
			return true;
		}
		return expand_branches(x, out, s, truth, up);
	}
	size_t n = name_length(s);
	if (n == 0)
		return bad(x, "empty name", s);
	return expand_reference(x, out, (struct span){ s.at, s.at + n }, (struct span){ s.at + n, s.end },
				up);
}

/* What starts with a dollar, at s->at; s goes behind it. */
static bool expand_dollar(struct expansion *x, struct buf *out, struct span *s, const struct frame *up)
{
	struct span here = *s, inside;
	s->at++;
	if (!span_empty(*s) && *s->at == '$') {
		s->at++;
		buf_putc(out, '$');
		return true;
	}
	if (!span_empty(*s) && (*s->at == '{' || *s->at == '('))
		return take_group(x, s, &inside) && expand_braced(x, out, inside, up);
	size_t n = name_length(*s);
	if (n == 0)
		return bad(x, "empty name", here);
	inside = (struct span){ s->at, s->at + n };
	s->at += n;
	return expand_reference(x, out, inside, (struct span){ s->at, s->at }, up);
}

/* A whole text, which is not nested without end in others. */
static bool expand_span(struct expansion *x, struct buf *out, struct span s, const struct frame *up)
{
	if (x->nesting >= 2 * EXPAND_DEPTH)
		return why_set(x->why, "expressions are nested too deep (%d)", EXPAND_DEPTH);
	x->nesting++;
	while (!span_empty(s)) {
		const char *dollar = memchr(s.at, '$', (size_t)(s.end - s.at));
		const char *plain_end = dollar ? dollar : s.end;
		buf_add(out, s.at, (size_t)(plain_end - s.at));
		if (out->len > EXPAND_BYTES)
			return why_set(x->why, "the expanded value is longer than %d bytes", EXPAND_BYTES);
		s.at = plain_end;
		if (dollar && !expand_dollar(x, out, &s, up))
			return false;
	}
	x->nesting--;
	return true;
}

bool expand(struct buf *out, const char *name, const char *text, expand_lookup_fn *lookup, void *ctx,
	    struct ost_why *why)
{
	struct expansion x = { .lookup = lookup, .ctx = ctx, .why = why };
	struct frame top = { .name = name, .depth = 1 };
	return expand_span(&x, out, span_of(text), name ? &top : NULL);
}
