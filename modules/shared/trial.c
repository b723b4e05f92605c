/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shared/trial_why.h"

static struct trial *of(struct ost_delivery *d)
{
	return (struct trial *)(void *)d;
}

static void host_log(struct ost_instance *i, enum ost_level level, const char *fmt, ...)
{
	(void)i, (void)level, (void)fmt;
}

/* The instance is the trial itself. */
static const char *host_instance_name(const struct ost_instance *i)
{
	return ((const struct trial *)(const void *)i)->service;
}

static void host_report(struct ost_delivery *d, uint32_t rcpt, const struct ost_report *r)
{
	if (rcpt >= d->nrcpts)
		abort();
	struct trial_told *t = &of(d)->told[rcpt];
	t->times++;
	t->status = r->status;
	snprintf(t->dsn, sizeof t->dsn, "%s", r->dsn);
	snprintf(t->text, sizeof t->text, "%s", r->text);
	snprintf(t->relay, sizeof t->relay, "%s", r->relay ? r->relay : "");
}

static const char *host_content(struct ost_delivery *d, uint64_t *size)
{
	*size = d->content_size;
	return of(d)->in_memory ? of(d)->content : NULL;
}

static int64_t host_content_read(struct ost_delivery *d, uint64_t at, void *p, size_t n)
{
	uint64_t left = at < d->content_size ? d->content_size - at : 0, part = n < left ? n : left;
	memcpy(p, of(d)->content + (left ? at : 0), part);
	return (int64_t)part;
}

static void host_mark(struct ost_delivery *d)
{
	(void)d;
}

static enum ost_found host_lookup(const struct ost_tables *t, const char *key, const char **value, struct ost_why *why)
{
	for (const struct trial_entry *e = t ? t->entries : NULL; e && e->key; e++) {
		if (strcasecmp(e->key, key) != 0 && strcmp(e->key, "*") != 0)
			continue;
		*value = e->value;
		if (!e->value)
			host_why(why, "the table is broken");
		return e->value ? OST_FOUND : OST_TEMPFAIL;
	}
	return OST_NOTFOUND;
}

static enum ost_found host_lookup_address(const struct ost_tables *t, const char *address, const char **value,
					  const char **extension, struct ost_why *why)
{
	*extension = NULL;
	return host_lookup(t, address, value, why);
}

/* The content as a job has it in its descriptor: behind two other bytes, and in front of some more. */
static void fill(int fd, const struct trial *t)
{
	uint64_t n = t->d.content_size, len = 2;
	char *bytes = malloc(2 * n + 6);
	if (!bytes)
		abort();
	memcpy(bytes, "..", 2);
	for (const char *p = t->content, *end = p + n; p < end; p++) {
		if (t->in_wire_form && *p == '.' && (p == t->content || p[-1] == '\n'))
			bytes[len++] = '.';
		if (t->in_wire_form && *p == '\n')
			bytes[len++] = '\r';
		bytes[len++] = *p;
	}
	memcpy(bytes + len, "rest", 4);
	if (write(fd, bytes, len + 4) != (ssize_t)len + 4)
		abort();
	free(bytes);
}

/* One job, in this process, as core/deliver does it. */
static void do_job(struct trial *t, const struct ost_user_request *q, struct ost_user_done *done)
{
	int home = t->home ? open(t->home, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	int fd = memfd_create("trial", MFD_CLOEXEC);
	fill(fd, t);
	struct ost_user_job j = {
		.size = sizeof j, .message = t->in_memory ? t->content : NULL, .message_fd = t->in_memory ? -1 : fd,
		.message_offset = 2, .message_size = t->d.content_size,
		.message_form = t->in_wire_form ? OST_FORM_WIRE : OST_FORM_LF, .queue_id = "QID", .args = q->args,
		.args_len = q->args_len, .home = t->home, .home_fd = home, .home_error = home < 0 ? ENOENT : 0, .path = q->path,
		.uid = geteuid(), .gid = getegid(), .spool_fd = -1, .file_fd = -1, .dir_fd = -1,
		.done = { .size = sizeof j.done, .status = OST_SENT, .dsn = "2.0.0" },
	};
	t->ops->user_write(t->config, &j, 1);
	if (j.done.status == OST_SENT && j.file_fd >= 0 && (t->sync_fails || fsync(j.file_fd) < 0)) {
		j.done.status = OST_DEFERRED;
		snprintf(j.done.text, sizeof j.done.text, "sync failed");
	}
	if (j.file_fd >= 0)
		close(j.file_fd);
	t->ops->user_publish(t->config, &j, 1);
	if (j.done.status == OST_SENT && j.dir_fd >= 0 && t->folder_sync_fails)
		j.done.status = OST_DEFERRED;
	t->ops->user_settle(t->config, &j, 1);
	if (j.dir_fd >= 0)
		close(j.dir_fd);
	*done = j.done;
	close(fd);
	if (home >= 0)
		close(home);
}

static void host_as_user(struct ost_delivery *d, const struct ost_user_request *q, struct ost_user_done *done, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct trial *t = of(q[i].delivery ? q[i].delivery : d);
		size_t used = strlen(t->users);
		if (q[i].kind == OST_USER_NAMED)
			snprintf(t->users + used, sizeof t->users - used, "%s ", q[i].name);
		do_job(t, &q[i], &done[i]);
	}
}

/* The first that waits behind the one that the call began with. */
static struct ost_delivery *host_next(struct ost_delivery *d)
{
	struct trial *began = of(d)->began ? of(d)->began : of(d), *next = began->waiting;
	if (!next)
		return NULL;
	began->waiting = next->waiting;
	next->waiting = NULL;
	next->began = began;
	return &next->d;
}

static void host_finish(struct ost_delivery *d)
{
	if (of(d)->finished)
		abort();
	of(d)->finished = true;
}

static bool host_forward(struct ost_delivery *d, const struct ost_forward *f, char queue_id[24], struct ost_why *why)
{
	struct trial *t = of(d);
	size_t used = (size_t)snprintf(t->forwarded, sizeof t->forwarded, "%s:", f->sender);
	for (size_t i = 0; i < f->nrcpts; i++)
		used += (size_t)snprintf(t->forwarded + used, sizeof t->forwarded - used, " %s", f->rcpts[i]);
	snprintf(t->forwarded + used, sizeof t->forwarded - used, " | %s", f->prepend);
	snprintf(queue_id, 24, "NEWID");
	return !t->forward_fails || host_why(why, "no space");
}

const struct ost_host trial_host = {
	.size = sizeof trial_host,
	.log = host_log,
	.why = host_why,
	.instance_name = host_instance_name,
	.report = host_report,
	.content = host_content,
	.content_read = host_content_read,
	.mark_connected = host_mark,
	.tables_lookup = host_lookup,
	.tables_lookup_address = host_lookup_address,
	.as_user = host_as_user,
	.forward = host_forward,
	.next = host_next,
	.finish = host_finish,
};

void trial_start(struct trial *t, const char *content, const char *const *rcpts)
{
	t->content = content;
	t->in_memory = true;
	if (!t->service)
		t->service = "test";
	t->d = (struct ost_delivery){ .size = sizeof t->d, .queue_id = "QID", .sender = "sender@example.com", .nexthop = "",
				      .rcpts = t->rcpts, .content_size = strlen(content),
				      .instance = (struct ost_instance *)(void *)t };
	for (; rcpts[t->d.nrcpts]; t->d.nrcpts++)
		t->rcpts[t->d.nrcpts] = (struct ost_delivery_rcpt){ .address = rcpts[t->d.nrcpts],
								    .original = "orig@example.org" };
}

void trial_deliver(struct trial *t, void *self)
{
	memset(t->told, 0, sizeof t->told);
	t->users[0] = t->forwarded[0] = '\0';
	t->ops->deliver(self, &t->d);
	for (uint32_t i = 0; i < t->d.nrcpts; i++)
		if (t->told[i].times != 1) {
			fprintf(stderr, "recipient %u was reported %d times\n", i, t->told[i].times);
			abort();
		}
}
