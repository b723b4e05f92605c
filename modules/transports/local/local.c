/* SPDX-License-Identifier: Apache-2.0
 * local: mailboxes of system users, and aliases. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/mailhead.h"
#include "shared/userfile.h"
#include "transports/local/alias.h"

static const struct ost_host *host;

struct local_config {
	struct ost_tables *aliases;
	const char *domains, *origin, *delimiters, *home_mailbox, *spool, *command;
	struct userfile_options mailbox;
};

struct local { /* an instance; constant after open() */
	const struct local_config *config;
	struct ost_instance *instance;
};

#define AT(member, kind) OST_PARAM_AT(struct local_config, member, OST_PARAM_##kind)
static const struct ost_param params[] = {
	{ .name = "alias_maps", AT(aliases, TABLES), .flags = OST_PARAM_SAFE, .defval = "hash:/etc/aliases",
	  .help = "Alias tables that recipients are looked up in." },
	{ .name = "mydestination", AT(domains, STRING), .help = "Domains delivered here." },
	{ .name = "myorigin", AT(origin, STRING), .help = "The domain of addresses without one." },
	{ .name = "recipient_delimiter", AT(delimiters, STRING), .defval = "",
	  .help = "Characters that separate a user's name from an extension." },
	{ .name = "home_mailbox", AT(home_mailbox, STRING), .defval = "",
	  .help = "Mailbox below the user's home; with a slash at the end a Maildir." },
	{ .name = "mail_spool_directory", AT(spool, STRING), .defval = "/var/mail",
	  .help = "Where mailboxes are, without home_mailbox; with a slash at the end they are Maildirs." },
	{ .name = "mailbox_command", AT(command, STRING), .defval = "",
	  .help = "Not supported yet: while it is set, mail for mailboxes waits in the queue." },
	USERFILE_PARAMS(struct local_config, mailbox, "mailbox_size_limit", "mailbox_delivery_lock"),
	{ .name = NULL },
};

static bool local_load(const struct ost_host *h, struct ost_why *why)
{
	(void)why;
	host = h;
	return true;
}

static bool local_open(struct ost_instance *instance, const void *config, void **self, struct ost_why *why)
{
	struct local *l = calloc(1, sizeof *l);
	if (!l)
		return host->why(why, "out of memory");
	l->config = config;
	l->instance = instance;
	*self = l;
	return true;
}

static void local_close(void *self)
{
	free(self);
}

/* ---- one recipient ----------------------------------------------------------------------------------------------------- */

struct result { /* the worst of a recipient's parts is what is reported */
	enum ost_delivered status;
	char dsn[12], text[600];
};

static void set(struct result *r, enum ost_delivered status, const char *dsn, const char *text)
{
	static const int weight[] = { [OST_SENT] = 0, [OST_BOUNCED] = 1, [OST_DEFERRED] = 2 };
	if (r->status && weight[status] < weight[r->status])
		return;
	r->status = status;
	snprintf(r->dsn, sizeof r->dsn, "%s", dsn);
	snprintf(r->text, sizeof r->text, "%s", text);
}

struct mail { /* what all parts of a recipient's delivery need */
	const struct local *local;
	struct ost_delivery *d;
	uint32_t rcpt;
	const char *sender; /* the message's, or the alias owner's */
	char owner[600];
};

/* May stand in a path. */
static bool sane_user(const char *user)
{
	return *user && *user != '.' && *user != '-' && !strchr(user, '/') && strlen(user) < 128;
}

/* Where a user's mail goes: beneath the home folder, or in the spool folder. To be freed. */
static char *mailbox_path(const struct local_config *c, const char *user)
{
	char *path = NULL;
	size_t len = strlen(c->spool);
	bool folder = len > 0 && c->spool[len - 1] == '/';
	int n = *c->home_mailbox ? asprintf(&path, "%s", c->home_mailbox + strspn(c->home_mailbox, "/")) :
				   asprintf(&path, "%s%s%s", c->spool, folder ? "" : "/", user);
	if (n < 0 || (folder && !*c->home_mailbox && !(path = realloc(path, (size_t)n + 2))))
		abort();
	if (folder && !*c->home_mailbox)
		memcpy(path + n, "/", 2);
	return path;
}

/* Into the mailboxes of these users, all together. */
static void to_mailboxes(const struct mail *m, const struct names *users, struct result *result)
{
	const struct local_config *c = m->local->config;
	const struct ost_delivery_rcpt *r = &m->d->rcpts[m->rcpt];
	struct ost_user_request *q = calloc(users->count + 1, sizeof *q);
	struct ost_user_done *done = calloc(users->count + 1, sizeof *done);
	size_t n = 0, args_len;
	if (!q || !done)
		abort();
	char *args = mail_args(m->d, m->sender, c->mailbox.original ? r->original : NULL, r->address, &args_len);
	for (size_t i = 0; i < users->count; i++) {
		const char *user = users->list[i];
		char text[300];
		snprintf(text, sizeof text, "unknown user: \"%.250s\"", user);
		if (!sane_user(user)) {
			set(result, OST_BOUNCED, "5.1.1", text);
			continue;
		}
		q[n] = (struct ost_user_request){ .size = sizeof *q, .kind = OST_USER_NAMED, .name = user,
						  .path = mailbox_path(c, user), .args = args, .args_len = args_len };
		done[n++].size = sizeof *done;
	}
	host->as_user(m->d, q, done, n);
	for (size_t i = 0; i < n; i++) {
		set(result, done[i].status, done[i].dsn, done[i].text);
		free((void *)(uintptr_t)q[i].path);
	}
	free(args);
	free(q);
	free(done);
}

/* As a new message to these addresses. */
static void to_addresses(const struct mail *m, const struct names *addresses, struct result *result)
{
	char queue_id[24], *header = NULL, text[400];
	struct ost_why why = { .text = "" };
	if (asprintf(&header, "Delivered-To: %s\n", m->d->rcpts[m->rcpt].address) < 0)
		abort();
	for (char *p = header; *p && p[1]; p++)
		if ((unsigned char)*p < ' ')
			*p = '?';
	const struct ost_forward f = { .size = sizeof f, .rcpt = m->rcpt, .sender = m->sender,
				       .rcpts = (const char *const *)addresses->list, .nrcpts = addresses->count,
				       .prepend = header };
	bool stored = host->forward(m->d, &f, queue_id, &why);
	if (stored)
		snprintf(text, sizeof text, "forwarded as %s", queue_id);
	else
		snprintf(text, sizeof text, "unable to forward message: %.300s", why.text);
	set(result, stored ? OST_SENT : OST_DEFERRED, stored ? "2.0.0" : "4.3.0", text);
	free(header);
}

/* The outcome of an expansion that did not work out. */
static void not_expanded(struct result *result, enum alias_outcome outcome, const struct alias_expansion *e, const struct mail *m)
{
	if (outcome == ALIAS_LOOP || outcome == ALIAS_TOO_MUCH) {
		set(result, OST_BOUNCED, "5.4.6", e->why);
		return;
	}
	host->log(m->local->instance, OST_LOG_WARNING, "recipient %s: %s", m->d->rcpts[m->rcpt].address, e->why);
	set(result, OST_DEFERRED, outcome == ALIAS_UNSUPPORTED ? "4.3.5" : "4.3.0",
	    outcome == ALIAS_UNSUPPORTED ? e->why : "alias database unavailable");
}

/* Mailboxes first: they may fail where a stored message cannot. */
static void deliver_expanded(struct mail *m, const struct alias_expansion *e, struct result *result)
{
	if (*e->owner) {
		snprintf(m->owner, sizeof m->owner, "%s@%s", e->owner, m->local->config->origin);
		m->sender = m->owner;
	}
	if (e->users.count > 0 && *m->local->config->command)
		set(result, OST_DEFERRED, "4.3.5", "mailbox_command is set, and not supported yet");
	else if (e->users.count > 0)
		to_mailboxes(m, &e->users, result);
	if (e->addresses.count > 0 && result->status != OST_DEFERRED)
		to_addresses(m, &e->addresses, result);
}

static void deliver_one(const struct local *l, struct ost_delivery *d, uint32_t rcpt, struct result *result)
{
	const struct local_config *c = l->config;
	const char *address = d->rcpts[rcpt].address, *at = strrchr(address, '@');
	char name[512];
	struct mail m = { .local = l, .d = d, .rcpt = rcpt, .sender = d->sender };
	struct alias_expansion e = { .host = host, .maps = c->aliases, .delimiters = c->delimiters, .domains = c->domains };
	snprintf(name, sizeof name, "%.*s", at ? (int)(at - address) : (int)strlen(address), address);
	if (mail_was_here(host, d, address)) {
		snprintf(e.why, sizeof e.why, "mail forwarding loop for %.200s", address);
		set(result, OST_BOUNCED, "5.4.6", e.why);
		return;
	}
	enum alias_outcome outcome = local_alias_expand(&e, name);
	if (outcome == ALIAS_OK)
		deliver_expanded(&m, &e, result);
	else
		not_expanded(result, outcome, &e, &m);
	local_alias_free(&e);
}

static void local_deliver(void *self, struct ost_delivery *d)
{
	host->mark_connected(d);
	for (uint32_t i = 0; i < d->nrcpts; i++) {
		struct result result = { .text = "" };
		deliver_one(self, d, i, &result);
		const struct ost_report r = { .size = sizeof r, .status = result.status, .dsn = result.dsn,
					      .text = result.text, .relay = "local" };
		host->report(d, i, &r);
	}
}

/* ---- as the user ----------------------------------------------------------------------------------------------------------- */

static void local_write(const void *config, struct ost_user_job *jobs, size_t n)
{
	const struct local_config *c = config;
	userfile_write(&c->mailbox, jobs, n);
}

static void local_publish(const void *config, struct ost_user_job *jobs, size_t n)
{
	(void)config;
	userfile_publish(jobs, n);
}

static void local_settle(const void *config, struct ost_user_job *jobs, size_t n)
{
	(void)config;
	userfile_settle(jobs, n);
}

static const struct ost_transport_ops local_ops = {
	.ops = { .size = sizeof local_ops,
		 .params = params,
		 .config_size = sizeof(struct local_config),
		 .flags = OST_TRANSPORT_WIRE | OST_TRANSPORT_PROBES,
		 .open = local_open,
		 .close = local_close },
	.deliver = local_deliver,
	.user_write = local_write,
	.user_publish = local_publish,
	.user_settle = local_settle,
};

static const struct ost_provide provides[] = {
	{ OST_KIND_TRANSPORT, "local", &local_ops.ops },
	{ .kind = OST_KIND_END },
};

OST_MODULE(local, .version = "1.0", .summary = "delivers to mailboxes of system users, and expands aliases",
	   .license = "Apache-2.0", .provides = provides, .load = local_load);
