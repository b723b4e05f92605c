/* SPDX-License-Identifier: Apache-2.0
 * Mailboxes of virtual users: what is written, and where nothing is. */
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
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "shared/mailhead.h"
#include "shared/trial.h"

extern const struct ost_module virtual_LTX_ost_module;

/* ---- a scratch folder ---------------------------------------------------------------------------------------------------- */

static char base[64], path_space[512];

/* A path in it; valid until the next call. */
static const char *at(const char *name)
{
	snprintf(path_space, sizeof path_space, "%s/%s", base, name);
	return path_space;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int make_base(void **state)
{
	(void)state;
	snprintf(base, sizeof base, "/tmp/ostler-virtual-XXXXXX");
	return mkdtemp(base) ? 0 : -1;
}

static int remove_base(void **state)
{
	(void)state;
	return nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static char *text_of(const char *name)
{
	static char text[512 * 1024];
	int fd = open(at(name), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

/* How many files a folder has; the last one's path goes to *path. */
static int files_in(const char *folder, char path[400])
{
	int n = 0;
	DIR *d = opendir(at(folder));
	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.') {
			n++;
			if (path)
				snprintf(path, 400, "%s/%s", folder, e->d_name);
		}
	if (d)
		closedir(d);
	return n;
}

/* ---- one delivery ------------------------------------------------------------------------------------------------------------ */

/* The module's config struct is its own affair: it is filled through its parameters. */
struct setting {
	const char *name;
	const void *value; /* of the parameter's C type */
};

static void set_param(const struct ost_transport_ops *ops, char *config, const char *name, const void *value, size_t size)
{
	for (const struct ost_param *p = ops->ops.params; p->name; p++)
		if (strcmp(p->name, name) == 0) {
			memcpy(config + p->offset, value, size);
			return;
		}
	fail_msg("no parameter %s", name);
}

static const struct trial_entry mailboxes[] = {
	{ "dir@example.org", "deep/dir/" },  { "file@example.org", "deep/file" }, { "abs@example.org", "/abs/" },
	{ "link@example.org", "link/x/" },   { "up@example.org", "../up/" },      { "sym@example.org", "sym" },
	{ "fifo@example.org", "fifo" },      { "hard@example.org", "hard" },      { "exec@example.org", "exec" },
	{ "broken@example.org", NULL },      { "empty@example.org", "" },         { "nouid@example.org", "x/" },
	{ "text@example.org", "x/" },        { "low@example.org", "x/" },         { "badmap@example.org", "x/" },
	{ NULL, NULL },
};
static const struct trial_entry uids[] = {
	{ "text@example.org", "12x" }, { "low@example.org", "0" }, { "badmap@example.org", NULL },
	{ "nouid@example.org", "-1" }, { "*", "65534" },           { NULL, NULL },
};
static const struct trial_entry gids[] = { { "*", "65534" }, { NULL, NULL } };

struct scene {
	struct trial trial;
	char config[512];
	void *self;
};

static void set_text(struct scene *s, const char *name, const char *value)
{
	set_param(s->trial.ops, s->config, name, &value, sizeof value);
}

static void set_number(struct scene *s, const char *name, int64_t value)
{
	set_param(s->trial.ops, s->config, name, &value, sizeof value);
}

static struct scene *scene_new(const char *content, const char *rcpt)
{
	static const struct ost_tables tables[] = { { mailboxes }, { uids }, { gids } };
	static const char *const names[] = { "virtual_mailbox_maps", "virtual_uid_maps", "virtual_gid_maps" };
	const char *const rcpts[] = { rcpt, NULL };
	struct scene *s = calloc(1, sizeof *s);
	struct ost_why why;
	bool yes = true;
	assert_true(virtual_LTX_ost_module.load(&trial_host, &why));
	s->trial.ops = (const struct ost_transport_ops *)virtual_LTX_ost_module.provides[0].ops;
	assert_true(s->trial.ops->ops.config_size <= sizeof s->config);
	for (size_t i = 0; i < 3; i++) {
		const struct ost_tables *t = &tables[i];
		set_param(s->trial.ops, s->config, names[i], &t, sizeof t);
	}
	set_text(s, "virtual_mailbox_base", base);
	set_text(s, "virtual_mailbox_lock", "fcntl, dotlock");
	set_number(s, "virtual_minimum_uid", 100);
	set_number(s, "deliver_lock_attempts", 2);
	set_number(s, "deliver_lock_delay", 1000);
	set_number(s, "stale_lock_time", 500 * INT64_C(1000000));
	set_param(s->trial.ops, s->config, "strict_mailbox_ownership", &yes, sizeof yes);
	set_param(s->trial.ops, s->config, "enable_original_recipient", &yes, sizeof yes);
	s->trial.config = s->config;
	s->trial.home = base;
	trial_start(&s->trial, content, rcpts);
	assert_true(s->trial.ops->ops.open(s->trial.d.instance, s->config, &s->self, &why));
	return s;
}

static void scene_free(struct scene *s)
{
	s->trial.ops->ops.close(s->self);
	free(s);
}

static void expect(struct scene *s, enum ost_delivered status, const char *dsn, const char *text)
{
	trial_deliver(&s->trial, s->self);
	const struct trial_told *t = &s->trial.told[0];
	if (t->status != status || strcmp(t->dsn, dsn) != 0 || !strstr(t->text, text))
		fail_msg("%s: %d %s %s", s->trial.rcpts[0].address, t->status, t->dsn, t->text);
	assert_string_equal(t->relay, "virtual");
}

static void deliver(const char *content, const char *rcpt, enum ost_delivered status, const char *dsn, const char *text)
{
	struct scene *s = scene_new(content, rcpt);
	expect(s, status, dsn, text);
	scene_free(s);
}

#define HEAD(rcpt) "Return-Path: <sender@example.com>\nX-Original-To: orig@example.org\nDelivered-To: " rcpt "\n"
static const char plain[] = "Subject: x\n\nbody\nFrom here\n";

/* ---- Maildir ------------------------------------------------------------------------------------------------------------------ */

static void maildirs_are_made_and_filled(void **state)
{
	(void)state;
	char path[400];
	struct stat st;
	deliver(plain, "dir@example.org", OST_SENT, "2.0.0", "delivered to maildir");
	assert_int_equal(files_in("deep/dir/new", path), 1);
	assert_int_equal(files_in("deep/dir/tmp", NULL), 0);
	assert_int_equal(stat(at(path), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_string_equal(text_of(path), HEAD("dir@example.org") "Subject: x\n\nbody\nFrom here\n");
	assert_int_equal(stat(at("deep/dir/cur"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	deliver(plain, "dir@example.org", OST_SENT, "2.0.0", "delivered to maildir");
	assert_int_equal(files_in("deep/dir/new", NULL), 2);
	deliver(plain, "abs@example.org", OST_SENT, "2.0.0", "delivered to maildir");
	assert_int_equal(files_in("abs/new", NULL), 1);
}

static void a_large_message_comes_from_its_descriptor(void **state)
{
	(void)state;
	static char big[300 * 1024];
	char path[400];
	for (size_t i = 0; i < sizeof big - 1; i++)
		big[i] = i % 70 == 69 ? '\n' : i % 210 < 2 ? '.' : i % 997 == 0 ? '\r' : (char)('a' + i % 26);
	for (int wire = 0; wire < 2; wire++) {
		struct scene *s = scene_new(big, "dir@example.org");
		s->trial.in_memory = false;
		s->trial.in_wire_form = wire;
		expect(s, OST_SENT, "2.0.0", "delivered to maildir");
		scene_free(s);
		assert_int_equal(files_in("deep/dir/new", path), 1);
		char *text = text_of(path), *body = strstr(text, "Delivered-To: dir@example.org\n");
		assert_string_equal(body + strlen("Delivered-To: dir@example.org\n"), big);
		assert_int_equal(unlink(at(path)), 0);
	}
}

static void a_failed_sync_leaves_nothing(void **state)
{
	(void)state;
	struct scene *s = scene_new(plain, "dir@example.org");
	s->trial.sync_fails = true;
	trial_deliver(&s->trial, s->self);
	assert_int_equal(s->trial.told[0].status, OST_DEFERRED);
	s->trial.sync_fails = false;
	s->trial.folder_sync_fails = true; /* it has its name in new, and the name may not be durable */
	trial_deliver(&s->trial, s->self);
	assert_int_equal(s->trial.told[0].status, OST_DEFERRED);
	scene_free(s);
	assert_int_equal(files_in("deep/dir/new", NULL), 0);
	assert_int_equal(files_in("deep/dir/tmp", NULL), 0);
}

/* One batch, as the core makes it: those that fail leave the Maildir that they share to the others. */
static void a_batch_shares_its_maildirs(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		size_t size;
		bool folder_syncs;
		enum ost_delivered status;
	} want[] = {
		{ "one/", 10, true, OST_SENT },      { "one/", 5000, true, OST_BOUNCED }, { "one/", 11, true, OST_SENT },
		{ "two/", 12, true, OST_SENT },      { "one/", 13, true, OST_SENT },      { "one/", 14, false, OST_DEFERRED },
		{ "one/../two/", 15, true, OST_SENT },
	};
	enum { N = sizeof want / sizeof *want };
	static const char args[] = "From x\nReturn-Path: <>\n";
	static char content[5000];
	struct scene *s = scene_new(plain, "dir@example.org");
	const struct ost_transport_ops *ops = s->trial.ops;
	struct ost_user_job jobs[N];
	int home_fd = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
	memset(content, 'x', sizeof content);
	set_number(s, "virtual_mailbox_limit", 4000);
	for (size_t i = 0; i < N; i++)
		jobs[i] = (struct ost_user_job){ .size = sizeof *jobs, .message_fd = -1, .message = content,
						 .message_size = want[i].size, .args = args, .args_len = sizeof args - 1,
						 .home = base, .home_fd = home_fd, .path = want[i].path, .spool_fd = -1,
						 .file_fd = -1, .dir_fd = -1,
						 .done = { .size = sizeof jobs->done, .status = OST_SENT, .dsn = "2.0.0" } };
	ops->user_write(s->config, jobs, N);
	for (size_t i = 0; i < N; i++)
		close(jobs[i].file_fd);
	ops->user_publish(s->config, jobs, N);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(jobs[i].dir_fd >= 0, want[i].status != OST_BOUNCED);
		close(jobs[i].dir_fd); /* each has one of its own */
		if (!want[i].folder_syncs)
			jobs[i].done.status = OST_DEFERRED;
	}
	ops->user_settle(s->config, jobs, N);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(jobs[i].done.status, want[i].status);
	close(home_fd);
	scene_free(s);
	assert_int_equal(files_in("one/new", NULL), 3);
	assert_int_equal(files_in("two/new", NULL), 2);
	assert_int_equal(files_in("one/tmp", NULL), 0);
}

static void no_way_leads_out_of_the_base(void **state)
{
	(void)state;
	char outside[] = "/tmp/ostler-outside-XXXXXX";
	assert_non_null(mkdtemp(outside));
	assert_int_equal(symlink(outside, at("link")), 0);
	deliver(plain, "link@example.org", OST_BOUNCED, "5.2.0", "maildir delivery failed: cannot open the maildir");
	deliver(plain, "up@example.org", OST_BOUNCED, "5.2.0", "maildir delivery failed: cannot open the maildir");
	assert_int_equal(mkdir(at("abs"), 0700), 0);
	assert_int_equal(mkdir(at("abs/tmp"), 0700), 0);
	assert_int_equal(symlink(outside, at("abs/new")), 0);
	deliver(plain, "abs@example.org", OST_BOUNCED, "5.2.0", "maildir delivery failed");
	assert_int_equal(files_in("abs/tmp", NULL), 0);
	assert_int_equal(rmdir(outside), 0); /* still empty */
}

/* ---- mailbox files ------------------------------------------------------------------------------------------------------------ */

static void mailbox_files_grow(void **state)
{
	(void)state;
	char want[1024];
	struct stat st;
	deliver("From: x\nFrom y\n\nFrom z\nFr\nFrom", "file@example.org", OST_SENT, "2.0.0", "delivered to mailbox");
	char *text = text_of("deep/file"), *end = strchr(text, '\n');
	assert_memory_equal(text, "From sender@example.com  ", 25);
	snprintf(want, sizeof want, "\n%sFrom: x\n>From y\n\n>From z\nFr\nFrom\n\n", HEAD("file@example.org"));
	assert_string_equal(end, want);
	assert_int_equal(stat(at("deep/file"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	off_t size = st.st_size;
	struct scene *s = scene_new(plain, "file@example.org");
	s->trial.in_memory = false;
	s->trial.d.sender = "";
	expect(s, OST_SENT, "2.0.0", "delivered to mailbox");
	scene_free(s);
	text = text_of("deep/file") + size;
	assert_memory_equal(text, "From MAILER-DAEMON  ", 20);
	assert_non_null(strstr(text, "\nReturn-Path: <>\n"));
	assert_non_null(strstr(text, "\n\nbody\n>From here\n\n"));
	assert_int_not_equal(access(at("deep/file.lock"), F_OK), 0);
}

/* From_ lines are found wherever the pieces of a large message are cut. */
static void from_lines_at_borders(void **state)
{
	(void)state;
	enum { PIECE = 64 * 1024 };
	static char big[PIECE + 64];
	for (int shift = 0; shift < 7; shift++) {
		memset(big, 'x', PIECE + 32);
		memcpy(big + PIECE - shift - 1, "\nFrom x\n", 8);
		memcpy(big + PIECE + 32, "\n", 2);
		struct scene *s = scene_new(big, "file@example.org");
		s->trial.in_memory = false;
		s->trial.in_wire_form = shift % 2;
		expect(s, OST_SENT, "2.0.0", "delivered to mailbox");
		scene_free(s);
		assert_non_null(strstr(text_of("deep/file"), "x\n>From x\nx"));
		assert_int_equal(unlink(at("deep/file")), 0);
	}
}

static void locks_are_honoured(void **state)
{
	(void)state;
	assert_int_equal(mkdir(at("deep"), 0700), 0);
	int lock = open(at("deep/file.lock"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(lock >= 0);
	deliver(plain, "file@example.org", OST_DEFERRED, "4.2.0", "unable to lock for exclusive access");
	const struct timespec old[2] = { { .tv_sec = time(NULL) - 1000 }, { .tv_sec = time(NULL) - 1000 } };
	assert_int_equal(futimens(lock, old), 0);
	deliver(plain, "file@example.org", OST_SENT, "2.0.0", "delivered to mailbox"); /* left over */
	close(lock);
	int fd = open(at("deep/file"), O_RDWR | O_CLOEXEC);
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &l), 0);
	deliver(plain, "file@example.org", OST_DEFERRED, "4.2.0", "unable to lock for exclusive access");
	struct scene *s = scene_new(plain, "file@example.org");
	set_text(s, "virtual_mailbox_lock", "flock");
	expect(s, OST_SENT, "2.0.0", "delivered to mailbox"); /* another kind of lock */
	assert_int_equal(flock(fd, LOCK_EX), 0);
	expect(s, OST_DEFERRED, "4.2.0", "unable to lock for exclusive access");
	scene_free(s);
	close(fd);
}

static void what_is_no_mailbox_is_left_alone(void **state)
{
	(void)state;
	char target[600];
	snprintf(target, sizeof target, "%s", at("target"));
	int fd = open(target, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "precious", 8), 8);
	close(fd);
	assert_int_equal(symlink(target, at("sym")), 0);
	assert_int_equal(link(target, at("hard")), 0);
	assert_int_equal(mkfifo(at("fifo"), 0600), 0);
	fd = open(at("exec"), O_CREAT | O_WRONLY | O_CLOEXEC, 0700);
	close(fd);
	deliver(plain, "sym@example.org", OST_BOUNCED, "5.2.0", "cannot open file: Too many levels of symbolic links");
	deliver(plain, "hard@example.org", OST_DEFERRED, "4.2.0", "file has more than one link");
	deliver(plain, "fifo@example.org", OST_DEFERRED, "4.2.0", "destination is not a regular file");
	deliver(plain, "exec@example.org", OST_DEFERRED, "4.2.0", "file is executable");
	assert_string_equal(text_of("target"), "precious");
}

static void limits(void **state)
{
	(void)state;
	struct scene *s = scene_new(plain, "file@example.org");
	expect(s, OST_SENT, "2.0.0", "delivered to mailbox");
	struct stat before, after;
	assert_int_equal(stat(at("deep/file"), &before), 0);
	set_number(s, "virtual_mailbox_limit", before.st_size * 2 - 1);
	expect(s, OST_BOUNCED, "5.2.2", "error writing message: File too large");
	assert_int_equal(stat(at("deep/file"), &after), 0);
	assert_int_equal(after.st_size, before.st_size);
	scene_free(s);
	s = scene_new(plain, "dir@example.org");
	set_number(s, "virtual_mailbox_limit", 20);
	expect(s, OST_BOUNCED, "5.2.2", "maildir delivery failed: error writing message: File too large");
	assert_int_equal(files_in("deep/dir/tmp", NULL), 0);
	scene_free(s);
}

/* ---- tables -------------------------------------------------------------------------------------------------------------------- */

static void what_tables_say(void **state)
{
	(void)state;
	deliver(plain, "nobody@example.org", OST_BOUNCED, "5.1.1", "unknown user: \"nobody@example.org\"");
	static const char *const wrong[] = { "broken@example.org", "empty@example.org", "nouid@example.org",
					     "text@example.org", "low@example.org", "badmap@example.org" };
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		deliver(plain, wrong[i], OST_DEFERRED, "4.3.5", "mail system configuration error");
	assert_int_equal(files_in("", NULL), 0);
}

static void a_missing_base_is_waited_for(void **state)
{
	(void)state;
	struct scene *s = scene_new(plain, "dir@example.org");
	s->trial.home = "/nonexistent";
	expect(s, OST_DEFERRED, "4.2.0", "cannot open the home folder");
	scene_free(s);
}

static void mail_that_was_here_before(void **state)
{
	(void)state;
	deliver("Delivered-To: x@y\nDELIVERED-TO:  Dir@Example.Org \nSubject: x\n\n", "dir@example.org", OST_BOUNCED, "5.4.6",
		"mail forwarding loop for dir@example.org");
	deliver("Subject: x\n\nDelivered-To: dir@example.org\n", "dir@example.org", OST_SENT, "2.0.0", "delivered to maildir");
	static const struct {
		const char *header;
		bool has;
	} rows[] = { { "N: v\n", true },      { "N:v", true },           { "n:\tV \r\nx: y\n", true }, { "N: v w\n", false },
		     { "NN: v\n", false },    { "M: x\n\nN: v\n", false }, { "", false },                { "N", false },
		     { "N:", false },         { " N: v\n", false } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(header_has(rows[i].header, strlen(rows[i].header), "N", "v"), rows[i].has);
}

static void envelopes_stay_in_their_lines(void **state)
{
	(void)state;
	char path[400];
	struct scene *s = scene_new(plain, "dir@example.org");
	s->trial.d.sender = "a b\nBcc: x@y";
	s->trial.rcpts[0].original = "o\r\nX: y";
	expect(s, OST_SENT, "2.0.0", "delivered to maildir");
	scene_free(s);
	assert_int_equal(files_in("deep/dir/new", path), 1);
	assert_ptr_equal(strstr(text_of(path), "Return-Path: <a b?Bcc: x@y>\nX-Original-To: o??X: y\nDelivered-To: dir@"),
			 text_of(path));
}

#define IN_BASE(test) cmocka_unit_test_setup_teardown(test, make_base, remove_base)
int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_BASE(maildirs_are_made_and_filled),
		IN_BASE(a_large_message_comes_from_its_descriptor),
		IN_BASE(a_failed_sync_leaves_nothing),
		IN_BASE(a_batch_shares_its_maildirs),
		IN_BASE(no_way_leads_out_of_the_base),
		IN_BASE(mailbox_files_grow),
		IN_BASE(from_lines_at_borders),
		IN_BASE(locks_are_honoured),
		IN_BASE(what_is_no_mailbox_is_left_alone),
		IN_BASE(limits),
		IN_BASE(what_tables_say),
		IN_BASE(a_missing_base_is_waited_for),
		IN_BASE(mail_that_was_here_before),
		IN_BASE(envelopes_stay_in_their_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
