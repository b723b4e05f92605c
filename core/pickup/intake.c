/* SPDX-License-Identifier: Apache-2.0 */
#include "pickup/intake.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "base/sanitize.h"
#include "base/tlv.h"
#include "ipc/protocol.h"
#include "mail/received.h"
#include "table/table.h"

#define INTAKE_MAGIC 0x14a6e001u
enum { RCPTS_MAX = 100000, ADDRESS_MAX = 2000, NAME_MAX_BYTES = 200, ENVELOPE_MAX = 32 << 20 };

struct post {
	struct cleaner *cleaner;
	struct spool *spool;
	struct spool_writer *writer;
	const char *myhostname, *mail_name;
	struct matchlist *users; /* authorized_submit_users; NULL: everybody */
	uint64_t size_limit;
	bool long_queue_ids;
};

struct intake {
	unsigned magic;
	const struct post *post;
	struct arena *arena;
	unsigned uid;
	const char *login;     /* of the submitter: a name, or the number as text */
	const char *full_name, *sender, *envid;
	const char *identity;  /* from the envelope; NULL: none */
	unsigned flags, notify, ret;
	const char **rcpts;
	size_t nrcpts, cap;
	size_t envelope_bytes;
	struct spool_draft *draft;
	char queue_id[QUEUE_ID_SIZE];
	struct cleanup *cleanup; /* from the first content on */
	struct cleanup_info info;
	int64_t arrival;
	const char *wrong;     /* the first thing that was wrong with it */
	int status;            /* with it */
};

/* The view of the cleanup or rewrite line that the process's own view names. */
static const struct cfg_view *view_of(const struct config *config, const struct cfg_view *v, enum param_id name,
				      const char *command)
{
	const struct service *service = config ? config_service(config, cfg_str(v, name), command) : NULL;
	return service ? service->view : v;
}

struct post *post_open(const struct cfg_view *v, const struct config *config, struct ost_why *why)
{
	struct post *p = MEM_NEW(struct post);
	const char *users = cfg_str(v, P_authorized_submit_users);
	const struct cfg_view *cleanup = view_of(config, v, P_cleanup_service_name, "cleanup");
	p->cleaner = cleaner_open(cleanup, view_of(config, v, P_rewrite_service_name, "trivial-rewrite"), why);
	p->myhostname = cfg_str(v, P_myhostname);
	p->mail_name = cfg_str(v, P_mail_name);
	p->size_limit = (uint64_t)cfg_size(v, P_message_size_limit);
	p->long_queue_ids = cfg_bool(v, P_enable_long_queue_ids);
	if (strcmp(users, "static:anyone") != 0)
		p->users = matchlist_names(v, "authorized_submit_users", users, why);
	return p;
}

void post_close(struct post **pp)
{
	struct post *p = *pp;
	if (!p)
		return;
	cleaner_close(&p->cleaner);
	free(p);
	*pp = NULL;
}

void post_set_spool(struct post *p, struct spool *spool, struct spool_writer *writer)
{
	p->spool = spool;
	p->writer = writer;
}

/* Login and full name of the submitter. In a process of many threads: the reentrant call. */
static void look_up_user(struct intake *in)
{
	struct passwd pw, *found = NULL;
	char text[4096];
	in->login = arena_printf(in->arena, "%u", in->uid);
	in->full_name = "";
	if (getpwuid_r(in->uid, &pw, text, sizeof text, &found) != 0 || !found)
		return;
	in->login = arena_strdup(in->arena, pw.pw_name);
	in->full_name = arena_strndup(in->arena, pw.pw_gecos, strcspn(pw.pw_gecos, ","));
}

/* Notes what is wrong; the first thing counts. */
static bool wrong(struct intake *in, int status, const char *text)
{
	if (!in->wrong) {
		in->wrong = text;
		in->status = status;
	}
	return false;
}

/* May this user submit? */
static void check_user(struct intake *in)
{
	struct lookup got = { 0 };
	if (!in->post->users)
		return;
	enum ost_found found = matchlist_name(in->post->users, in->arena, in->login, &got);
	if (found == OST_NOTFOUND)
		wrong(in, EX_NOPERM, "this user may not submit mail");
	else if (found != OST_FOUND)
		wrong(in, EX_TEMPFAIL, "authorized_submit_users: lookup failed");
}

struct intake *intake_new(const struct post *post, unsigned uid)
{
	struct arena *a = arena_new();
	struct intake *in = ARENA_NEW(a, struct intake);
	in->magic = INTAKE_MAGIC;
	in->post = post;
	in->arena = a;
	in->uid = uid;
	in->arrival = clock_utc();
	look_up_user(in);
	check_user(in);
	return in;
}

void intake_free(struct intake **ip)
{
	struct intake *in = *ip;
	if (!in)
		return;
	CHECK_MAGIC(in, INTAKE_MAGIC);
	if (in->cleanup)
		cleanup_abandon(in->cleanup);
	spool_draft_discard(&in->draft);
	struct arena *a = in->arena;
	in->magic = 0;
	arena_destroy(&a);
	*ip = NULL;
}

/* A text field that may hold no control bytes. NULL: it does, or it is too long. */
static const char *clean_text(struct intake *in, const struct tlv *f, size_t max)
{
	for (size_t i = 0; i < f->len; i++)
		if ((unsigned char)f->data[i] < 0x20 || f->data[i] == 0x7f)
			return NULL;
	return f->len <= max ? arena_strndup(in->arena, f->data, f->len) : NULL;
}

static void add_rcpt(struct intake *in, const char *address)
{
	if (in->nrcpts == in->cap) {
		in->cap = in->cap ? in->cap * 2 : 8;
		const char **list = arena_alloc(in->arena, in->cap * sizeof *list);
		if (in->nrcpts)
			memcpy(list, in->rcpts, in->nrcpts * sizeof *list);
		in->rcpts = list;
	}
	in->rcpts[in->nrcpts++] = address;
}

/* One field of the envelope; false: it makes no sense. Unknown ones are skipped. */
static bool take_field(struct intake *in, const struct tlv *f)
{
	uint64_t v;
	const char *text;
	switch (f->type) {
	case F_SENDER:
		in->sender = clean_text(in, f, ADDRESS_MAX);
		return in->sender != NULL;
	case F_NAME:
		text = clean_text(in, f, NAME_MAX_BYTES);
		in->full_name = text ? text : "";
		return text != NULL;
	case F_IDENTITY:
		in->identity = clean_text(in, f, DROP_NAME_LEN);
		return in->identity && drop_name_valid(in->identity);
	case F_DSN_ENVID:
		in->envid = clean_text(in, f, NAME_MAX_BYTES);
		return in->envid != NULL;
	case F_ADDRESS:
		text = clean_text(in, f, ADDRESS_MAX);
		if (!text || !*text || in->nrcpts >= RCPTS_MAX)
			return false;
		add_rcpt(in, text);
		return true;
	case F_FLAGS:
		if (!tlv_u64(f, &v))
			return false;
		in->flags = (unsigned)v & MSG_8BITMIME;
		return true;
	case F_DSN_NOTIFY:
		if (!tlv_u64(f, &v))
			return false;
		in->notify = (unsigned)v & (NOTIFY_NEVER | NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY);
		return true;
	case F_DSN_RET:
		if (!tlv_u64(f, &v) || v > RET_HDRS)
			return false;
		in->ret = (unsigned)v;
		return true;
	default:
		return true;
	}
}

bool intake_envelope(struct intake *in, const char *p, size_t n)
{
	CHECK_MAGIC(in, INTAKE_MAGIC);
	struct tlv_reader r = tlv_read(p, n);
	struct tlv f;
	in->envelope_bytes += n;
	if (in->cleanup || in->envelope_bytes > ENVELOPE_MAX)
		return wrong(in, EX_DATAERR, "malformed submission");
	while (tlv_next(&r, &f))
		if (!take_field(in, &f))
			return wrong(in, EX_DATAERR, "malformed envelope");
	return r.bad ? wrong(in, EX_DATAERR, "malformed submission") : true;
}

/* The first content: the message gets its name and its first header. */
static void open_message(struct intake *in)
{
	const struct post *post = in->post;
	struct buf b = BUF_INIT;
	if (!in->sender)
		in->sender = in->login;
	in->draft = spool_draft_new(post->writer);
	queue_id_text(in->queue_id, spool_draft_serial(in->draft), post->long_queue_ids);
	log_info("%s: uid=%u from=<%s>", in->queue_id, in->uid, in->sender);
	in->sender = cleanup_rewrite_address(post->cleaner, in->arena, in->sender);
	in->info = (struct cleanup_info){ .queue_id = in->queue_id, .sender = in->sender, .full_name = in->full_name,
					  .arrival = in->arrival, .add_missing = true, .size_limit = post->size_limit };
	in->cleanup = cleanup_begin(post->cleaner, in->arena, in->draft, &in->info);
	struct received r = { .by = post->myhostname, .mail_name = post->mail_name, .queue_id = in->queue_id,
			      .when = in->arrival };
	received_local(&b, &r, in->uid);
	cleanup_own_header(in->cleanup, b.data, b.len);
	buf_free(&b);
}

bool intake_data(struct intake *in, const char *p, size_t n)
{
	CHECK_MAGIC(in, INTAKE_MAGIC);
	if (in->wrong)
		return false;
	if (!in->cleanup)
		open_message(in);
	if (n)
		cleanup_write(in->cleanup, p, n);
	return true;
}

/* The recipients into the envelope. */
static enum cleanup_status fill_envelope(struct intake *in, struct spool_envelope *env)
{
	struct rcpt_set *set = rcpt_set_new(in->post->cleaner, in->arena);
	for (size_t i = 0; i < in->nrcpts; i++)
		rcpt_set_add(set, in->rcpts[i], NULL, in->notify);
	env->arrival = in->arrival;
	env->sender = in->sender;
	env->flags = in->flags;
	env->ret = in->ret;
	env->envid = in->envid;
	env->rewrite_context = "local";
	env->submitter = in->login;
	return rcpt_set_finish(set, env, in->queue_id);
}

/* Whoever has left a file in maildrop/ comes again; who waits for the answer to a failure does not. */
static enum spool_outcome commit(struct intake *in, const struct spool_envelope *env, const char *name)
{
	if (name)
		return spool_draft_commit_named(&in->draft, env, name, true);
	if (in->identity)
		return spool_draft_commit_named(&in->draft, env, in->identity, false);
	return spool_draft_commit_wait(&in->draft, env);
}

/* Content and envelope are complete: stores them. */
static void store(struct intake *in, const char *name, struct intake_result *out)
{
	struct spool_envelope env = { 0 };
	enum cleanup_status status = cleanup_finish(in->cleanup, &env.message_id);
	in->cleanup = NULL;
	log_info("%s: message-id=%s", in->queue_id, env.message_id ? env.message_id : "<>");
	if (status == CLEANUP_OK)
		status = fill_envelope(in, &env);
	if (status != CLEANUP_OK) {
		const struct cleanup_reply *r = cleanup_reply(status);
		snprintf(out->reason, sizeof out->reason, "%s %s", r->dsn, r->text);
		out->status = r->code < 500 ? EX_TEMPFAIL : EX_DATAERR;
		return;
	}
	enum spool_outcome stored = spool_has_room(in->post->spool, 0);
	if (stored == SPOOL_STORED)
		stored = commit(in, &env, name);
	out->status = stored == SPOOL_STORED ? EX_OK : EX_TEMPFAIL;
	if (stored != SPOOL_STORED)
		snprintf(out->reason, sizeof out->reason, "%s",
			 stored == SPOOL_NO_SPACE ? "insufficient system storage" : "queue file write error");
}

void intake_finish(struct intake *in, const char *name, struct intake_result *out)
{
	CHECK_MAGIC(in, INTAKE_MAGIC);
	*out = (struct intake_result){ 0 };
	if (!in->wrong && in->nrcpts == 0)
		wrong(in, EX_USAGE, "no recipients specified");
	if (in->wrong) {
		snprintf(out->reason, sizeof out->reason, "%s", in->wrong);
		out->status = in->status;
		return;
	}
	(void)intake_data(in, NULL, 0); /* an empty message has headers, too */
	store(in, name, out);
	memcpy(out->queue_id, in->queue_id, sizeof out->queue_id);
	if (!name && in->identity)
		snprintf(out->identity, sizeof out->identity, "%s", in->identity);
}
