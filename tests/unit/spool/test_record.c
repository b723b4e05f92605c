/* SPDX-License-Identifier: Apache-2.0
 * The record format: round trips, what is unknown, what is broken. */
#include "helper.h"

#include <string.h>

#include "spool/record.h"

static struct spool_envelope *again(struct arena *a, const struct spool_envelope *e)
{
	struct buf b = BUF_INIT;
	struct spool_envelope *back;
	envelope_put(&b, e);
	assert_int_equal(envelope_get(a, b.data, b.len, &back), BODY_GOOD);
	buf_free(&b);
	return back;
}

static void round_trip_of_every_field(void **state)
{
	(void)state;
	struct arena *a = arena_new();
	struct spool_envelope *e = full_envelope(a, 5);
	assert_same_envelope(e, again(a, e));
	struct arena *other = arena_new();
	struct spool_envelope *copy = envelope_copy(other, e);
	struct buf before = BUF_INIT, after = BUF_INIT;
	envelope_put(&before, e);
	arena_destroy(&a);
	envelope_put(&after, copy);
	assert_int_equal(before.len, after.len);
	assert_memory_equal(before.data, after.data, before.len);
	buf_free(&before);
	buf_free(&after);
	arena_destroy(&other);
}

static void fields_not_given_stay_so(void **state)
{
	(void)state;
	struct arena *a = arena_new();
	struct spool_envelope *e = plain_envelope(a, "", "b@example.com");
	e->serial = 9;
	struct spool_envelope *back = again(a, e);
	assert_same_envelope(e, back);
	assert_string_equal(back->sender, "");
	assert_null(back->envid);
	assert_null(back->rcpts[0].original);
	arena_destroy(&a);
}

static void unknown_fields_survive(void **state)
{
	(void)state;
	struct arena *a = arena_new();
	struct spool_envelope *e = plain_envelope(a, "a@example.com", "b@example.com"), *back;
	e->serial = 9;
	struct buf later = BUF_INIT, b = BUF_INIT;
	tlv_put(&later, 900, 0, "later", 5);
	tlv_put(&later, 901, 0, "\0\1\2", 3);
	e->extra = (struct spool_extra){ later.data, later.len };
	e->rcpts[0].extra = e->extra;
	assert_same_envelope(e, again(a, again(a, e)));
	e->attrs = &(struct spool_attr){ .name = "{no_such_macro}", .value = "kept" };
	e->nattrs = 1;
	assert_same_envelope(e, again(a, e));
	envelope_put(&b, e);
	tlv_put(&b, 902, TLV_CRITICAL, "x", 1);
	assert_int_equal(envelope_get(a, b.data, b.len, &back), BODY_CRITICAL);
	buf_free(&b);
	buf_free(&later);
	arena_destroy(&a);
}

static void broken_envelopes_are_refused(void **state)
{
	(void)state;
	struct arena *a = arena_new();
	struct spool_envelope *e = full_envelope(a, 2), *back;
	struct buf b = BUF_INIT;
	envelope_put(&b, e);
	size_t taken = 0;
	for (size_t n = 0; n < b.len; n++) { /* every shorter piece is refused, or ends where a field ends */
		struct buf same = BUF_INIT;
		if (envelope_get(a, b.data, n, &back) != BODY_GOOD)
			continue;
		envelope_put(&same, back);
		assert_int_equal(same.len, n);
		assert_memory_equal(same.data, b.data, n);
		buf_free(&same);
		taken++;
	}
	assert_in_range(taken, 30, 40);
	buf_free(&b);
	tlv_put_u64(&b, 1, 9);
	tlv_put(&b, 3, 0, "a\0b", 3); /* a NUL in a text */
	assert_int_equal(envelope_get(a, b.data, b.len, &back), BODY_BAD);
	buf_truncate(&b, 16);
	assert_int_equal(envelope_get(a, b.data, b.len, &back), BODY_BAD); /* no sender */
	tlv_put_str(&b, 3, "a@example.com");
	tlv_put(&b, FIELD_RCPT, 0, NULL, 0); /* a recipient without address */
	assert_int_equal(envelope_get(a, b.data, b.len, &back), BODY_BAD);
	buf_free(&b);
	arena_destroy(&a);
}

static void heads_verify_with_their_salt_alone(void **state)
{
	(void)state;
	struct salt salt, other;
	assert_true(salt_draw(&salt));
	assert_true(salt_draw(&other));
	struct record_head h = { .kind = RECORD_MESSAGE,
				 .serial = 77,
				 .sequence = 3,
				 .at = 8192,
				 .content_off = RECORD_HEAD,
				 .prefix_len = 4,
				 .content_len = 11,
				 .body_len = 5,
				 .content_sum = record_content_sum(77, "pre:content", 11, 4),
				 .body_sum = record_body_sum(77, "body!", 5) };
	char head[RECORD_HEAD];
	struct record_head back;
	record_head_put(head, &h, &salt);
	assert_int_equal(record_head_get(head, &salt, &back), RECORD_GOOD);
	assert_int_equal(back.serial, 77);
	assert_int_equal(back.sequence, 3);
	assert_int_equal(back.at, 8192);
	assert_int_equal(record_length(&back), RECORD_HEAD + 16);
	assert_true(record_content_good(&back, "pre:content"));
	assert_false(record_content_good(&back, "pre:contenT"));
	assert_false(record_content_good(&back, "prE:content"));
	assert_true(record_body_good(&back, "body!"));
	assert_false(record_body_good(&back, "body?"));
	assert_int_equal(record_head_get(head, &other, &back), RECORD_NONE);
	for (size_t bit = 0; bit < sizeof head * 8; bit++) {
		head[bit / 8] ^= (char)(1 << bit % 8);
		assert_int_not_equal(record_head_get(head, &salt, &back), RECORD_GOOD);
		head[bit / 8] ^= (char)(1 << bit % 8);
	}
}

static void heads_tell_of_the_form(void **state)
{
	(void)state;
	const struct salt salt = { { 1 } };
	char head[RECORD_HEAD];
	struct record_head back, h = { .kind = RECORD_MESSAGE, .serial = 7, .sequence = 1, .content_off = RECORD_HEAD,
				       .content_len = 1000,
				       .wire = { .is = true, .odd = true, .longest = 80, .lf_size = 990 } };
	record_head_put(head, &h, &salt);
	assert_int_equal(record_head_get(head, &salt, &back), RECORD_GOOD);
	assert_memory_equal(&back.wire, &h.wire, sizeof h.wire);
	assert_int_equal(record_lf_size(&back), 990);
	h.wire.lf_size = 1001; /* more than in wire form */
	record_head_put(head, &h, &salt);
	assert_int_equal(record_head_get(head, &salt, &back), RECORD_BROKEN);
	h.wire = (struct wire_facts){ .is = false };
	record_head_put(head, &h, &salt);
	assert_int_equal(record_head_get(head, &salt, &back), RECORD_GOOD);
	assert_int_equal(record_lf_size(&back), 1000);
	assert_false(back.wire.is);
}

static void a_sum_does_not_depend_on_the_pieces(void **state)
{
	(void)state;
	char text[5000];
	fill_content(text, sizeof text, 1);
	struct sum whole = sum_bytes(5, text, sizeof text);
	struct sum_stream *s = sum_stream_new(5);
	for (size_t at = 0; at < sizeof text; at += 250)
		sum_stream_add(s, text + at, 250);
	assert_true(sum_equal(whole, sum_stream_end(&s)));
	assert_true(sum_equal(whole, sum_two(5, text, 1000, text + 1000, 4000)));
	assert_false(sum_equal(whole, sum_bytes(6, text, sizeof text)));
}

static void updates_and_results_round_trip(void **state)
{
	(void)state;
	struct arena *a = arena_new();
	struct result_row rows[2] = {
		{ .result = { .rcpt = 0,
			      .status = RCPT_DEFERRED,
			      .when = 10,
			      .dsn = "4.4.1",
			      .reason = "no answer" },
		  .next_try = 99 },
		{ .result = { .rcpt = 1,
			      .status = RCPT_SENT,
			      .when = 11,
			      .dsn = "2.0.0",
			      .mta = "dns; mx.example" } },
	};
	struct spool_update u = { .set_flags = MSG_HOLD,
				  .clear_flags = MSG_FLUSH,
				  .rounds = 2,
				  .warn_at = -1,
				  .rows = rows,
				  .nrows = 2 },
			    *back;
	struct buf b = BUF_INIT;
	update_put(&b, &u);
	assert_int_equal(update_get(a, b.data, b.len, &back), BODY_GOOD);
	struct spool_envelope *e = plain_envelope(a, "a@example.com", "b@example.com");
	struct spool_rcpt rcpts[2] = { { .address = "b@example.com" }, { .address = "c@example.com" } };
	e->rcpts = rcpts;
	e->nrcpts = 2;
	e->flags = MSG_FLUSH | MSG_8BITMIME;
	e->warn_at = 5;
	update_apply(e, back);
	update_apply(e, back); /* the same again changes nothing */
	assert_int_equal(e->flags, MSG_HOLD | MSG_8BITMIME);
	assert_int_equal(e->rounds, 2);
	assert_int_equal(e->warn_at, 0);
	assert_int_equal(rcpts[0].status, RCPT_DEFERRED);
	assert_int_equal(rcpts[0].attempts, 1);
	assert_int_equal(rcpts[0].next_try, 99);
	assert_string_equal(rcpts[0].reason, "no answer");
	assert_int_equal(rcpts[1].status, RCPT_SENT);
	assert_string_equal(rcpts[1].mta, "dns; mx.example");
	buf_free(&b);
	struct spool_result r = {
		.serial = 5, .rcpt = 3, .status = RCPT_FAILED, .when = 1, .diagnostic = "smtp; 550 no"
	};
	struct result_row *got;
	size_t n;
	results_put(&b, &r, 1);
	assert_int_equal(results_get(a, b.data, b.len, &got, &n), BODY_GOOD);
	assert_int_equal(n, 1);
	assert_int_equal(got[0].result.serial, 5);
	assert_int_equal(got[0].result.status, RCPT_FAILED);
	assert_string_equal(got[0].result.diagnostic, "smtp; 550 no");
	buf_free(&b);
	arena_destroy(&a);
}

static void a_final_state_never_goes_back(void **state)
{
	(void)state;
	struct spool_rcpt r = { .address = "b@example.com" };
	assert_true(result_apply(&r, &(struct result_row){ .result = { .status = RCPT_SENT, .when = 50 } }));
	assert_false(
		result_apply(&r, &(struct result_row){ .result = { .status = RCPT_DEFERRED, .when = 60 } }));
	assert_false(
		result_apply(&r, &(struct result_row){ .result = { .status = RCPT_FAILED, .when = 60 } }));
	assert_int_equal(r.status, RCPT_SENT);
	assert_true(result_apply(&r, &(struct result_row){ .result = { .status = RCPT_DONE, .when = 60 } }));
	assert_false(result_apply(&r, &(struct result_row){ .result = { .status = RCPT_SENT, .when = 70 } }));
	assert_int_equal(r.status, RCPT_DONE);
	r = (struct spool_rcpt){ .address = "c@example.com" };
	assert_true(
		result_apply(&r, &(struct result_row){ .result = { .status = RCPT_DEFERRED, .when = 60 } }));
	assert_false(
		result_apply(&r, &(struct result_row){ .result = { .status = RCPT_DEFERRED, .when = 50 } }));
	assert_int_equal(r.attempts, 1);
}

static void queue_ids_lead_back(void **state)
{
	(void)state;
	static const uint64_t serials[] = { 1,
					    2,
					    4095,
					    4096,
					    0xffffffff,
					    UINT64_C(0xffffffffff),
					    UINT64_C(0x10000000000),
					    UINT64_C(0x123456789abcdef0),
					    UINT64_MAX };
	char text[QUEUE_ID_SIZE];
	uint64_t back;
	for (size_t i = 0; i < 9 + 20000; i++) {
		uint64_t serial = i < 9 ? serials[i] : i * UINT64_C(7919);
		queue_id_text(text, serial, false);
		assert_true(strlen(text) >= 10 && strspn(text, "0123456789ABCDEF") == strlen(text));
		assert_true(queue_id_parse(text, &back));
		assert_int_equal(back, serial);
		queue_id_text(text, serial, true);
		assert_int_equal(text[10], 'z');
		assert_int_equal(strspn(text, "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"), 15);
		assert_true(queue_id_parse(text, &back));
		assert_int_equal(back, serial);
	}
	static const char *const bad[] = { "",
					   "1",
					   "../../etc/passwd",
					   "ABCDEF012",
					   "ABCDEF012g",
					   "abcdef0123",
					   "ABCDEF0123 ",
					   "0000000000",
					   "0123456789z0",
					   "zzzzzzzzzzzzzzz",
					   "BBBBBBBBBBzBBBa",
					   "00000000000000000000000000000" };
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(queue_id_parse(bad[i], &back));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip_of_every_field),
		cmocka_unit_test(fields_not_given_stay_so),
		cmocka_unit_test(unknown_fields_survive),
		cmocka_unit_test(broken_envelopes_are_refused),
		cmocka_unit_test(heads_verify_with_their_salt_alone),
		cmocka_unit_test(heads_tell_of_the_form),
		cmocka_unit_test(a_sum_does_not_depend_on_the_pieces),
		cmocka_unit_test(updates_and_results_round_trip),
		cmocka_unit_test(a_final_state_never_goes_back),
		cmocka_unit_test(queue_ids_lead_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
