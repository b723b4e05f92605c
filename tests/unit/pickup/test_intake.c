/* SPDX-License-Identifier: Apache-2.0
 * Submissions into a spool, and what maildrop/ may hold that is none. */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>
#include <utime.h>

#include <cmocka.h>

#include "base/tlv.h"
#include "ipc/protocol.h"
#include "pickup/scan.h"
#include "tests/support/fixture.h"

static struct fixture fix;
static struct spool *spool;
static struct spool_writer *writer;
static struct post *post;
static size_t hints;
static char maildrop[128];

static void count_hint(void *ctx, const void *hint, size_t len)
{
	(void)ctx;
	(void)hint;
	(void)len;
	hints++;
}

static int setup(void **state)
{
	(void)state;
	struct ost_why why = { "" };
	struct spool_options options = { .segment_size = 1 << 20, .segment_count = 4 };
	char path[128];
	fixture_open(&fix, "myhostname = mx.test\nmyorigin = mx.test\nmessage_size_limit = 5000\n"
			   "virtual_alias_maps = inline:{ {loop@x.test=loop2@x.test} {loop2@x.test=loop@x.test} }\n",
		     NULL);
	fixture_log(&fix);
	snprintf(path, sizeof path, "%s/spool", fix.dir);
	snprintf(maildrop, sizeof maildrop, "%s/maildrop", fix.dir);
	mkdir(maildrop, 0700);
	assert_true(spool_create(path, &why));
	assert_non_null(spool = spool_open(path, &options, &why));
	assert_non_null(writer = spool_writer_open(spool, count_hint, NULL, &why));
	post = post_open(fix.view, fix.config, &why);
	assert_string_equal(why.text, "");
	post_set_spool(post, spool, writer);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	post_close(&post);
	spool_writer_close(&writer);
	spool_close(&spool);
	fixture_close(&fix);
	return 0;
}

/* Runs one submission through. */
static struct intake_result submit(const struct submission *s, const char *content, const char *name)
{
	struct intake_result out;
	struct buf b = BUF_INIT;
	struct intake *in = intake_new(post, 12345);
	submission_pack(&b, s, 0);
	(void)intake_envelope(in, b.data, b.len);
	(void)intake_data(in, content, strlen(content));
	intake_finish(in, name, &out);
	intake_free(&in);
	buf_free(&b);
	return out;
}

static void what_is_taken_and_what_is_not(void **state)
{
	(void)state;
	const char *one[] = { "joe@far.test" }, *loop[] = { "loop@x.test" }, *odd[] = { "a\nb@c" };
	char big[6001];
	memset(big, 'x', 6000);
	big[6000] = '\0';
	const struct {
		struct submission s;
		const char *content;
		int status;
	} cases[] = {
		{ { .sender = "a@b", .rcpts = one, .nrcpts = 1 }, "Subject: x\n\nbody\n", EX_OK },
		{ { .sender = "", .rcpts = one, .nrcpts = 1 }, "", EX_OK },
		{ { .rcpts = one, .nrcpts = 1, .full_name = "Joe" }, "\nx\n", EX_OK },
		{ { .sender = "a@b" }, "Subject: x\n\n", EX_USAGE },
		{ { .sender = "a\nb", .rcpts = one, .nrcpts = 1 }, "", EX_DATAERR },
		{ { .sender = "a", .rcpts = odd, .nrcpts = 1 }, "", EX_DATAERR },
		{ { .sender = "a", .rcpts = one, .nrcpts = 1, .full_name = "x\x1b[2J" }, "", EX_DATAERR },
		{ { .sender = "a", .rcpts = one, .nrcpts = 1 }, big, EX_DATAERR },
		{ { .sender = "a", .rcpts = loop, .nrcpts = 1 }, "\nx\n", EX_TEMPFAIL },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t before = hints;
		struct intake_result got = submit(&cases[i].s, cases[i].content, NULL);
		assert_int_equal(got.status, cases[i].status);
		assert_int_equal(hints, before + (cases[i].status == EX_OK));
		assert_int_equal(got.reason[0] == '\0', cases[i].status == EX_OK);
	}
	assert_true(fixture_logged(&fix, "uid=12345 from=<12345>"));
}

static void garbage_is_refused(void **state)
{
	(void)state;
	struct intake_result out;
	struct intake *in = intake_new(post, 0);
	assert_false(intake_envelope(in, "\1\2\3\4\5\6\7\10\11", 9));
	assert_false(intake_data(in, "x", 1));
	intake_finish(in, NULL, &out);
	assert_int_equal(out.status, EX_DATAERR);
	intake_free(&in);
	/* an envelope behind content */
	in = intake_new(post, 0);
	assert_true(intake_data(in, "x\n", 2));
	assert_false(intake_envelope(in, "", 0));
	intake_free(&in);
}

/* What lies in maildrop/, counted. */
static size_t files(const char *suffix)
{
	size_t n = 0;
	DIR *d = opendir(maildrop);
	for (struct dirent *e; (e = readdir(d));) {
		size_t len = strlen(e->d_name), s = strlen(suffix);
		n += e->d_name[0] != '.' && len >= s && strcmp(e->d_name + len - s, suffix) == 0;
	}
	closedir(d);
	return n;
}

static size_t found; /* by messages() */

static int count_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)path;
	(void)st;
	(void)at;
	found += type == FTW_F;
	return 0;
}

/* How many messages lie in files of the spool. */
static size_t messages(void)
{
	char path[128];
	snprintf(path, sizeof path, "%s/spool/message", fix.dir);
	found = 0;
	nftw(path, count_file, 10, FTW_PHYS);
	return found;
}

static void drop_as(const char *name)
{
	const char *rcpts[] = { "joe@far.test" };
	struct submission s = { .name = name, .sender = "a@b", .rcpts = rcpts, .nrcpts = 1 };
	struct ost_why why;
	assert_true(drop_write(maildrop, &s, "Subject: x\n\nbody\n", 17, &why));
}

static void drop(char name[DROP_NAME_LEN + 1])
{
	assert_true(drop_name_new(name));
	drop_as(name);
}

static char *in_maildrop(char path[256], const char *name)
{
	snprintf(path, 256, "%s/%s", maildrop, name);
	return path;
}

static void good_files_become_mail_once(void **state)
{
	(void)state;
	char name[DROP_NAME_LEN + 1], path[256], copy[600];
	size_t before = hints, stored = messages();
	drop(name);
	drop(name);
	/* a crash between storing and removing: the file is there again */
	in_maildrop(path, name);
	snprintf(copy, sizeof copy, "cp %s %s/kept", path, fix.dir);
	assert_int_equal(system(copy), 0);
	maildrop_scan(post, maildrop);
	assert_int_equal(files(""), 0);
	assert_int_equal(hints, before + 2);
	snprintf(copy, sizeof copy, "cp %s/kept %s", fix.dir, path);
	assert_int_equal(system(copy), 0);
	maildrop_scan(post, maildrop);
	assert_int_equal(files(""), 0);
	assert_int_equal(messages(), stored + 2); /* qmgr may be told twice; there is one message */
}

/* A client that has no answer leaves the message in maildrop/ under the name that it sent with it. */
static void what_comes_both_ways_is_one_message(void **state)
{
	(void)state;
	const char *rcpts[] = { "joe@far.test" };
	char name[DROP_NAME_LEN + 1], path[400];
	struct submission s = { .name = name, .sender = "a@b", .rcpts = rcpts, .nrcpts = 1 };
	size_t stored = messages();
	struct stat st;
	assert_true(drop_name_new(name));
	struct intake_result got = submit(&s, "Subject: x\n\nbody\n", NULL);
	assert_int_equal(got.status, EX_OK);
	assert_string_equal(got.identity, name);
	maildrop_forget_gone(spool, maildrop); /* pickup begins anew, and the file is still to come */
	drop_as(name);
	maildrop_scan(post, maildrop);
	assert_int_equal(files(""), 0);
	assert_int_equal(messages(), stored + 1);
	snprintf(path, sizeof path, "%s/spool/named/%s", fix.dir, name);
	assert_int_equal(stat(path, &st), 0);
	spool_named_forget(spool, name);
	assert_int_equal(stat(path, &st), -1);
	s.name = "../../../../../../../../etc/pass";
	assert_int_equal(submit(&s, "Subject: x\n\nbody\n", NULL).status, EX_DATAERR);
}

static void other_things_are_no_mail(void **state)
{
	(void)state;
	static const char *const names[] = {
		"00000000000000000000000000000001", "00000000000000000000000000000002", "00000000000000000000000000000003",
		"00000000000000000000000000000004", "00000000000000000000000000000005",
	};
	char path[256], other[256], name[DROP_NAME_LEN + 1];
	size_t before = hints;
	mkfifo(in_maildrop(path, names[0]), 0666);
	mkdir(in_maildrop(path, names[1]), 0777);
	assert_int_equal(symlink("/etc/passwd", in_maildrop(path, names[2])), 0);
	drop(name);
	snprintf(other, sizeof other, "%s/linked", fix.dir);
	assert_int_equal(link(in_maildrop(path, name), other), 0);
	int fd = open(in_maildrop(path, names[3]), O_CREAT | O_WRONLY, 0444); /* somebody is writing it, perhaps */
	assert_int_equal(write(fd, "Ostler", 6), 6);
	close(fd);
	fd = open(in_maildrop(path, names[4]), O_CREAT | O_WRONLY, 0444); /* nobody is */
	close(fd);
	utime(path, &(struct utimbuf){ 1, 1 });
	close(open(in_maildrop(path, "00000000000000000000000000000006.part"), O_CREAT | O_WRONLY, 0444));
	close(open(in_maildrop(path, "00000000000000000000000000000007.part"), O_CREAT | O_WRONLY, 0444));
	utime(path, &(struct utimbuf){ 1, 1 });
	maildrop_scan(post, maildrop);
	assert_int_equal(hints, before);
	assert_int_equal(files(".bad"), 1);
	assert_int_equal(files(".part"), 1);
	assert_int_equal(files(""), 3); /* the young one, the bad one, the young part */
	assert_true(fixture_logged(&fix, "not a regular file: removed"));
	assert_true(fixture_logged(&fix, "has several links: removed"));
	assert_true(fixture_logged(&fix, "not a complete submission"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_taken_and_what_is_not),
		cmocka_unit_test(garbage_is_refused),
		cmocka_unit_test(good_files_become_mail_once),
		cmocka_unit_test(what_comes_both_ways_is_one_message),
		cmocka_unit_test(other_things_are_no_mail),
	};
	return cmocka_run_group_tests_name("pickup/intake", tests, setup, teardown);
}
