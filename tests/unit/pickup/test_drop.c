/* SPDX-License-Identifier: Apache-2.0
 * Files of maildrop/: written, read back, and every way in which one can be cut off or wrong. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/tlv.h"
#include "ipc/protocol.h"
#include "pickup/drop.h"

static char dir[] = "/tmp/ostler-drop-XXXXXX";

static int setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return rmdir(dir);
}

/* Reads a file to its end: the last record; bytes of content in *bytes, envelope fields of type F_ADDRESS in *rcpts. */
static enum drop_record read_all(int fd, size_t *bytes, size_t *rcpts)
{
	struct drop_reader r = { .fd = fd };
	const char *p;
	size_t n;
	enum drop_record got;
	*bytes = *rcpts = 0;
	while ((got = drop_read(&r, &p, &n)) == DROP_ENVELOPE || got == DROP_DATA) {
		struct tlv_reader fields = tlv_read(p, n);
		struct tlv f;
		if (got == DROP_DATA)
			*bytes += n;
		while (got == DROP_ENVELOPE && tlv_next(&fields, &f))
			*rcpts += f.type == F_ADDRESS;
	}
	drop_reader_free(&r);
	return got;
}

static void written_and_read(void **state)
{
	(void)state;
	static const size_t sizes[] = { 0, 1, 1000, 65536, 65537, 300000 };
	char *content = mem_alloc(300000), name[DROP_NAME_LEN + 1], path[200];
	const char **rcpts = mem_alloc(20000 * sizeof *rcpts);
	memset(content, 'x', 300000);
	for (size_t i = 0; i < 20000; i++)
		rcpts[i] = "somebody.with.a.long.name@somewhere.example";
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct submission s = { .name = name, .sender = "a@b", .rcpts = rcpts, .nrcpts = i == 3 ? 20000 : i + 1 };
		struct ost_why why = { "" };
		struct stat st;
		size_t bytes, n;
		assert_true(drop_name_new(name));
		assert_true(drop_write(dir, &s, content, sizes[i], &why));
		assert_true(drop_name_valid(name));
		snprintf(path, sizeof path, "%s/%s", dir, name);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0444);
		int fd = open(path, O_RDONLY);
		assert_int_equal(read_all(fd, &bytes, &n), DROP_END);
		assert_int_equal(bytes, sizes[i]);
		assert_int_equal(n, s.nrcpts);
		close(fd);
		unlink(path);
	}
	free(content);
	free(rcpts);
}

static void cut_files_are_bad(void **state)
{
	(void)state;
	const char *rcpts[] = { "a@b", "c@d" };
	char name[DROP_NAME_LEN + 1], path[200];
	struct submission s = { .name = name, .sender = "", .full_name = "Joe", .rcpts = rcpts, .nrcpts = 2 };
	struct ost_why why;
	size_t len, bytes, n;
	assert_true(drop_name_new(name));
	assert_true(drop_write(dir, &s, "Subject: x\n\nbody\n", 17, &why));
	snprintf(path, sizeof path, "%s/%s", dir, name);
	char *whole = io_read_file(AT_FDCWD, path, 100000, &len);
	for (size_t cut = 0; cut < len; cut++) {
		int fd = io_memfd("cut", whole, cut);
		assert_int_equal(read_all(fd, &bytes, &n), DROP_BAD);
		close(fd);
	}
	for (size_t i = 0; i < len; i++) { /* a byte that is wrong: whatever comes of it, it ends */
		whole[i] ^= 0x80;
		int fd = io_memfd("wrong", whole, len);
		(void)read_all(fd, &bytes, &n);
		close(fd);
		whole[i] ^= 0x80;
	}
	free(whole);
	unlink(path);
}

static void names(void **state)
{
	(void)state;
	assert_true(drop_name_valid("0123456789ABCDEF0123456789ABCDEF"));
	assert_false(drop_name_valid("0123456789abcdef0123456789ABCDEF"));
	assert_false(drop_name_valid("0123456789ABCDEF0123456789ABCDE"));
	assert_false(drop_name_valid("0123456789ABCDEF0123456789ABCDEF0"));
	assert_false(drop_name_valid("../../../../../../../../etc/pass"));
	assert_false(drop_name_valid(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(written_and_read),
		cmocka_unit_test(cut_files_are_bad),
		cmocka_unit_test(names),
	};
	return cmocka_run_group_tests_name("pickup/drop", tests, setup, teardown);
}
