/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/sanitize.h"
#include "base/tlv.h"
#include "base/why.h"

static void buffers_grow_and_stay_terminated(void **state)
{
	struct buf b = BUF_INIT;
	assert_string_equal(buf_str(&b), "");
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "%d,", i);
	assert_int_equal(strlen(b.data), b.len);
	buf_consume(&b, 2);
	assert_memory_equal(b.data, "1,2,", 4);
	buf_truncate(&b, 3);
	assert_string_equal(b.data, "1,2");
	buf_reset(&b);
	assert_string_equal(buf_str(&b), "");
	buf_puts(&b, "end");
	size_t len;
	char *s = buf_steal(&b, &len);
	assert_string_equal(s, "end");
	assert_int_equal(len, 3);
	assert_int_equal(b.len, 0);
	free(s);
}

static void arenas_hold_large_and_small(void **state)
{
	struct arena *a = arena_new();
	for (int round = 0; round < 3; round++) {
		char *first = arena_strdup(a, "first");
		char *zero = arena_alloc(a, 100000);
		for (size_t i = 0; i < 100000; i++)
			assert_int_equal(zero[i], 0);
		memset(zero, 7, 100000);
		for (int i = 0; i < 1000; i++) {
			char *p = arena_alloc(a, (size_t)i);
			assert_int_equal((uintptr_t)p % 16, 0);
			memset(p, 1, (size_t)i);
		}
		assert_string_equal(first, "first");
		assert_string_equal(arena_printf(a, "%s-%d", first, round), round == 0 ? "first-0" : round == 1 ? "first-1" : "first-2");
		arena_reset(a);
	}
	arena_destroy(&a);
	assert_null(a);
	arena_destroy(&a);
}

static void fields_come_back(void **state)
{
	struct buf b = BUF_INIT;
	struct tlv f;
	uint64_t v;
	tlv_put_str(&b, 1, "text");
	tlv_put_str(&b, 2, NULL);
	tlv_put_u64(&b, 3, UINT64_C(0x1122334455667788));
	size_t mark = tlv_open(&b, 4, TLV_CRITICAL);
	tlv_put_str(&b, 5, "inner");
	tlv_close(&b, mark);
	struct tlv_reader r = tlv_read(b.data, b.len);
	assert_true(tlv_next(&r, &f) && f.type == 1 && f.len == 4);
	assert_false(tlv_u64(&f, &v));
	assert_true(tlv_next(&r, &f) && f.type == 3 && tlv_u64(&f, &v));
	assert_int_equal(v, UINT64_C(0x1122334455667788));
	assert_true(tlv_next(&r, &f) && f.type == 4 && f.flags == TLV_CRITICAL);
	struct tlv_reader inner = tlv_read(f.data, f.len);
	assert_true(tlv_next(&inner, &f) && f.type == 5 && memcmp(f.data, "inner", 5) == 0);
	assert_false(tlv_next(&inner, &f));
	assert_false(inner.bad);
	assert_false(tlv_next(&r, &f));
	assert_false(r.bad);
	buf_free(&b);
}

static void cut_fields_are_bad(void **state)
{
	struct buf b = BUF_INIT;
	struct tlv f;
	tlv_put_str(&b, 1, "text");
	for (size_t cut = 1; cut < b.len; cut++) {
		struct tlv_reader r = tlv_read(b.data, cut);
		assert_false(tlv_next(&r, &f));
		assert_true(r.bad);
	}
	buf_free(&b);
}

static void texts_from_outside_are_cleaned(void **state)
{
	static const struct {
		const char *in;
		size_t len;
		const char *log, *reply;
	} table[] = {
		{ "plain text", 10, "plain text", "plain text" },
		{ "a\r\nb\tc\0d\x7f", 9, "a??b?c?d?", "a??b?c?d?" },
		{ "\x1b[31mred", 8, "?[31mred", "?[31mred" },
		{ "gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f", "gr????" },
		{ "\xc0\x80\xed\xa0\x80", 5, "?????", "?????" },
		{ "\xc2\x85next", 6, "??next", "??next" },
		{ "cut \xe2\x82", 6, "cut ??", "cut ??" },
		{ "eight bytes at once\x7f then\x1f\x80 and \xff", 33, "eight bytes at once? then?? and ?",
		  "eight bytes at once? then?? and ?" },
	};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		char out[64];
		assert_string_equal(sanitize_into(out, sizeof out, table[i].in, table[i].len, SANITIZE_LOG), table[i].log);
		assert_string_equal(sanitize_into(out, sizeof out, table[i].in, table[i].len, SANITIZE_REPLY),
				    table[i].reply);
		struct buf b = BUF_INIT;
		sanitize(&b, table[i].in, table[i].len, 1000, SANITIZE_LOG);
		assert_string_equal(buf_str(&b), table[i].log);
		buf_free(&b);
	}
}

static void cleaning_never_cuts_a_character(void **state)
{
	char out[8];
	assert_string_equal(sanitize_into(out, 6, "abcd\xc3\xbc", 6, SANITIZE_LOG), "abcd");
	assert_string_equal(sanitize_into(out, 7, "abcd\xc3\xbc", 6, SANITIZE_LOG), "abcd\xc3\xbc");
	struct buf b = BUF_INIT;
	sanitize(&b, "abcd\xc3\xbc", 6, 5, SANITIZE_LOG);
	assert_string_equal(buf_str(&b), "abcd");
	buf_free(&b);
}

static void utf8_is_rfc_3629(void **state)
{
	assert_true(utf8_valid("\xf0\x9f\x90\xb4 \xe2\x82\xac", 8));
	assert_false(utf8_valid("\xf4\x90\x80\x80", 4)); /* above U+10FFFF */
	assert_false(utf8_valid("\xe0\x80\x80", 3));     /* overlong */
	assert_false(utf8_valid("\xed\xbf\xbf", 3));     /* surrogate */
}

static void reasons_are_cut_not_overrun(void **state)
{
	struct ost_why why;
	char large[1000];
	memset(large, 'x', sizeof large - 1);
	large[sizeof large - 1] = '\0';
	assert_false(why_set(&why, "%s", large));
	assert_int_equal(strlen(why.text), sizeof why.text - 1);
	errno = ENOENT;
	assert_false(why_errno(&why, "open %s", "/no/such"));
	assert_string_equal(why.text, "open /no/such: No such file or directory");
	errno = ENOENT;
	assert_false(why_errno(&why, "%s", large));
	assert_int_equal(errno, ENOENT);
	assert_false(why_set(NULL, "nobody asks"));
}

static void log_lines_are_one_clean_line(void **state)
{
	char path[] = "/tmp/test-log-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	log_open(&(struct log_to){ .syslog_name = "ostler", .role = "test", .fd = fd });
	log_info("helo=<%s>", "x\r\nNov 1 00:00:00 host forged[1]: line\x1b");
	log_warning("%0*d", 5000, 1);
	size_t len;
	char *text = io_read_file(AT_FDCWD, path, 100000, &len);
	assert_non_null(text);
	int lines = 0;
	for (size_t i = 0; i < len; i++) {
		lines += text[i] == '\n';
		assert_true(text[i] == '\n' || (unsigned char)text[i] >= 0x20);
	}
	assert_int_equal(lines, 2);
	assert_non_null(strstr(text, "ostler/test["));
	assert_non_null(strstr(text, "]: helo=<x??Nov 1 00:00:00 host forged[1]: line?>\n"));
	assert_non_null(strstr(text, "]: warning: 000"));
	assert_true(len < 2600);
	free(text);
	close(fd);
	unlink(path);
}

static void sealed_memory_cannot_be_changed(void **state)
{
	char text[6];
	int fd = io_memfd("test", "sealed", 6);
	assert_true(fd >= 0);
	assert_true(io_pread_full(fd, text, 6, 0));
	assert_memory_equal(text, "sealed", 6);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 3), -1);
	assert_false(io_pread_full(fd, text, 6, 3));
	assert_int_equal(errno, 0);
	io_close(&fd);
	assert_int_equal(fd, -1);
}

static void deadlines_become_poll_times(void **state)
{
	assert_int_equal(clock_poll_ms(CLOCK_NEVER), -1);
	assert_int_equal(clock_poll_ms(clock_mono() - 5), 0);
	int ms = clock_poll_ms(clock_mono() + 100 * CLOCK_SECOND);
	assert_in_range(ms, 99000, 100000);
	assert_int_equal(clock_poll_ms(INT64_MAX - 1), 2147483647);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffers_grow_and_stay_terminated),
		cmocka_unit_test(arenas_hold_large_and_small),
		cmocka_unit_test(fields_come_back),
		cmocka_unit_test(cut_fields_are_bad),
		cmocka_unit_test(texts_from_outside_are_cleaned),
		cmocka_unit_test(cleaning_never_cuts_a_character),
		cmocka_unit_test(utf8_is_rfc_3629),
		cmocka_unit_test(reasons_are_cut_not_overrun),
		cmocka_unit_test(log_lines_are_one_clean_line),
		cmocka_unit_test(sealed_memory_cannot_be_changed),
		cmocka_unit_test(deadlines_become_poll_times),
	};
	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
