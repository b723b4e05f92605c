/* SPDX-License-Identifier: Apache-2.0
 * Large messages, whose files hold the content in wire form: read with LF line ends from any place, in wire
 * form, verified on the way, and damaged. */
#include "fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "mail/wireform.h"
#include "spool/file.h"

enum { LARGE = 2300 * 1000 };

static unsigned seed = 3;

static unsigned draw(unsigned below)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 8) % below;
}

/* Lines, some of which begin with dots; and CRs in them, when these are wanted. */
static void fill_lines(char *p, size_t n, bool cr)
{
	for (size_t i = 0; i < n; i++) {
		unsigned d = draw(70);
		p[i] = d == 0 ? '\n' : d < 3 ? '.' : d == 4 && cr ? '\r' : 'x';
	}
	for (size_t i = 0; i + 1 < n; i++)
		if (p[i] == '\n' && draw(4) == 0)
			p[i + 1] = '.';
	p[n - 1] = '\n';
}

/* Stores n bytes of content, and answers the ticket. */
static struct ticket store(struct fixture *f, const char *content, size_t n)
{
	struct spool_draft *d = spool_draft_new(f->writer);
	for (size_t at = 0, part; at < n; at += part) {
		part = 1 + draw(60000);
		part = part < n - at ? part : n - at;
		spool_draft_write(d, content + at, part);
	}
	assert_int_equal(spool_draft_size(d), n);
	assert_int_equal(
		spool_draft_commit_wait(&d, plain_envelope(f->arena, "a@example.com", "b@example.com")),
		SPOOL_STORED);
	return fixture_ticket(f, f->hints.tickets.len / sizeof(struct ticket) - 1);
}

static void fetch(struct fixture *f, const struct ticket *t, bool unread, struct spool_stored *m)
{
	struct ost_why why = { "" };
	enum spool_fetched got = (unread ? spool_fetch_unread : spool_fetch)(f->spool, t, sizeof *t, m, &why);
	if (got != FETCH_OK)
		fail_msg("%s", why.text);
}

static void lf_form_is_read_from_any_place(void **state)
{
	struct fixture *f = *state;
	char *content = mem_alloc(LARGE), *got = mem_alloc(LARGE + 1);
	struct spool_stored m;
	for (int round = 0; round < 4; round++) {
		fill_lines(content, LARGE, round % 2);
		struct ticket t = store(f, content, LARGE);
		fetch(f, &t, round / 2, &m);
		assert_null(m.data);
		assert_non_null(m.wire);
		assert_int_equal(m.size, LARGE);
		assert_int_equal(m.env->size, LARGE);
		for (int i = 0; i < 300; i++) {
			size_t at = draw(LARGE), n = 1 + draw(i % 10 ? 2000 : LARGE),
			       want = n < LARGE - at ? n : LARGE - at;
			assert_int_equal(spool_stored_read(&m, at, got, n), want);
			assert_memory_equal(got, content + at, want);
		}
		assert_int_equal(spool_stored_read(&m, LARGE, got, 1), 0);
		assert_int_equal(spool_stored_read(&m, 0, got, LARGE + 1), LARGE);
		assert_memory_equal(got, content, LARGE);
		uint64_t offset;
		int fd = spool_stored_fd(&m, &offset);
		assert_int_equal(lseek(fd, 0, SEEK_END), LARGE);
		assert_true(io_pread_full(fd, got, LARGE, (off_t)offset));
		assert_memory_equal(got, content, LARGE);
		io_close(&fd);
		spool_stored_free(&m);
	}
	free(content);
	free(got);
}

static void wire_form_is_what_smtp_sends(void **state)
{
	struct fixture *f = *state;
	char *content = mem_alloc(LARGE), *want = mem_alloc(2 * LARGE), *got = mem_alloc(2 * LARGE);
	struct wire_tally tally = { 0 };
	struct spool_stored m;
	uint64_t size;
	fill_lines(content, LARGE, false);
	size_t len = wire_encode(&tally, content, LARGE, want);
	struct ticket t = store(f, content, LARGE);
	for (int unread = 0; unread < 2; unread++)
		for (int begun = 0; begun < 2; begun++) {
			const char *p;
			fetch(f, &t, unread, &m);
			assert_true(spool_stored_has_wire(&m, 0, &size));
			assert_int_equal(size, len);
			assert_true(spool_stored_has_wire(&m, tally.longest, &size));
			assert_false(spool_stored_has_wire(&m, tally.longest - 1, &size));
			for (uint64_t n = 0; begun && n < len / 2;) /* one server, and then another, from the beginning */
				n += (uint64_t)spool_stored_wire(&m, n, &p);
			size_t at = 0;
			for (ssize_t n; (n = spool_stored_wire(&m, at, &p)) > 0; at += (size_t)n)
				memcpy(got + at, p, (size_t)n);
			assert_int_equal(at, len);
			assert_memory_equal(got, want, len);
			assert_int_equal(spool_stored_wire(&m, len - 1000, &p), 1000); /* anywhere, once it is verified */
			assert_memory_equal(p, want + len - 1000, 1000);
			assert_true(spool_stored_wire(&m, 5, &p) > 1000);
			assert_memory_equal(p, want + 5, 1000);
			spool_stored_free(&m);
		}
	content[LARGE / 2] = '\r'; /* not as it goes out */
	t = store(f, content, LARGE);
	fetch(f, &t, true, &m);
	assert_false(spool_stored_has_wire(&m, 0, &size));
	spool_stored_free(&m);
	content[LARGE / 2] = content[LARGE - 1] = 'x'; /* the same: its last line has no end */
	t = store(f, content, LARGE);
	fetch(f, &t, true, &m);
	assert_false(spool_stored_has_wire(&m, 0, &size));
	assert_int_equal(spool_stored_read(&m, 0, got, LARGE), LARGE);
	assert_memory_equal(got, content, LARGE);
	spool_stored_free(&m);
	free(content);
	free(want);
	free(got);
}

/* Lines that come in wire form, among others. */
static void lines_may_come_in_both_forms(void **state)
{
	struct fixture *f = *state;
	struct buf want = BUF_INIT, wire = BUF_INIT;
	struct spool_draft *d = spool_draft_new(f->writer);
	struct spool_stored m;
	while (want.len < LARGE) {
		struct wire_tally tally = { 0 };
		unsigned n = 1 + draw(40);
		size_t from = want.len;
		buf_reset(&wire);
		for (unsigned i = 0; i < n; i++) {
			size_t start = want.len;
			buf_printf(&want, "%u%.*s", n, (int)draw(50),
				   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
			buf_printf(&wire, "%s\r\n", want.data + start);
			buf_putc(&want, '\n');
		}
		assert_int_equal(wire_plain_lines(&tally, wire.data, wire.len), wire.len);
		if (spool_draft_takes_wire(d) && draw(3) > 0)
			spool_draft_write_wire(d, wire.data, wire.len, &tally);
		else
			spool_draft_write(d, want.data + from, want.len - from);
	}
	assert_int_equal(spool_draft_size(d), want.len);
	assert_int_equal(
		spool_draft_commit_wait(&d, plain_envelope(f->arena, "a@example.com", "b@example.com")),
		SPOOL_STORED);
	struct ticket t = fixture_ticket(f, 0);
	fetch(f, &t, false, &m);
	char *got = mem_alloc(want.len);
	assert_int_equal(spool_stored_read(&m, 0, got, want.len), want.len);
	assert_memory_equal(got, want.data, want.len);
	spool_stored_free(&m);
	free(got);
	buf_free(&want);
	buf_free(&wire);
}

/* A small message that went to a file as it came is in memory when it is fetched, as all small ones. */
static void small_ones_have_lf_line_ends(void **state)
{
	struct fixture *f = *state;
	char content[5000];
	struct spool_stored m;
	fill_lines(content, sizeof content, true);
	f->spool->options.memory_budget = 1;
	struct ticket t = store(f, content, sizeof content);
	assert_int_equal(t.home, TICKET_FILE);
	fetch(f, &t, true, &m);
	assert_null(m.wire);
	assert_int_equal(m.size, sizeof content);
	assert_memory_equal(m.data, content, sizeof content);
	spool_stored_free(&m);
}

/* Whatever bit of the content flips, the last bytes are not given away, in neither form. */
static void damage_is_found_on_the_way(void **state)
{
	struct fixture *f = *state;
	char *content = mem_alloc(LARGE), *got = mem_alloc(LARGE), name[FILE_NAME];
	struct spool_stored m;
	uint64_t size = 0;
	fill_lines(content, LARGE, false);
	struct ticket t = store(f, content, LARGE);
	int fd = openat(f->spool->message, file_name(name, t.serial), O_RDWR | O_CLOEXEC);
	for (int round = 0; round < 40; round++) {
		fetch(f, &t, true, &m);
		assert_true(spool_stored_has_wire(&m, 0, &size));
		off_t at = (off_t)m.fd_offset + (round == 0   ? 0
						 : round == 1 ? (off_t)size - 1
							      : (off_t)draw((unsigned)size));
		char good, bad;
		assert_int_equal(pread(fd, &good, 1, at), 1);
		bad = (char)(good ^ 1 << round % 8);
		assert_int_equal(pwrite(fd, &bad, 1, at), 1);
		uint64_t from = 0;
		ssize_t n = -1;
		const char *p;
		for (; round % 4 && from < size && (n = spool_stored_wire(&m, from, &p)) > 0; from += (uint64_t)n)
			;
		assert_int_equal(n, -1);
		assert_true(from < size);
		assert_int_equal(spool_stored_read(&m, 0, got, 1), -1);
		assert_int_equal(spool_stored_wire(&m, from, &p), -1); /* and it stays so */
		uint64_t offset;
		assert_int_equal(spool_stored_fd(&m, &offset), -1);
		spool_stored_free(&m);
		assert_int_equal(spool_fetch(f->spool, &t, sizeof t, &m, &(struct ost_why){ "" }),
				 FETCH_DAMAGED);
		assert_int_equal(pwrite(fd, &good, 1, at), 1);
	}
	io_close(&fd);
	free(content);
	free(got);
}

/* Written anew, because of what was appended, it is what it was. */
static void a_file_written_anew_keeps_its_form(void **state)
{
	struct fixture *f = *state;
	char *content = mem_alloc(LARGE), *got = mem_alloc(LARGE);
	struct message_file fresh;
	struct file_view v;
	struct ost_why why = { "" };
	struct spool_stored m;
	uint64_t size;
	fill_lines(content, LARGE, false);
	struct ticket t = store(f, content, LARGE);
	assert_int_equal(file_read(f->spool, t.serial, true, f->arena, &v, &why), FILE_GOOD);
	assert_true(file_rewrite(f->spool, &v, &fresh) && file_replace(&fresh));
	file_close(&fresh);
	io_close(&v.fd);
	fetch(f, &t, true, &m);
	assert_true(spool_stored_has_wire(&m, 0, &size));
	assert_int_equal(size, v.head.content_len);
	assert_int_equal(spool_stored_read(&m, 0, got, LARGE), LARGE);
	assert_memory_equal(got, content, LARGE);
	spool_stored_free(&m);
	free(content);
	free(got);
}

/* A file of a program that knew LF line ends alone. */
static void files_with_lf_line_ends_are_read(void **state)
{
	struct fixture *f = *state;
	char *content = mem_alloc(LARGE), *got = mem_alloc(LARGE);
	struct message_file file;
	struct spool_stored m;
	struct buf body = BUF_INIT;
	struct ost_why why;
	uint64_t serial, size;
	fill_lines(content, LARGE, false);
	assert_true(serial_draw(f->spool, &serial, &why));
	struct spool_envelope *e = plain_envelope(f->arena, "a@example.com", "b@example.com");
	e->serial = serial;
	e->size = LARGE;
	envelope_put(&body, e);
	assert_true(file_create(f->spool, serial, -1, NULL, &file));
	assert_true(file_store(&file, content, LARGE, 0, record_content_sum(serial, content, LARGE, 0),
			       body.data, (uint32_t)body.len));
	file_close(&file);
	struct ticket t = { .home = TICKET_FILE, .serial = serial };
	fetch(f, &t, true, &m);
	assert_null(m.wire);
	assert_false(spool_stored_has_wire(&m, 0, &size));
	assert_int_equal(spool_stored_wire(&m, 0, &(const char *){ NULL }), -1);
	assert_int_equal(spool_stored_read(&m, 0, got, LARGE), LARGE);
	assert_memory_equal(got, content, LARGE);
	spool_stored_free(&m);
	buf_free(&body);
	free(content);
	free(got);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(lf_form_is_read_from_any_place),   TEST(wire_form_is_what_smtp_sends),
		TEST(lines_may_come_in_both_forms),     TEST(small_ones_have_lf_line_ends),
		TEST(damage_is_found_on_the_way),       TEST(a_file_written_anew_keeps_its_form),
		TEST(files_with_lf_line_ends_are_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
