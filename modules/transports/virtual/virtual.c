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
	const char *base, *locks;
	struct ost_tables *mailboxes, *uids, *gids;
	int64_t minimum_uid, limit, lock_attempts, lock_delay, stale_lock;
	bool strict_owner, original;
};

struct virtual { /* an instance; constant after open() */
	const struct virtual_config *config;
	struct ost_instance *instance;
};

#define AT(member, kind) OST_PARAM_AT(struct virtual_config, member, OST_PARAM_##kind)
static const struct ost_param params[] = {
	{ .name = "virtual_mailbox_base", AT(base, STRING), .defval = "",
	  .help = "The folder that all virtual mailboxes are in." },
	{ .name = "virtual_mailbox_maps", AT(mailboxes, TABLES), .defval = "",
	  .help = "Mailbox paths below virtual_mailbox_base; with a slash at the end a Maildir." },
	{ .name = "virtual_uid_maps", AT(uids, TABLES), .defval = "", .help = "User ids of virtual mailboxes." },
	{ .name = "virtual_gid_maps", AT(gids, TABLES), .defval = "", .help = "Group ids of virtual mailboxes." },
	{ .name = "virtual_minimum_uid", AT(minimum_uid, INT), .defval = "100", .min = 1, .max = UINT32_MAX,
	  .help = "The lowest user id that virtual_uid_maps may answer." },
	{ .name = "virtual_mailbox_limit", AT(limit, SIZE), .defval = "51200000", .max = INT64_MAX,
	  .help = "Largest mailbox file, or Maildir message (0: no limit)." },
	{ .name = "virtual_mailbox_lock", AT(locks, STRING), .defval = "fcntl, dotlock",
	  .help = "How a mailbox file is locked: fcntl, flock, dotlock." },
	{ .name = "deliver_lock_attempts", AT(lock_attempts, INT), .defval = "20", .min = 1, .max = INT32_MAX,
	  .help = "How often a mailbox lock is tried." },
	{ .name = "deliver_lock_delay", AT(lock_delay, TIME), .defval = "1s", .help = "Time between tries to lock a mailbox." },
	{ .name = "stale_lock_time", AT(stale_lock, TIME), .defval = "500s",
	  .help = "When a mailbox lock file is taken for left over." },
	{ .name = "strict_mailbox_ownership", AT(strict_owner, BOOL), .defval = "yes",
	  .help = "Put mail off when a mailbox file is not its user's." },
	{ .name = "enable_original_recipient", AT(original, BOOL), .defval = "yes",
	  .help = "Add X-Original-To with the address as it was before aliases." },
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

struct slot { /* one recipient of a delivery */
	uint32_t rcpt;
	char *path, *args;
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
	slot->args = mail_args(d, d->sender, c->original ? d->rcpts[rcpt].original : NULL, address, &q->args_len);
	q->args = slot->args;
	return true;
}

static void virtual_deliver(void *self, struct ost_delivery *d)
{
	const struct virtual *v = self;
	struct slot *slots = calloc(d->nrcpts, sizeof *slots);
	struct ost_user_request *requests = calloc(d->nrcpts, sizeof *requests);
	struct ost_user_done *done = calloc(d->nrcpts, sizeof *done);
	size_t n = 0;
	if (!slots || !requests || !done)
		abort();
	for (uint32_t i = 0; i < d->nrcpts; i++) {
		if (find_mailbox(v, d, i, &slots[n], &requests[n])) {
			done[n].size = sizeof *done;
			n++;
		} else {
			free(slots[n].path);
			slots[n] = (struct slot){ .path = NULL };
		}
	}
	host->mark_connected(d);
	host->as_user(d, requests, done, n);
	for (size_t i = 0; i < n; i++) {
		report(d, slots[i].rcpt, done[i].status, done[i].dsn, done[i].text);
		free(slots[i].path);
		free(slots[i].args);
	}
	free(slots);
	free(requests);
	free(done);
}

/* ---- as the user ----------------------------------------------------------------------------------------------------------- */

static void virtual_write(const void *config, struct ost_user_job *jobs, size_t n)
{
	const struct virtual_config *c = config;
	const struct userfile_options o = { .size_limit = c->limit, .locks = c->locks, .lock_attempts = c->lock_attempts,
					    .lock_delay = c->lock_delay, .stale_lock = c->stale_lock,
					    .strict_owner = c->strict_owner };
	userfile_write(&o, jobs, n);
}

static void virtual_publish(const void *config, struct ost_user_job *jobs, size_t n)
{
	(void)config;
	userfile_publish(jobs, n);
}

static const struct ost_transport_ops virtual_ops = {
	.ops = { .size = sizeof virtual_ops,
		 .params = params,
		 .config_size = sizeof(struct virtual_config),
		 .open = virtual_open,
		 .close = virtual_close },
	.deliver = virtual_deliver,
	.user_write = virtual_write,
	.user_publish = virtual_publish,
};

static const struct ost_provide provides[] = {
	{ OST_KIND_TRANSPORT, "virtual", &virtual_ops.ops },
	{ .kind = OST_KIND_END },
};

OST_MODULE(virtual, .version = "1.0", .summary = "delivers to mailboxes of virtual users", .license = "Apache-2.0",
	   .provides = provides, .load = virtual_load);
