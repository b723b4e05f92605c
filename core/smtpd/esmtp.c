/* SPDX-License-Identifier: Apache-2.0 */
#include "smtpd/esmtp.h"

#include <string.h>
#include <strings.h>

#include "mail/ascii.h"

enum { ENVID_MAX = 100, ORCPT_MAX = 500 };

bool xtext_decode(const char *text, size_t len, char *out)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)text[i];
		if (c == '+') {
			if (i + 2 >= len)
				return false;
			int hi = ascii_hex(text[i + 1]), lo = ascii_hex(text[i + 2]);
			if (hi < 0 || lo < 0)
				return false;
			c = hi * 16 + lo;
			i += 2;
			if (c < 0x20 || c > 0x7e)
				return false;
		} else if (c < 0x21 || c > 0x7e || c == '=') {
			return false;
		}
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return true;
}

/* Does the word begin with "NAME="? Then *value is the rest. */
static bool has_name(const struct word *w, const char *name, struct word *value)
{
	size_t n = strlen(name);
	if (w->len < n || strncasecmp(w->at, name, n) != 0)
		return false;
	*value = (struct word){ w->at + n, w->len - n };
	return true;
}

/* Each answers NULL, or the reply that refuses the value. */

static const char *param_size(struct session *s, const struct word *v)
{
	if (v->len == 0)
		return "501 5.5.4 Bad message size syntax";
	uint64_t size = 0;
	bool huge = false;
	for (size_t i = 0; i < v->len; i++) {
		if (!ascii_digit((unsigned char)v->at[i]))
			return "501 5.5.4 Bad message size syntax";
		huge = huge || __builtin_mul_overflow(size, 10, &size) ||
		       __builtin_add_overflow(size, (uint64_t)(v->at[i] - '0'), &size) || size > INT64_MAX;
	}
	s->tx->declared_size = size;
	return huge ? "552 5.3.4 Message size exceeds file system imposed limit" : NULL;
}

static const char NO_DSN[] = "501 5.7.1 DSN support is disabled";

static const char *param_ret(struct session *s, const struct word *v)
{
	s->tx->ret = word_is(v, "FULL") ? RET_FULL : word_is(v, "HDRS") ? RET_HDRS : RET_UNSET;
	return s->tx->ret == RET_UNSET ? "501 5.5.4 Bad RET parameter syntax" : NULL;
}

static const char *param_envid(struct session *s, const struct word *v)
{
	char *text = arena_alloc(s->tx->arena, v->len + 1);
	if (s->tx->envid || v->len == 0 || v->len > ENVID_MAX || !xtext_decode(v->at, v->len, text))
		return "501 5.5.4 Bad ENVID parameter syntax";
	s->tx->envid = text;
	return NULL;
}

static const char *param_body(struct session *s, const struct word *v)
{
	if (word_is(v, "8BITMIME"))
		s->tx->flags |= MSG_8BITMIME;
	else if (!word_is(v, "7BIT"))
		return "";
	return NULL;
}

/* Its effect is cmd_mail()'s: the address that stands before it is read by it. */
static const char *param_smtputf8(struct session *s, const struct word *v)
{
	return v->len == 0 && s->tx->flags & MSG_SMTPUTF8 ? NULL : "";
}

static const struct {
	const char *name;
	const char *(*take)(struct session *, const struct word *); /* "": as if the parameter were unknown */
	unsigned ehlo; /* the keyword that announces it */
} mail_params[] = {
	{ "SIZE=", param_size, EHLO_SIZE },
	{ "BODY=", param_body, EHLO_8BITMIME },
	{ "RET=", param_ret, EHLO_DSN },
	{ "ENVID=", param_envid, EHLO_DSN },
	{ "SMTPUTF8", param_smtputf8, EHLO_SMTPUTF8 },
};

/* Says that a parameter is not known. */
static bool unsupported(struct session *s, const struct word *w)
{
	reply(s, "555 5.5.4 Unsupported option: %.*s", (int)w->len, w->at);
	return false;
}

bool esmtp_mail_params(struct session *s, const struct words *w)
{
	for (size_t i = 0; i < w->count; i++) {
		const char *refusal = "";
		for (size_t k = 0; k < sizeof mail_params / sizeof *mail_params; k++) {
			struct word value;
			if (has_name(&w->word[i], mail_params[k].name, &value))
				refusal = s->ehlo_hidden & mail_params[k].ehlo & EHLO_DSN ? NO_DSN : mail_params[k].take(s, &value);
		}
		if (refusal && !*refusal)
			return unsupported(s, &w->word[i]);
		if (refusal) {
			reply_text(s, refusal);
			return false;
		}
	}
	return true;
}

/* NOTIFY=NEVER, or a list of SUCCESS, FAILURE, DELAY; 0: it is none. */
static unsigned notify_value(const struct word *v)
{
	static const struct {
		const char *word;
		unsigned bit;
	} values[] = {
		{ "NEVER", NOTIFY_NEVER }, { "SUCCESS", NOTIFY_SUCCESS }, { "FAILURE", NOTIFY_FAILURE }, { "DELAY", NOTIFY_DELAY },
	};
	unsigned bits = 0;
	for (size_t at = 0; at <= v->len;) {
		const char *comma = memchr(v->at + at, ',', v->len - at);
		struct word one = { v->at + at, comma ? (size_t)(comma - v->at) - at : v->len - at };
		unsigned bit = 0;
		for (size_t k = 0; k < sizeof values / sizeof *values; k++)
			if (word_is(&one, values[k].word))
				bit = values[k].bit;
		if (!bit || bits & bit)
			return 0;
		bits |= bit;
		at += one.len + 1;
	}
	return bits & NOTIFY_NEVER && bits != NOTIFY_NEVER ? 0 : bits;
}

/* ORCPT=type;xtext. NULL: it is none. */
static const char *orcpt_value(struct session *s, const struct word *v)
{
	const char *semi = memchr(v->at, ';', v->len);
	if (!semi || semi == v->at || v->len > ORCPT_MAX)
		return NULL;
	for (const char *p = v->at; p < semi; p++)
		if (!ascii_alnum((unsigned char)*p) && *p != '-')
			return NULL;
	size_t type = (size_t)(semi - v->at) + 1;
	char *text = arena_alloc(s->tx->arena, v->len + 1);
	memcpy(text, v->at, type);
	return v->len > type && xtext_decode(v->at + type, v->len - type, text + type) ? text : NULL;
}

bool esmtp_rcpt_params(struct session *s, const struct words *w, struct rcpt_params *out)
{
	for (size_t i = 0; i < w->count; i++) {
		struct word value;
		bool notify = has_name(&w->word[i], "NOTIFY=", &value), orcpt = !notify && has_name(&w->word[i], "ORCPT=", &value);
		if ((notify || orcpt) && s->ehlo_hidden & EHLO_DSN) {
			reply_text(s, NO_DSN);
			return false;
		}
		if (notify) {
			unsigned bits = out->notify ? 0 : notify_value(&value);
			if (!bits) {
				reply(s, "501 5.5.4 Error: Bad NOTIFY parameter syntax");
				return false;
			}
			out->notify = bits;
		} else if (orcpt) {
			const char *text = out->orcpt ? NULL : orcpt_value(s, &value);
			if (!text) {
				reply(s, "501 5.5.4 Error: Bad ORCPT parameter syntax");
				return false;
			}
			out->orcpt = text;
		} else {
			return unsupported(s, &w->word[i]);
		}
	}
	return true;
}
