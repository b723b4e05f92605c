/* SPDX-License-Identifier: Apache-2.0
 * Messages that are taken along: their envelope goes out behind the final dot of the one before. The scripts read it before
 * they answer that dot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transports/smtp/test_scene.h"

#define ENVELOPE "<MAIL\n<RCPT\n<DATA\n"
#define GRANTED ">250 ok\n>250 ok\n>354 go\n"

/* No deadline is what these are about. */
static struct scene *patient_scene(const char *script, uint32_t nrcpts)
{
	struct scene *s = scene_new(script, nrcpts);
	struct smtp_config *c = &s->config;
	c->helo_timeout = c->mail_timeout = c->rcpt_timeout = c->data_init_timeout = c->data_xfer_timeout =
		c->data_done_timeout = c->connect_timeout = 60 * 1000000;
	return s;
}

static void one_after_the_other(void **state)
{
	(void)state;
	struct scene *s = patient_scene(GREET ENVELOPE GRANTED "body\n" ENVELOPE ">250 one\n" GRANTED "body\n" ENVELOPE
				    ">250 two\n" GRANTED "body\n>250 three\n<QUIT\n", 1);
	scene_behind(s, 2);
	deliver(s);
	scene_end(s);
	assert_string_equal(s->trial.told[0].text, "250 one");
	assert_string_equal(s->behind[0].told[0].text, "250 two");
	assert_string_equal(s->behind[1].told[0].text, "250 three");
	assert_int_equal(s->trial.told[0].uses, 1);
	assert_int_equal(s->behind[1].told[0].uses, 3);
	assert_true(s->trial.finished && s->behind[0].finished && s->behind[1].finished);
	scene_free(s);
}

static void not_without_pipelining(void **state)
{
	(void)state;
	struct scene *s = patient_scene(GREET_BARE "<MAIL\n>250 ok\n<RCPT\n>250 ok\n<DATA\n>354 go\nbody\n>250 one\n<QUIT\n", 1);
	scene_behind(s, 1);
	deliver(s);
	scene_end(s);
	assert_string_equal(s->trial.told[0].text, "250 one");
	assert_int_equal(s->behind[0].told[0].times, 0);
	assert_ptr_equal(s->trial.behind, &s->behind[0]);
	scene_free(s);
}

/* The connection breaks while two messages are on it: the first may have arrived, the second certainly has not. */
static void a_broken_connection_costs_the_first_only(void **state)
{
	(void)state;
	struct scene *s = patient_scene(GREET ENVELOPE GRANTED "body\n" ENVELOPE "reset\nagain\n" GREET ENVELOPE GRANTED
				    "body\n>250 two\n<QUIT\n", 1);
	scene_behind(s, 2);
	deliver(s);
	scene_end(s);
	assert_int_equal(s->trial.told[0].status, OST_DEFERRED);
	assert_non_null(strstr(s->trial.told[0].text, "message may be sent more than once"));
	assert_string_equal(s->behind[0].told[0].text, "250 two");
	assert_int_equal(s->behind[0].told[0].uses, 1);
	assert_int_equal(s->behind[1].told[0].times, 0); /* stays where it was, for another thread */
	scene_free(s);
}

static void a_closing_server_costs_the_first_only(void **state)
{
	(void)state;
	struct scene *s = patient_scene(GREET ENVELOPE GRANTED "body\n" ENVELOPE ">421 4.3.2 closing\nclose\nagain\n" GREET ENVELOPE
				    GRANTED "body\n>250 two\n<QUIT\n", 1);
	scene_behind(s, 1);
	deliver(s);
	scene_end(s);
	assert_string_equal(s->trial.told[0].dsn, "4.3.2");
	assert_string_equal(s->behind[0].told[0].text, "250 two");
	scene_free(s);
}

static void a_refused_dot_ends_the_line(void **state)
{
	(void)state;
	struct scene *s = patient_scene(GREET ENVELOPE GRANTED "body\n" ENVELOPE ">451 4.7.1 later\n" GRANTED
				    "body\n>250 two\n<QUIT\n", 1);
	scene_behind(s, 2);
	deliver(s);
	scene_end(s);
	assert_string_equal(s->trial.told[0].dsn, "4.7.1");
	assert_string_equal(s->behind[0].told[0].text, "250 two");
	assert_int_equal(s->behind[1].told[0].times, 0);
	scene_free(s);
}

/* A recipient that another server may take is not kept waiting behind other messages. */
static void not_while_a_recipient_is_left(void **state)
{
	(void)state;
	struct scene *s = patient_scene(GREET "<MAIL\n<RCPT\n<RCPT\n<DATA\n>250 ok\n>250 ok\n>450 4.2.0 later\n>354 go\n"
				    "body\n>250 one\n<QUIT\n", 2);
	scene_behind(s, 1);
	deliver(s);
	scene_end(s);
	assert_string_equal(s->trial.told[0].text, "250 one");
	assert_int_equal(s->trial.told[1].status, OST_DEFERRED);
	assert_int_equal(s->behind[0].told[0].times, 0);
	scene_free(s);
}

/* Its recipients are refused: the server's "354" gets an empty message, and the connection may be used again. */
static void a_follower_that_is_refused(void **state)
{
	(void)state;
	struct scene *s = patient_scene(GREET ENVELOPE GRANTED "body\n" ENVELOPE ">250 one\n>250 ok\n>550 5.1.1 no\n>354 go\nbody\n"
				    ">554 no\n<QUIT\n", 1);
	scene_behind(s, 2);
	deliver(s);
	scene_end(s);
	assert_string_equal(s->trial.told[0].text, "250 one");
	assert_string_equal(s->behind[0].told[0].dsn, "5.1.1");
	assert_int_equal(s->behind[1].told[0].times, 0);
	scene_free(s);
}

/* What this server cannot take has its answer at once; the next one follows. */
static void what_does_not_fit_is_passed_over(void **state)
{
	(void)state;
	struct scene *s = patient_scene(">220 fake\n<EHLO\n>250-fake\n>250-PIPELINING\n>250 SIZE 100\n" ENVELOPE GRANTED "body\n"
				    ENVELOPE ">250 one\n" GRANTED "body\n>250 three\n<QUIT\n", 1);
	static char big[200];
	memset(big, 'x', sizeof big);
	scene_behind(s, 2);
	s->behind[0].content = big;
	s->behind[0].size = s->behind[0].d.content_size = sizeof big;
	deliver(s);
	scene_end(s);
	assert_string_equal(s->trial.told[0].text, "250 one");
	assert_string_equal(s->behind[0].told[0].dsn, "5.3.4");
	assert_string_equal(s->behind[1].told[0].text, "250 three");
	scene_free(s);
}

/* A large message follows and is followed. */
static void large_messages_in_line(void **state)
{
	(void)state;
	struct scene *s = patient_scene(GREET ENVELOPE GRANTED "body\n" ENVELOPE ">250 one\n" GRANTED "body\n" ENVELOPE ">250 two\n"
				    GRANTED "body\n>250 three\n<QUIT\n", 1);
	static char big[80 * 1024];
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = i % 60 == 59 ? '\n' : 'x';
	scene_behind(s, 2);
	s->behind[0].content = big;
	s->behind[0].size = s->behind[0].d.content_size = sizeof big;
	s->behind[0].in_memory = false;
	deliver(s);
	scene_end(s);
	assert_string_equal(s->behind[0].told[0].text, "250 two");
	assert_string_equal(s->behind[1].told[0].text, "250 three");
	scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_after_the_other),
		cmocka_unit_test(not_without_pipelining),
		cmocka_unit_test(a_broken_connection_costs_the_first_only),
		cmocka_unit_test(a_closing_server_costs_the_first_only),
		cmocka_unit_test(a_refused_dot_ends_the_line),
		cmocka_unit_test(not_while_a_recipient_is_left),
		cmocka_unit_test(a_follower_that_is_refused),
		cmocka_unit_test(what_does_not_fit_is_passed_over),
		cmocka_unit_test(large_messages_in_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
