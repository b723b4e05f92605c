/* SPDX-License-Identifier: Apache-2.0
 * virtual: mailboxes of users that the system does not know, found by tables. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ostler/host.h"
#include "shared/mailhead.h"
#include "shared/userfile.h"

static const struct ost_host *host;

struct virtual_config {
	const char *base;
	struct ost_tables *mailboxes, *uids, *gids;
	int64_t minimum_uid;
	struct userfile_options mailbox;
};

struct virtual { /* an instance; constant after open() */
	const struct virtual_config *config;
	struct ost_instance *instance;
};

#define AT(member, kind) OST_PARAM_AT(struct virtual_config, member, OST_PARAM_##kind)
static const struct ost_param params[] = {
	{ .name = "virtual_mailbox_base", AT(base, STRING), .defval = "",
	  .help = "The folder that all virtual mailboxes are in." },
	{ .name = "virtual_mailbox_maps", AT(mailboxes, TABLES), .flags = OST_PARAM_SAFE, .defval = "",
	  .help = "Mailbox paths below virtual_mailbox_base; with a slash at the end a Maildir." },
	{ .name = "virtual_uid_maps", AT(uids, TABLES), .flags = OST_PARAM_SAFE, .defval = "", .help = "User ids of virtual mailboxes." },
	{ .name = "virtual_gid_maps", AT(gids, TABLES), .flags = OST_PARAM_SAFE, .defval = "", .help = "Group ids of virtual mailboxes." },
	{ .name = "virtual_minimum_uid", AT(minimum_uid, INT), .defval = "100", .min = 1, .max = UINT32_MAX,
	  .help = "The lowest user id that virtual_uid_maps may answer." },
	USERFILE_PARAMS(struct virtual_config, mailbox, "virtual_mailbox_limit", "virtual_mailbox_lock"),
	{ .name = NULL },
};

static bool virtual_load(const struct ost_host *h, struct ost_why *why)
{
	(void)why;
	host = h;
	return true;
}

static bool virtual_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	struct virtual *v = calloc(1, sizeof *v);
	if (!v)
		return host->why(why, "out of memory");
	v->config = config;
	v->instance = instance;
	*self = v;
	return true;
}

static void virtual_close(void *self)
{
	free(self);
}

/* ---- finding the mailbox ------------------------------------------------------------------------------------------------- */

enum { TOGETHER_MAX = 64 };

struct slot { /* one recipient */
	struct ost_delivery *d;
	uint32_t rcpt;
	char *path, *args;
};

/* What one call of deliver() writes: recipients of the message that it was called for, and of others that waited. The arrays
 * have room for one more. */
struct load {
	struct slot *slots;
	struct ost_user_request *requests;
	struct ost_user_done *done;
	size_t n, room;
};

static void report(struct ost_delivery *d, uint32_t rcpt, enum ost_delivered status, const char *dsn, const char *text)
{
	const struct ost_report r = { .size = sizeof r, .status = status, .dsn = dsn, .text = text, .relay = "virtual" };
	host->report(d, rcpt, &r);
}

static bool broken(const struct virtual *v, struct ost_delivery *d, uint32_t rcpt, const char *what, const char *why)
{
	host->log(v->instance, OST_LOG_WARNING, "recipient %s: %s%s", d->rcpts[rcpt].address, what, why);
	report(d, rcpt, OST_DEFERRED, "4.3.5", "mail system configuration error");
	return false;
}

/* A user or group id from a table; false: the recipient has been reported. */
static bool find_id(const struct virtual *v, struct ost_delivery *d, uint32_t rcpt, const struct ost_tables *maps,
		    const char *param, uint32_t *id)
{
	struct ost_why why = { .text = "" };
	const char *value, *extension;
	char *end;
	switch (host->tables_lookup_address(maps, d->rcpts[rcpt].address, &value, &extension, &why)) {
	case OST_FOUND:
		break;
	case OST_NOTFOUND:
		return broken(v, d, rcpt, "not found in ", param);
	default:
		return broken(v, d, rcpt, "cannot look up: ", why.text);
	}
	errno = 0;
	unsigned long n = strtoul(value, &end, 10);
	if (*value < '0' || *value > '9' || *end || errno || n > UINT32_MAX - 1)
		return broken(v, d, rcpt, "not a number in ", param);
	*id = (uint32_t)n;
	return true;
}

/* Fills a request; false: the recipient has been reported. */
static bool find_mailbox(const struct virtual *v, struct ost_delivery *d, uint32_t rcpt, struct slot *slot,
			 struct ost_user_request *q)
{
	const struct virtual_config *c = v->config;
	const char *address = d->rcpts[rcpt].address, *value, *extension;
	struct ost_why why = { .text = "" };
	char text[400];
	enum ost_found found = host->tables_lookup_address(c->mailboxes, address, &value, &extension, &why);
	if (found == OST_NOTFOUND) {
		snprintf(text, sizeof text, "unknown user: \"%.300s\"", address);
		report(d, rcpt, OST_BOUNCED, "5.1.1", text);
		return false;
	}
	if (found != OST_FOUND)
		return broken(v, d, rcpt, "cannot look up: ", why.text);
	slot->rcpt = rcpt;
	slot->path = strdup(value + strspn(value, "/")); /* the value lives until the next lookup */
	if (!slot->path)
		abort();
	*q = (struct ost_user_request){ .size = sizeof *q, .kind = OST_USER_IDS, .path = slot->path };
	if (*slot->path == '\0')
		return broken(v, d, rcpt, "empty path in ", "virtual_mailbox_maps");
	if (!find_id(v, d, rcpt, c->uids, "virtual_uid_maps", &q->uid) ||
	    !find_id(v, d, rcpt, c->gids, "virtual_gid_maps", &q->gid))
		return false;
	if (q->uid < c->minimum_uid)
		return broken(v, d, rcpt, "user id below virtual_minimum_uid", "");
	if (mail_was_here(host, d, address)) {
		snprintf(text, sizeof text, "mail forwarding loop for %.300s", address);
		report(d, rcpt, OST_BOUNCED, "5.4.6", text);
		return false;
	}
	slot->args = mail_args(d, d->sender, c->mailbox.original ? d->rcpts[rcpt].original : NULL, address, &q->args_len);
	q->args = slot->args;
	return true;
}

/* Memory that is not there ends the process, as in the core. */
static void *grown(void *p, size_t n, size_t size)
{
	p = reallocarray(p, n, size);
	if (!p)
		abort();
	return p;
}

/* Adds the recipients whose mailboxes are found; the others are reported. */
static void load_add(const struct virtual *v, struct load *l, struct ost_delivery *d)
{
	if (l->room - l->n < d->nrcpts + 1) {
		l->room += d->nrcpts + 1 + l->room / 2;
		l->slots = grown(l->slots, l->room, sizeof *l->slots);
		l->requests = grown(l->requests, l->room, sizeof *l->requests);
		l->done = grown(l->done, l->room, sizeof *l->done);
	}
	for (uint32_t i = 0; i < d->nrcpts; i++) {
		struct slot *slot = &l->slots[l->n];
		*slot = (struct slot){ .d = d };
		if (find_mailbox(v, d, i, slot, &l->requests[l->n])) {
			l->requests[l->n].delivery = d;
			l->done[l->n++] = (struct ost_user_done){ .size = sizeof *l->done };
		} else {
			free(slot->path);
		}
	}
	host->mark_connected(d);
}

/* All for one user so far, and not too many? What is for different users is better done side by side. */
static bool may_grow(const struct load *l)
{
	return l->n > 0 && l->n < TOGETHER_MAX && l->requests[l->n - 1].uid == l->requests[0].uid &&
	       l->requests[l->n - 1].gid == l->requests[0].gid;
}

static void load_free(struct load *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->slots[i].path);
		free(l->slots[i].args);
	}
	free(l->slots);
	free(l->requests);
	free(l->done);
}

static void virtual_deliver(void *self, struct ost_delivery *d)
{
	const struct virtual *v = self;
	struct load l = { .n = 0 };
	struct ost_delivery *more;
	load_add(v, &l, d);
	while (may_grow(&l) && (more = host->next(d)))
		load_add(v, &l, more);
	host->as_user(d, l.requests, l.done, l.n);
	for (size_t i = 0; i < l.n; i++)
		report(l.slots[i].d, l.slots[i].rcpt, l.done[i].status, l.done[i].dsn, l.done[i].text);
	load_free(&l);
}

/* ---- as the user ----------------------------------------------------------------------------------------------------------- */

static void virtual_write(const void *config, struct ost_user_job *jobs, size_t n)
{
	const struct virtual_config *c = config;
	userfile_write(&c->mailbox, jobs, n);
}

static void virtual_publish(const void *config, struct ost_user_job *jobs, size_t n)
{
	(void)config;
	userfile_publish(jobs, n);
}

static void virtual_settle(const void *config, struct ost_user_job *jobs, size_t n)
{
	(void)config;
	userfile_settle(jobs, n);
}

static const struct ost_transport_ops virtual_ops = {
	.ops = { .size = sizeof virtual_ops,
		 .params = params,
		 .config_size = sizeof(struct virtual_config),
		 .flags = OST_TRANSPORT_TOGETHER | OST_TRANSPORT_WIRE | OST_TRANSPORT_PROBES,
		 .open = virtual_open,
		 .close = virtual_close },
	.deliver = virtual_deliver,
	.user_write = virtual_write,
	.user_publish = virtual_publish,
	.user_settle = virtual_settle,
};

static const struct ost_provide provides[] = {
	{ OST_KIND_TRANSPORT, "virtual", &virtual_ops.ops },
	{ .kind = OST_KIND_END },
};

OST_MODULE(virtual, .version = "1.0", .summary = "delivers to mailboxes of virtual users", .license = "Apache-2.0",
	   .provides = provides, .load = virtual_load);
