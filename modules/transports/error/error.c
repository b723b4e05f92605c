/* SPDX-License-Identifier: Apache-2.0
 * error: every recipient fails, with the text that is the next hop. A service named retry puts them off instead. */
#include <stdio.h>
#include <string.h>

#include "ostler/host.h"

static const struct ost_host *host;

static bool error_load(const struct ost_host *h, struct ost_why *why)
{
	(void)why;
	host = h;
	return true;
}

static bool error_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)instance, (void)config, (void)why;
	*self = NULL;
	return true;
}

static void error_close(void *self)
{
	(void)self;
}

/* Bytes of "5.1.1" at the start of text, 0: there is no status code. */
static size_t code_length(const char *text)
{
	size_t at = 1;
	if (*text != '2' && *text != '4' && *text != '5')
		return 0;
	for (int part = 0; part < 2; part++) {
		size_t digits = text[at] == '.' ? strspn(text + at + 1, "0123456789") : 0;
		if (digits < 1 || digits > 3)
			return 0;
		at += 1 + digits;
	}
	return text[at] == '\0' || text[at] == ' ' || text[at] == '\t' ? at : 0;
}

static void error_deliver(void *self, struct ost_delivery *d)
{
	char dsn[12];
	(void)self;
	bool later = strcmp(host->instance_name(d->instance), "retry") == 0;
	size_t code = code_length(d->nexthop);
	const char *text = d->nexthop + code;
	snprintf(dsn, sizeof dsn, "%c%.*s", later ? '4' : '5', code ? (int)code - 1 : 4, code ? d->nexthop + 1 : ".0.0");
	text += strspn(text, " \t");
	const struct ost_report r = { .size = sizeof r, .status = later ? OST_DEFERRED : OST_BOUNCED, .dsn = dsn,
				      .text = *text ? text : "mail is not deliverable" };
	for (uint32_t i = 0; i < d->nrcpts; i++)
		host->report(d, i, &r);
}

static const struct ost_transport_ops error_ops = {
	.ops = { .size = sizeof error_ops, .flags = OST_TRANSPORT_PROBES, .open = error_open, .close = error_close },
	.deliver = error_deliver,
};

static const struct ost_provide provides[] = {
	{ OST_KIND_TRANSPORT, "error", &error_ops.ops },
	{ .kind = OST_KIND_END },
};

OST_MODULE(error, .version = "1.0", .summary = "bounces or puts off all mail, with a text", .license = "Apache-2.0",
	   .provides = provides, .load = error_load);
