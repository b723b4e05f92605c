/* SPDX-License-Identifier: Apache-2.0
 * discard: mail is reported as sent, and is gone. The next hop is the text for the log. */
#include "ostler/host.h"

static const struct ost_host *host;

static bool discard_load(const struct ost_host *h, struct ost_why *why)
{
	(void)why;
	host = h;
	return true;
}

static bool discard_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	(void)instance, (void)config, (void)why;
	*self = NULL;
	return true;
}

static void discard_close(void *self)
{
	(void)self;
}

static void discard_deliver(void *self, struct ost_delivery *d)
{
	(void)self;
	const struct ost_report r = { .size = sizeof r, .status = OST_SENT, .dsn = "2.0.0",
				      .text = *d->nexthop ? d->nexthop : "discarded" };
	for (uint32_t i = 0; i < d->nrcpts; i++)
		host->report(d, i, &r);
}

static const struct ost_transport_ops discard_ops = {
	.ops = { .size = sizeof discard_ops, .flags = OST_TRANSPORT_PROBES, .open = discard_open, .close = discard_close },
	.deliver = discard_deliver,
};

static const struct ost_provide provides[] = {
	{ OST_KIND_TRANSPORT, "discard", &discard_ops.ops },
	{ .kind = OST_KIND_END },
};

OST_MODULE(discard, .version = "1.0", .summary = "throws mail away", .license = "Apache-2.0", .provides = provides,
	   .load = discard_load);
