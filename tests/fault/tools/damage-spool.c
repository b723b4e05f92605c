/* SPDX-License-Identifier: Apache-2.0
 * What recovery makes of a damaged spool: damage-spool FOLDER SEED SAMPLES. Makes a spool with messages in
 * segments and in files, result logs, and mail that imitates records; then copies it again and again, damages
 * one place of the copy, and opens it as the queue manager does, in a process of its own. What is missing
 * must be where the damage was, and kept in corrupt/; what is found must be what was stored. Prints a line
 * for each sample that went wrong, and figures at the end. */
#include "stage.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"

enum {
	SEGMENT = 128 * 1024,
	SEGMENTS = 8,
	MESSAGES = 40,
	LARGE = 270 * 1000, /* goes to a file at once, in wire form */
	COST = 10, /* a child's exit status: as it must be, and a message is gone */
	HANG = 30, /* seconds until a recovery is called hung */
};

struct stored { /* a message, and where its bytes are */
	uint64_t serial, size;
	struct ticket place;
	bool tail; /* its file has appended records */
};

struct reference {
	char *path;
	struct stored messages[MESSAGES];
	size_t n;
};

struct target {        /* a file that is damaged */
	char name[64]; /* below the spool */
	uint64_t size;
	enum { TARGET_SEGMENT, TARGET_FILE, TARGET_LOG } kind;
	uint32_t number; /* TARGET_SEGMENT */
	uint64_t serial; /* TARGET_FILE */
};

struct damage {
	const struct target *target;
	uint64_t at;
	bool cut; /* the file ends here; otherwise a bit of this byte is flipped */
	unsigned bit;
};

/* ---- the reference --------------------------------------------------------------------------- */

/* A message whose content is made of true records of the segment that holds `from`, at every place where one
 * may start. */
static uint64_t store_imitation(struct stage *s, const struct stored *from)
{
	char name[SEGMENT_NAME], bytes[4096];
	int fd = openat(s->spool->journal, segment_name(name, from->place.number), O_RDONLY | O_CLOEXEC);
	assert_true(io_pread_full(fd, bytes, sizeof bytes, (off_t)from->place.at));
	io_close(&fd);
	struct spool_draft *d = spool_draft_new(s->writer);
	uint64_t serial = spool_draft_serial(d);
	for (int i = 0; i < 3; i++)
		spool_draft_write(d, bytes, sizeof bytes);
	for (size_t at = 0; at < sizeof bytes; at += RECORD_ALIGN)
		spool_draft_write(d, bytes, RECORD_HEAD);
	assert_int_equal(spool_draft_commit_wait(&d, plain_envelope(s->arena, "a@x.test", "b@x.test")),
			 SPOOL_STORED);
	for (int i = 0; i < 20 && !stage_found(s, serial); i++)
		stage_run(s, 0.02);
	return serial;
}

static void note(struct stage *s, struct reference *r, uint64_t serial, uint64_t size, bool tail)
{
	struct buf ticket = BUF_INIT;
	struct stored *m = &r->messages[r->n++];
	*m = (struct stored){ .serial = serial, .size = size, .tail = tail };
	keeper_ticket(s->keeper, serial, &ticket);
	assert_int_equal(ticket.len, sizeof m->place);
	memcpy(&m->place, ticket.data, sizeof m->place);
	buf_free(&ticket);
}

/* Messages of all kinds. The spool is left as by a kill -9: nothing says where the segments end. */
static void make_reference(struct reference *r)
{
	struct stage *s = stage_new(SEGMENT, SEGMENTS);
	uint64_t serials[MESSAGES], sizes[MESSAGES];
	bool tails[MESSAGES] = { false };
	size_t n = 0;
	stage_open_writer(s);
	stage_open_keeper(s);
	for (; n < MESSAGES - 2; n++) {
		bool file = n % 8 == 7;
		sizes[n] = n % 16 == 15 ? LARGE + n : file ? 70000 + 1000 * n : 200 + n * 211;
		serials[n] = stage_store(s, sizes[n], 1 + n % 3);
		tails[n] = n % 16 == 7 || n % 8 == 3;
		if (tails[n]) /* by this the one in the journal moves to a file */
			for (int i = 0; i < 3; i++)
				assert_true(stage_update(s, serials[n], 0, RCPT_DEFERRED, 5 + i));
	}
	for (size_t i = 0; i < n; i++)
		note(s, r, serials[i], sizes[i], tails[i]);
	for (int i = 0; i < 2; i++)
		note(s, r, store_imitation(s, &r->messages[0]), 0, false);
	r->path = mem_printf("%s.reference", s->path);
	char *command = mem_printf("cp -a %s %s", s->path, r->path);
	assert_int_equal(system(command), 0);
	free(command);
	stage_free(s);
}

/* ---- one sample ------------------------------------------------------------------------------ */

static void copy_file(const char *from, const char *to)
{
	char bytes[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC),
	    out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(in >= 0 && out >= 0);
	for (ssize_t n; (n = read(in, bytes, sizeof bytes)) > 0;)
		assert_true(io_write_all(out, bytes, (size_t)n));
	io_close(&in);
	io_close(&out);
}

static void copy_folder(const char *from, const char *to)
{
	DIR *d = opendir(from);
	assert_non_null(d);
	(void)mkdir(to, 0700);
	for (const struct dirent *e; (e = readdir(d));) {
		struct stat st;
		if (e->d_name[0] == '.')
			continue;
		char *a = mem_printf("%s/%s", from, e->d_name), *b = mem_printf("%s/%s", to, e->d_name);
		if (lstat(a, &st) == 0 && S_ISDIR(st.st_mode))
			copy_folder(a, b);
		else
			copy_file(a, b);
		free(a);
		free(b);
	}
	closedir(d);
}

static void inflict(const char *path, const struct damage *d)
{
	char *name = mem_printf("%s/%s", path, d->target->name);
	unsigned char byte;
	int fd = open(name, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	if (d->cut) {
		assert_int_equal(ftruncate(fd, (off_t)d->at), 0);
	} else {
		assert_int_equal(pread(fd, &byte, 1, (off_t)d->at), 1);
		byte ^= (unsigned char)(1u << d->bit);
		assert_int_equal(pwrite(fd, &byte, 1, (off_t)d->at), 1);
	}
	io_close(&fd);
	free(name);
}

/* May this damage cost this message? */
static bool may_cost(const struct damage *d, const struct stored *m)
{
	const struct target *t = d->target;
	if (t->kind == TARGET_FILE)
		return m->place.home == TICKET_FILE && m->serial == t->serial;
	if (t->kind == TARGET_LOG || m->place.home == TICKET_FILE || m->place.number != t->number)
		return false;
	uint64_t end = m->place.at + m->place.length;
	return d->cut ? d->at < end : d->at >= m->place.at && d->at < end;
}

static const struct stored *known(const struct reference *r, uint64_t serial)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->messages[i].serial == serial)
			return &r->messages[i];
	return NULL;
}

/* Read as an agent does that sends it on: do its last bytes come out? */
static bool sent_whole(struct stage *s, const struct buf *ticket)
{
	struct spool_stored m;
	struct ost_why why = { "" };
	const char *piece;
	uint64_t size = 0, at = 0;
	bool good = spool_fetch_unread(s->spool, ticket->data, ticket->len, &m, &why) == FETCH_OK;
	if (good && spool_stored_has_wire(&m, 0, &size)) {
		for (ssize_t n; (n = spool_stored_wire(&m, at, &piece)) > 0; at += (uint64_t)n)
			;
		good = at == size;
	}
	spool_stored_free(&m);
	return good;
}

/* Loads and compares what was found; one whose content turns out damaged leaves as damaged. Answers whether
 * it is good. */
static bool whole(struct stage *s, const struct stored *m)
{
	struct buf ticket = BUF_INIT;
	struct spool_stored got;
	struct ost_why why = { "" };
	if (!stage_load(s, m->serial))
		return false;
	keeper_ticket(s->keeper, m->serial, &ticket);
	enum spool_fetched f = spool_fetch(s->spool, ticket.data, ticket.len, &got, &why);
	if (sent_whole(s, &ticket) != (f == FETCH_OK))
		fail_msg("serial %llu: what is sent is not what is fetched", (unsigned long long)m->serial);
	buf_free(&ticket);
	if (f != FETCH_OK)
		return false;
	spool_stored_free(&got);
	if (m->size > 0)
		stage_check_content(s, m->serial, m->size);
	return true;
}

/* In a child: recovers, compares. Exits 0 when all is as it must be; the text says what is not. */
static void judge(const struct reference *r, const struct damage *d, char *path)
{
	struct stage *s = stage_at(path, SEGMENT, SEGMENTS);
	size_t missing = 0;
	alarm(HANG);
	stage_open_keeper(s);
	for (size_t i = 0; i < s->nfound; i++)
		if (!known(r, s->found[i].serial))
			fail_msg("a message that nobody stored: serial %llu",
				 (unsigned long long)s->found[i].serial);
	for (size_t i = 0; i < r->n; i++) {
		const struct stored *m = &r->messages[i];
		if (stage_found(s, m->serial) && whole(s, m))
			continue;
		missing++;
		if (!may_cost(d, m))
			fail_msg("serial %llu is gone, which was not touched", (unsigned long long)m->serial);
	}
	for (int i = 0; i < 100 && missing > 0 && stage_count_files(s, "corrupt") == 0; i++)
		stage_run(s, 0.02); /* what was found out at the loading is the mover's to do */
	bool bytes_left = !d->cut || d->at > 0;
	if (missing > 0 && bytes_left && !(d->cut && d->target->kind == TARGET_SEGMENT) &&
	    stage_count_files(s, "corrupt") == 0)
		fail_msg("%zu are gone, and nothing was set aside", missing);
	stage_close_keeper(s);
	_exit(missing > 0 ? COST : 0); /* the folder is the parent's */
}

/* Answers whether it went well; *cost counts samples that cost a message. */
static bool sample(const struct reference *r, const struct damage *d, unsigned *cost)
{
	char *path = scratch_spool();
	int status = 0;
	copy_folder(r->path, path);
	inflict(path, d);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		judge(r, d, path);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	bool good = WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == COST);
	*cost += WIFEXITED(status) && WEXITSTATUS(status) == COST;
	if (!good)
		printf("bad: %s %s at %llu, bit %u: %s %d\n", d->target->name, d->cut ? "cut" : "flipped",
		       (unsigned long long)d->at, d->bit, WIFSIGNALED(status) ? "signal" : "exit",
		       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	scratch_remove(path);
	return good;
}

/* ---- the samples ----------------------------------------------------------------------------- */

/* 0: there is no such file. */
static uint64_t size_of(const struct reference *r, const char *name)
{
	struct stat st;
	char *path = mem_printf("%s/%s", r->path, name);
	bool there = stat(path, &st) == 0;
	free(path);
	return there ? (uint64_t)st.st_size : 0;
}

/* The journal's segments, the results' first, and each file of a message. */
static size_t find_targets(const struct reference *r, struct target *t, size_t max)
{
	size_t n = 0;
	for (uint32_t number = 1; number <= SEGMENTS; number++) {
		t[n] = (struct target){ .kind = TARGET_SEGMENT, .number = number };
		snprintf(t[n].name, sizeof t[n].name, "journal/%08u", number);
		t[n].size = size_of(r, t[n].name);
		n += t[n].size > 0;
	}
	t[n] = (struct target){ .kind = TARGET_LOG, .name = "results/00000001" };
	t[n].size = size_of(r, t[n].name);
	n++;
	for (size_t i = 0; i < r->n && n < max; i++) {
		if (r->messages[i].place.home != TICKET_FILE)
			continue;
		char id[QUEUE_ID_SIZE];
		queue_id_text(id, r->messages[i].serial, false);
		t[n] = (struct target){ .kind = TARGET_FILE, .serial = r->messages[i].serial };
		snprintf(t[n].name, sizeof t[n].name, "message/%.2s/%s", id + 2, id);
		t[n].size = size_of(r, t[n].name);
		n++;
	}
	return n;
}

/* A place: most of them where records are, since the rest is zeros. */
static struct damage choose(const struct reference *r, const struct target *t, size_t n)
{
	struct damage d = { .target = &t[(size_t)random() % n],
			    .cut = random() % 4 == 0,
			    .bit = (unsigned)random() % 8 };
	uint64_t size = d.target->size;
	d.at = (uint64_t)random() % size;
	const struct stored *m = &r->messages[(size_t)random() % r->n];
	if (d.target->kind == TARGET_FILE && random() % 2)
		d.at = random() % 2 ? d.at % 256 : size - 1 - d.at % (size < 1200 ? size : 1200);
	else if (d.target->kind == TARGET_SEGMENT && m->place.number == d.target->number)
		d.at = m->place.at + (uint64_t)random() % (random() % 2 ? RECORD_HEAD : m->place.length);
	else if (random() % 4 == 0)
		d.at %= SEGMENT_HEADER + RECORD_BORDER;
	return d;
}

/* Cut and flipped at each record's first byte and last. */
static unsigned borders(const struct reference *r, const struct target *t, size_t n, unsigned step,
			unsigned *bad, unsigned *cost)
{
	unsigned count = 0;
	for (size_t i = 0; i < r->n; i += step) {
		const struct stored *m = &r->messages[i];
		for (size_t k = 0; k < n && m->place.home != TICKET_FILE; k++) {
			if (t[k].kind != TARGET_SEGMENT || t[k].number != m->place.number)
				continue;
			uint64_t places[] = { m->place.at, m->place.at + m->place.length - 1,
					      m->place.at + m->place.length };
			for (int p = 0; p < 6; p++, count++)
				*bad += !sample(r,
						&(struct damage){
							.target = &t[k], .at = places[p / 2], .cut = p % 2 },
						cost);
		}
	}
	return count;
}

int main(int argc, char **argv)
{
	struct reference r = { 0 };
	struct target targets[64];
	unsigned bad = 0, cost = 0;
	if (argc != 4) {
		fprintf(stderr, "usage: damage-spool FOLDER SEED SAMPLES\n");
		return 64;
	}
	setenv("TMPDIR", argv[1], 1);
	srandom((unsigned)strtoul(argv[2], NULL, 10));
	unsigned samples = (unsigned)strtoul(argv[3], NULL, 10);
	make_reference(&r);
	size_t n = find_targets(&r, targets, sizeof targets / sizeof targets[0]);
	unsigned count = borders(&r, targets, n, samples < 300 ? 8 : 1, &bad, &cost);
	for (unsigned i = 0; i < samples; i++, count++) {
		struct damage d = choose(&r, targets, n);
		bad += !sample(&r, &d, &cost);
	}
	printf("{\"samples\": %u, \"bad\": %u, \"cost_a_message\": %u, \"files\": %zu}\n", count, bad, cost,
	       n);
	scratch_remove(r.path);
	return bad > 0;
}
