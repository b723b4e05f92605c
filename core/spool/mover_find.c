/* SPDX-License-Identifier: Apache-2.0
 * Finding messages: in the journal and in files, at the start and later on. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "spool/folder.h"
#include "spool/mover.h"

enum { CHUNK = 256, NAMES_CHUNK = 4096 };

struct found *finds_add(struct finds *f)
{
	if (f->n == f->cap) {
		f->cap = f->cap * 2 + 16;
		f->items = mem_realloc_array(f->items, f->cap, sizeof *f->items);
	}
	struct found *item = &f->items[f->n++];
	*item = (struct found){ 0 };
	return item;
}

struct keeper_summary mover_summary(const struct spool_envelope *e)
{
	struct keeper_summary s = {
		.serial = e->serial, .size = e->size, .arrival = e->arrival, .flags = e->flags
	};
	bool untried = false;
	int64_t earliest = 0;
	for (size_t i = 0; i < e->nrcpts; i++) {
		const struct spool_rcpt *r = &e->rcpts[i];
		s.open_rcpts += r->status == RCPT_PENDING || r->status == RCPT_DEFERRED;
		s.owed += r->status == RCPT_FAILED || r->status == RCPT_SENT_OWED;
		untried |= r->status == RCPT_PENDING;
		if (r->status == RCPT_DEFERRED && (earliest == 0 || r->next_try < earliest))
			earliest = r->next_try;
	}
	s.next_try = untried || s.owed > 0 ? 0 : earliest;
	if (s.next_try < e->delay_until)
		s.next_try = e->delay_until;
	return s;
}

/* A message as the keeper wants to know of it. */
static struct found *add_message(struct mover *m, struct finds *finds, struct spool_envelope *env)
{
	struct found *f = finds_add(finds);
	f->pending = mover_take_results(m, env->serial, env);
	f->summary = mover_summary(env);
	if (env->serial > m->highest)
		m->highest = env->serial;
	f->notice_of = env->notice_of;
	f->notice_round = env->notice_round;
	f->rounds = env->rounds;
	f->named = env->named != NULL;
	return f;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* A file that is no message: left by a writer that died, unless one is writing it. */
static void remove_unfinished(struct mover *m, uint64_t serial)
{
	char name[FILE_NAME];
	int fd = openat(m->spool->message, file_name(name, serial), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct arena *a = arena_new();
	struct file_view v;
	struct ost_why why;
	/* Under the lock, and looked at again: it may have been finished since. */
	if (fd >= 0 && sys_lock(fd) && file_read_fd(fd, a, &v, &why) == FILE_UNFINISHED &&
	    sys_unlink(&m->spool->sys, m->spool->message, name))
		log_info("spool: removed message/%s, which was never finished", name);
	arena_destroy(&a);
	io_close(&fd);
}

/* Does somebody hold its lock? Then what was read may be half of what comes. */
static bool being_written(struct mover *m, uint64_t serial)
{
	char name[FILE_NAME];
	int fd = openat(m->spool->message, file_name(name, serial), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool locked = fd >= 0 && sys_locked_by_other(fd);
	io_close(&fd);
	return locked;
}

enum file_found { FILE_IS_NOT, FILE_IS, FILE_UNKNOWN };

/* Reads one file; adds it when it is a message. Its content as well, when there is another copy to fall back
 * on: a power cut may have kept the head of a file that was never synced, and not the rest. */
static enum file_found find_file(struct mover *m, uint64_t serial, bool content_too, struct finds *finds)
{
	char name[FILE_NAME];
	struct ost_why why = { "" };
	struct file_view v;
	struct arena *a = arena_new();
	enum file_found found = FILE_IS_NOT;
	enum file_verdict verdict = file_read(m->spool, serial, false, a, &v, &why);
	if (verdict == FILE_GOOD && content_too)
		verdict = file_check_content(&v, &why);
	switch (verdict) {
	case FILE_GOOD:
		if (v.gone &&
		    sys_datasync(&m->spool->sys, v.fd)) /* whoever marked it may have died before that */
			(void)sys_unlink(&m->spool->sys, m->spool->message, file_name(name, serial));
		else if (!v.gone)
			add_message(m, finds, v.env);
		found = FILE_IS;
		break;
	case FILE_UNFINISHED:
		remove_unfinished(m, serial);
		break;
	case FILE_DAMAGED:
		if (being_written(m, serial))
			break;
		aside_file(m->spool, m->spool->message, file_name(name, serial), why.text);
		break;
	case FILE_FOREIGN:
		log_warning("spool: message/%s is left in place: %s", file_name(name, serial), why.text);
		finds_add(finds)->foreign = true;
		finds->items[finds->n - 1].summary.serial = serial;
		found = FILE_IS;
		break;
	case FILE_ERROR:
		log_error("spool: %s: left in place", why.text);
		found = FILE_UNKNOWN;
		break;
	case FILE_MISSING:
		break;
	}
	io_close(&v.fd);
	arena_destroy(&a);
	return found;
}

/* Sends what was found in files, when it is enough. */
static void send_files(struct mover *m, struct finds *finds, size_t least)
{
	if (finds->n < least || finds->n == 0)
		return;
	struct news *news = news_new(NEWS_FILES);
	news->found = finds->items;
	news->nfound = finds->n;
	*finds = (struct finds){ 0 };
	post_news(m->post, news);
}

struct file_walk {
	struct mover *mover;
	struct finds finds;
	uint64_t *serials;
	size_t nserials;
};

static bool scan_file(void *ctx, uint64_t serial)
{
	struct file_walk *w = ctx;
	w->mover->partial |= find_file(w->mover, serial, false, &w->finds) == FILE_UNKNOWN;
	if (w->finds.n >= CHUNK) {
		send_files(w->mover, &w->finds, CHUNK);
		mover_meanwhile(w->mover);
	}
	return !w->mover->stopping(w->mover->ctx);
}

/* Sends names of files. */
static void send_names(struct file_walk *w)
{
	if (w->nserials == 0)
		return;
	struct news *news = news_new(NEWS_NAMES);
	news->serials = w->serials;
	news->nserials = w->nserials;
	w->serials = NULL;
	w->nserials = 0;
	post_news(w->mover->post, news);
}

static bool name_file(void *ctx, uint64_t serial)
{
	struct file_walk *w = ctx;
	if (!w->serials)
		w->serials = mem_alloc(NAMES_CHUNK * sizeof *w->serials);
	w->serials[w->nserials++] = serial;
	if (w->nserials == NAMES_CHUNK) {
		send_names(w);
		mover_meanwhile(w->mover);
	}
	return !w->mover->stopping(w->mover->ctx);
}

void mover_read_files(struct mover *m, const struct job *j)
{
	struct finds finds = { 0 };
	for (size_t i = 0; i < j->nserials; i++)
		find_file(m, j->serials[i], false, &finds);
	send_files(m, &finds, 1);
	free(finds.items);
}

/* ---- the journal ----------------------------------------------------------------------------- */

struct journal_walk {
	struct mover *mover;
	const struct segment_header *header;
	uint32_t id;
	bool unkept; /* damaged bytes could not be set aside */
	struct finds finds;
};

/* First scan, or after a partial one: is this copy void? Answers the log that says so, or 0. */
static uint32_t void_log(struct mover *m, const struct spool_void *what)
{
	struct void_copy *v;
	HASH_FIND(hh, m->voids, what, sizeof *what, v);
	return v ? v->log : 0;
}

/* The record's place, for an item. */
static void set_place(struct found *f, const struct journal_walk *w, const struct record_head *h)
{
	f->summary.serial = h->serial;
	f->number = w->header->number;
	f->at = (uint32_t)h->at;
	f->length = (uint32_t)record_length(h);
}

/* A record that must stay where it is. */
static void add_foreign(struct journal_walk *w, const struct record_head *h)
{
	struct found *f = finds_add(&w->finds);
	set_place(f, w, h);
	f->foreign = true;
}

/* First scan: a message with a file as well. The complete file wins; that the copy is void is noted with the
 * next ones. */
static bool has_file(struct journal_walk *w, const struct record_head *h)
{
	struct mover *m = w->mover;
	char name[FILE_NAME];
	if (faccessat(m->spool->message, file_name(name, h->serial), F_OK, 0) != 0)
		return false;
	enum file_found found = find_file(m, h->serial, true, &w->finds);
	if (found == FILE_IS) {
		m->owed_voids = mem_realloc_array(m->owed_voids, m->nowed + 1, sizeof *m->owed_voids);
		m->owed_voids[m->nowed++] = (struct spool_void){ w->header->number, w->id, h->serial };
	} else if (found == FILE_UNKNOWN) {
		add_foreign(w, h); /* which of the two counts is not known */
	}
	return found != FILE_IS_NOT;
}

static void on_message(void *ctx, const struct record_head *h, const char *bytes, bool foreign)
{
	struct journal_walk *w = ctx;
	struct mover *m = w->mover;
	struct spool_void what = { w->header->number, w->id, h->serial };
	uint32_t log = void_log(m, &what);
	if (log) {
		struct found *f = finds_add(&w->finds);
		set_place(f, w, h);
		f->void_log = log;
		return;
	}
	if ((m->scanning || m->partial) && has_file(w, h))
		return;
	struct arena *a = arena_new();
	struct spool_envelope *env;
	enum body_verdict v = BODY_CRITICAL;
	if (!foreign && h->kind == RECORD_MESSAGE)
		v = envelope_get(a, bytes + record_body_off(h), h->body_len, &env);
	if (v == BODY_GOOD && env->serial != h->serial)
		v = BODY_BAD;
	if (v == BODY_GOOD) {
		set_place(add_message(m, &w->finds, env), w, h);
	} else {
		log_warning("spool: journal/%08u holds a record at %llu that this version does not "
			    "understand: left in "
			    "place",
			    w->header->number, (unsigned long long)h->at);
		add_foreign(w, h);
	}
	arena_destroy(&a);
}

static void on_hole(void *ctx, uint64_t from, const char *bytes, uint64_t len)
{
	struct journal_walk *w = ctx;
	w->unkept |= !aside_bytes(w->mover->spool, "journal", w->header, from, bytes, len);
}

void mover_settle(struct mover *m, int fd, const struct segment_header *h, bool locked)
{
	if (!locked && h->end == 0 && !sys_datasync(&m->spool->sys, fd))
		log_error("spool: segment %08u: what its writer left cannot be made durable: errno %d",
			  h->number, errno);
}

/* Reads a segment from where it was left, and tells the keeper. */
static void read_segment(struct mover *m, int fd, const struct segment_header *h, const struct stretch *from,
			 bool locked, uint64_t to)
{
	struct journal_walk w = { .mover = m, .header = h, .id = salt_id(&h->salt) };
	struct ost_why why;
	bool same = from && from->known && from->id == w.id;
	if (same && locked && to == 0 && !scan_more(fd, h, from->read_to))
		return;
	struct scan s = { .header = h,
			  .live = locked || to > 0,
			  .from = same ? from->read_to : SEGMENT_HEADER,
			  .sequence = same ? from->sequence : 0,
			  .to = to,
			  .record = on_message,
			  .hole = on_hole,
			  .ctx = &w };
	struct news *news = news_new(NEWS_SEGMENT);
	news->header = *h;
	news->locked = locked;
	mover_settle(m, fd, h, locked);
	if (!scan_segment(fd, &s, &why)) {
		log_error("spool: journal/%08u: %s", h->number, why.text);
		news->unreadable = true;
	}
	news->unreadable |= w.unkept;
	news->read = (struct stretch){ .known = true,
				       .number = h->number,
				       .id = w.id,
				       .read_to = s.read_to,
				       .sequence = s.last_sequence };
	news->found = w.finds.items;
	news->nfound = w.finds.n;
	post_news(m->post, news);
}

/* A segment that is free, for the keeper's counts. */
static void tell_free(struct mover *m, const struct segment_header *h)
{
	struct news *news = news_new(NEWS_SEGMENT);
	news->header = *h;
	post_news(m->post, news);
}

/* One segment of the folder. `from`: as far as the keeper knows it, or NULL. */
static void look_at_segment(struct mover *m, uint32_t number, const struct stretch *from)
{
	char name[SEGMENT_NAME];
	struct segment_header h;
	struct ost_why why;
	int fd = mover_open(m, m->spool->journal, segment_name(name, number));
	if (fd < 0)
		return;
	bool locked;
	if (!segment_read_settled(fd, &h, &locked, &why) || h.number != number || h.kind != SEGMENT_JOURNAL) {
		mover_no_header(m, fd, m->spool->journal, name, locked);
	} else if (h.state == SEGMENT_FREE) {
		tell_free(m, &h);
	} else if (!(from && from->closed && from->id == salt_id(&h.salt))) {
		read_segment(m, fd, &h, from, locked, 0);
	}
	io_close(&fd);
}

void mover_no_header(struct mover *m, int fd, int dir, const char *name, bool locked)
{
	if (!segment_header_lost(fd)) {
		log_error("spool: segment %s: its header cannot be read: left in place", name);
		m->partial |= m->scanning;
	} else if (!locked) {
		aside_file(m->spool, dir, name, "no good header");
	}
}

/* The keeper's knowledge of a segment. */
static const struct stretch *stretch_of(const struct job *j, uint32_t number)
{
	for (size_t i = 0; j && i < j->nstretches; i++)
		if (j->stretches[i].number == number)
			return &j->stretches[i];
	return NULL;
}

static void look_at_journal(struct mover *m, const struct job *j)
{
	struct folder_list list = mover_segments(m, m->spool->journal);
	for (size_t i = 0; i < list.n && !m->stopping(m->ctx); i++)
		look_at_segment(m, list.numbers[i], stretch_of(j, list.numbers[i]));
	free(list.numbers);
}

void mover_gap(struct mover *m, const struct job *j)
{
	char name[SEGMENT_NAME];
	struct segment_header h;
	struct ost_why why;
	const struct stretch *from = &j->stretches[0];
	int fd = openat(m->spool->journal, segment_name(name, from->number),
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && segment_read_header(fd, &h, &why) && salt_id(&h.salt) == from->id &&
	    h.number == from->number && h.kind == SEGMENT_JOURNAL && h.state == SEGMENT_USED)
		read_segment(m, fd, &h, from, true, j->stretches[1].read_to);
	else if (j->all) /* an old hint; or a segment that nobody will find, which must not happen */
		log_warning("spool: journal/%s is not in the life that a writer told of", name);
	io_close(&fd);
}

void mover_look(struct mover *m, const struct job *j)
{
	struct file_walk w = { .mover = m };
	look_at_journal(m, j);
	mover_read_logs(m, false);
	if (j->all) {
		m->in_files = true;
		folder_messages(m->spool, name_file, &w);
		m->in_files = false;
		send_names(&w);
	}
	free(w.serials);
}

void mover_scan(struct mover *m)
{
	struct file_walk w = { .mover = m };
	struct ost_why why;
	m->scanning = true;
	mover_read_logs(m, true);
	look_at_journal(m, NULL);
	m->scanning = false;
	if (!mover_note_voids(m, NULL, 0, &why))
		log_error("spool: %s", why.text);
	post_news(m->post, news_new(NEWS_JOURNAL));
	m->in_files = true;
	m->partial |= !folder_messages_ahead(m->spool, scan_file, &w);
	m->in_files = false;
	send_files(m, &w.finds, 1);
	free(w.finds.items);
	if (!m->partial)
		mover_forget_results(m);
	else if (!m->stopping(m->ctx))
		log_warning("spool: some of it could not be read: no result log is recycled until the next "
			    "start");
	if (m->highest > 0 && !serial_skip(m->spool, m->highest, &why))
		log_error("spool: %s", why.text);
	if (!m->stopping(m->ctx)) {
		struct news *news = news_new(NEWS_SCANNED);
		news->partial = m->partial;
		post_news(m->post, news);
	}
}
