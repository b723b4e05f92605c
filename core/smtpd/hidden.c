/* SPDX-License-Identifier: Apache-2.0
 * EHLO keywords that are kept from clients: from all (smtpd_discard_ehlo_keywords), or by their address. */
#include <strings.h>

#include "base/log.h"
#include "smtpd/command.h"

static const struct {
	const char *word;
	unsigned bit;
} words[] = { /* in the order in which Postfix logs them; LIMITS is not Postfix's */
	{ "8BITMIME", EHLO_8BITMIME },
	{ "AUTH", EHLO_AUTH },
	{ "ETRN", EHLO_ETRN },
	{ "PIPELINING", EHLO_PIPELINING },
	{ "SIZE", EHLO_SIZE },
	{ "VERP", EHLO_XVERP },
	{ "VRFY", EHLO_VRFY },
	{ "XCLIENT", EHLO_XCLIENT },
	{ "XFORWARD", EHLO_XFORWARD },
	{ "STARTTLS", EHLO_STARTTLS },
	{ "ENHANCEDSTATUSCODES", EHLO_ENHANCEDSTATUSCODES },
	{ "DSN", EHLO_DSN },
	{ "SMTPUTF8", EHLO_SMTPUTF8 },
	{ "CHUNKING", EHLO_CHUNKING },
	{ "LIMITS", EHLO_LIMITS },
	{ "SILENT-DISCARD", EHLO_SILENT },
};
enum { NWORDS = sizeof words / sizeof *words };

unsigned hidden_bits(struct arena *a, const char *list)
{
	unsigned bits = 0;
	for (const char **w = cfg_split(a, list); *w; w++)
		for (int i = 0; i < NWORDS; i++)
			if (strcasecmp(words[i].word, *w) == 0)
				bits |= words[i].bit;
	return bits;
}

void hidden_find(struct session *s)
{
	const struct maps *maps = s->server->ehlo_hidden_by_address;
	struct lookup got = { 0 };
	s->ehlo_hidden = s->server->ehlo_hidden;
	if (!maps)
		return;
	struct arena *a = arena_new();
	bool waits = !maps_immediate(maps);
	if (waits)
		pool_wait_begin();
	enum ost_found found = maps_find(maps, a, s->peer.address, &got);
	if (waits)
		pool_wait_end();
	if (found == OST_FOUND)
		s->ehlo_hidden = hidden_bits(a, got.value);
	else if (found != OST_NOTFOUND)
		s->ehlo_hidden |= EHLO_UNSURE;
	arena_destroy(&a);
}

bool hidden_tell(struct session *s)
{
	if (s->ehlo_hidden & EHLO_EVERY && !(s->ehlo_hidden & EHLO_SILENT)) {
		struct buf b = BUF_INIT;
		for (int i = 0; i < NWORDS; i++)
			if (s->ehlo_hidden & words[i].bit)
				buf_printf(&b, " %s", words[i].word);
		log_info("discarding EHLO keywords:%s", buf_str(&b));
		buf_free(&b);
	}
	if (!(s->ehlo_hidden & EHLO_UNSURE))
		return true;
	log_warning("don't know what EHLO features to announce to %s", s->peer.namaddr);
	log_info("NOQUEUE: reject: EHLO from %s: 421 4.3.0 %s Server local data error", s->peer.namaddr, s->server->myhostname);
	reply(s, "421 4.3.0 %s Server local data error", s->server->myhostname);
	session_finish(s);
	return false;
}
