/* SPDX-License-Identifier: Apache-2.0
 *
 * A check, as small as a whole one can be: the restriction `reject_long_helo N` rejects clients whose HELO name has more
 * than N characters. */
#include <stdlib.h>
#include <string.h>

#include <ostler/host.h>

static const struct ost_host *host;

static bool longhelo_load(const struct ost_host *the_host, struct ost_why *why)
{
	(void)why;
	host = the_host;
	return true;
}

/* Once for each mention in smtpd_*_restrictions, at start: the argument is parsed here and nowhere else. */
static bool longhelo_prepare(void *self, const char *name, const char *const argv[], void **prepared, struct ost_why *why)
{
	(void)self;
	char *end;
	unsigned long limit = strtoul(argv[0], &end, 10);
	if (*end || end == argv[0] || limit == 0 || limit > 1000)
		return host->why(why, "%s: \"%s\" is no number from 1 to 1000", name, argv[0]);
	size_t *p = malloc(sizeof *p);
	if (!p)
		return host->why(why, "out of memory");
	*p = limit;
	*prepared = p;
	return true;
}

static void longhelo_unprepare(void *self, void *prepared)
{
	(void)self;
	free(prepared);
}

static enum ost_verdict longhelo_run(void *self, void *state, void *prepared, enum ost_stage stage, struct ost_session *session)
{
	(void)self;
	(void)state;
	(void)stage;
	const size_t *limit = prepared;
	const char *helo = host->session_field(session, "helo_name");
	if (!helo || strlen(helo) <= *limit)
		return OST_DUNNO;
	host->reply(session, 550, "5.7.1", "Helo command rejected: the name is too long");
	return OST_REJECT;
}

static const struct ost_restriction restrictions[] = {
	{ "reject_long_helo", 1,
	  OST_STAGE_HELO | OST_STAGE_MAIL | OST_STAGE_RCPT | OST_STAGE_DATA | OST_STAGE_END_OF_DATA | OST_STAGE_CONNECT,
	  "reject HELO names of more than so many characters" },
	{ NULL, 0, 0, NULL },
};

static const struct ost_check_ops ops = {
	.ops = { .size = sizeof ops },
	.restrictions = restrictions,
	.prepare = longhelo_prepare,
	.unprepare = longhelo_unprepare,
	.run = longhelo_run,
};

static const struct ost_provide provides[] = {
	{ OST_KIND_CHECK, "longhelo", &ops.ops },
	{ OST_KIND_END, NULL, NULL },
};

OST_MODULE(longhelo, .version = "1.0", .summary = "rejects long HELO names", .license = "Apache-2.0", .provides = provides,
	   .load = longhelo_load);
