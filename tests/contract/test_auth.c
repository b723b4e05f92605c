/* SPDX-License-Identifier: Apache-2.0
 * What every SASL back end must do: behind each is a server that knows one user. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "module/answer.h"
#include "module/module.h"
#include "ostler/auth.h"
#include "tests/support/fixture.h"
#include "tests/support/saslpeer.h"

/* One back end: the name of its instance, and the server behind it, whose socket is in the scratch folder. A new module adds its line. */
struct auth_case {
	const char *module, *name; /* NULL: unix: and the socket */
	const char *socket;        /* in the folder */
	peer_serve_fn *serve;
};
static struct auth_case cases[] = {
	{ "dovecot", NULL, "dovecot", peer_serve_dovecot },
	{ "cyrus", "smtpd", "mux", peer_serve_saslauthd },
};

static struct fixture fix;
static char folder[64] = "/tmp/test_auth.XXXXXX";
static const struct auth_case *tc; /* tests run one after the other */

/* ---- one back end ---------------------------------------------------------------------------------------------------- */

struct back_end {
	struct peer *peer;
	struct mod_instance *in;
};

static struct peer *start_server(void)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", folder, tc->socket);
	unlink(path);
	return peer_start(path, 0, tc->serve, NULL);
}

static struct mod_instance *open_module(void)
{
	struct ost_why why = { "" };
	char name[128];
	const struct mod_provider *p = mod_find(OST_KIND_AUTH, tc->module, &why);
	assert_string_equal(why.text, "");
	snprintf(name, sizeof name, "unix:%s/%s", folder, tc->socket);
	struct mod_instance *in = mod_open(p, fix.view, tc->name ? tc->name : name, &why);
	assert_string_equal(why.text, "");
	return in;
}

static struct back_end start(void *const *state)
{
	tc = *state;
	struct back_end b = { .peer = start_server() };
	b.in = open_module();
	return b;
}

static void stop(struct back_end *b)
{
	mod_close(&b->in);
	peer_stop(&b->peer);
}

static const struct ost_auth_ops *ops_of(struct mod_instance *in)
{
	return (const struct ost_auth_ops *)mod_ops(in);
}

static struct ost_auth_session session(void)
{
	return (struct ost_auth_session){ .size = sizeof(struct ost_auth_session), .service = "smtp", .server_name = "mx.test", .realm = "",
					  .client_address = "192.0.2.1", .client_port = "4000", .server_address = "192.0.2.2",
					  .server_port = "587" };
}

/* ---- calls ----------------------------------------------------------------------------------------------------------------- */

struct said { /* an outcome and what came with it */
	enum ost_auth outcome;
	char text[512];
	struct ost_why why;
};

static struct said call(struct mod_instance *in, const char *mechanism, const char *response, void **exchange, int64_t time)
{
	struct said s = { .why = { "" } };
	struct ost_auth_session about = session();
	struct arena *a = arena_new();
	struct ost_answer answer = { .arena = a, .why = &s.why };
	int64_t deadline = clock_mono() + time;
	mod_enter(in, "test", deadline);
	if (mechanism)
		s.outcome = ops_of(in)->begin(mod_self(in), &about, mechanism, response, deadline, exchange, &answer);
	else
		s.outcome = ops_of(in)->step(mod_self(in), *exchange, response, deadline, &answer);
	mod_leave(in);
	snprintf(s.text, sizeof s.text, "%s", answer.value ? answer.value : "");
	arena_destroy(&a);
	return s;
}

static void end(struct mod_instance *in, void *exchange)
{
	if (exchange)
		ops_of(in)->end(mod_self(in), exchange);
}

/* AUTH with what follows, to its end or to the last response. */
static struct said log_in(struct mod_instance *in, const char *mechanism, const char *const responses[])
{
	void *exchange = NULL;
	struct said s = call(in, mechanism, responses[0], &exchange, 5 * CLOCK_SECOND);
	for (size_t i = 1; responses[i]; i++) {
		if (s.outcome != OST_AUTH_CONTINUE)
			break;
		s = call(in, NULL, responses[i], &exchange, 5 * CLOCK_SECOND);
	}
	end(in, exchange);
	return s;
}

static struct said plain(struct mod_instance *in, const char *response)
{
	const char *const responses[] = { response, NULL };
	return log_in(in, "PLAIN", responses);
}

static const char *mechanisms(struct mod_instance *in, uint32_t without, uint32_t with)
{
	static char text[512];
	struct ost_auth_session about = session();
	struct ost_why why = { "" };
	struct arena *a = arena_new();
	struct ost_answer answer = { .arena = a, .why = &why };
	about.without = without;
	about.with = with;
	assert_int_equal(ops_of(in)->mechanisms(mod_self(in), &about, clock_mono() + 5 * CLOCK_SECOND, &answer), OST_AUTH_DONE);
	snprintf(text, sizeof text, " %s ", answer.value ? answer.value : "");
	arena_destroy(&a);
	return text;
}

/* ---- the suite ------------------------------------------------------------------------------------------------------------- */

static void mechanisms_fit_the_session(void **state)
{
	struct back_end b = start(state);
	assert_non_null(strstr(mechanisms(b.in, 0, 0), " PLAIN "));
	assert_non_null(strstr(mechanisms(b.in, OST_AUTH_ANONYMOUS, 0), " LOGIN "));
	assert_null(strstr(mechanisms(b.in, OST_AUTH_PLAINTEXT, 0), " PLAIN "));
	assert_null(strstr(mechanisms(b.in, 0, OST_AUTH_MUTUAL), " PLAIN "));
	assert_null(strstr(mechanisms(b.in, 0, 0), "INTERNAL"));
	stop(&b);
}

static void the_right_password_lets_in(void **state)
{
	static const char *const later[] = { NULL, SASL_PLAIN_RIGHT, NULL }, *const login[] = { NULL, SASL_USER, SASL_PASSWORD, NULL };
	struct back_end b = start(state);
	struct said s = plain(b.in, SASL_PLAIN_RIGHT);
	assert_int_equal(s.outcome, OST_AUTH_DONE);
	assert_string_equal(s.text, "known");
	assert_int_equal(log_in(b.in, "PLAIN", later).outcome, OST_AUTH_DONE);
	s = log_in(b.in, "LOGIN", login);
	assert_int_equal(s.outcome, OST_AUTH_DONE);
	assert_string_equal(s.text, "known");
	stop(&b);
}

static void a_wrong_one_does_not(void **state)
{
	static const char *const login[] = { NULL, SASL_USER, SASL_NO_PASSWORD, NULL };
	struct back_end b = start(state);
	assert_int_equal(plain(b.in, SASL_PLAIN_WRONG).outcome, OST_AUTH_FAILED);
	assert_int_equal(log_in(b.in, "LOGIN", login).outcome, OST_AUTH_FAILED);
	assert_int_equal(plain(b.in, SASL_PLAIN_RIGHT).outcome, OST_AUTH_DONE); /* nothing is left of it */
	stop(&b);
}

static void hostile_words_let_nobody_in(void **state)
{
	static const char *const words[] = { "", "=", "====", "A", "AA", "AAA", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "/////w==", "AGtub3duAA==",
					     "a25vd24Ac2VjcmV0", "AGtub3duAHNlY3JldAA=", "AA==", "AAA=" };
	char *huge = mem_alloc(12289);
	struct back_end b = start(state);
	memset(huge, 'A', 12288);
	huge[12288] = '\0';
	for (size_t i = 0; i <= sizeof words / sizeof *words; i++) {
		const char *word = i < sizeof words / sizeof *words ? words[i] : huge;
		const char *const first[] = { word, word, word, NULL }, *const later[] = { NULL, word, word, NULL };
		assert_int_not_equal(plain(b.in, word).outcome, OST_AUTH_DONE);
		assert_int_not_equal(log_in(b.in, "PLAIN", later).outcome, OST_AUTH_DONE);
		assert_int_not_equal(log_in(b.in, "LOGIN", first).outcome, OST_AUTH_DONE);
		assert_int_not_equal(log_in(b.in, "LOGIN", later).outcome, OST_AUTH_DONE);
	}
	assert_int_equal(plain(b.in, SASL_PLAIN_RIGHT).outcome, OST_AUTH_DONE);
	free(huge);
	stop(&b);
}

/* Clients that go away in the middle, and others that go on meanwhile. */
static void exchanges_end_anywhere(void **state)
{
	enum { MANY = 40 };
	struct back_end b = start(state);
	void *open[MANY] = { NULL };
	for (int i = 0; i < MANY; i++)
		assert_int_equal(call(b.in, "LOGIN", NULL, &open[i], 5 * CLOCK_SECOND).outcome, OST_AUTH_CONTINUE);
	assert_int_equal(plain(b.in, SASL_PLAIN_RIGHT).outcome, OST_AUTH_DONE); /* they hold up nobody */
	for (int i = 0; i < MANY; i += 2)
		assert_int_equal(call(b.in, NULL, SASL_USER, &open[i], 5 * CLOCK_SECOND).outcome, OST_AUTH_CONTINUE);
	for (int i = 0; i < MANY; i++)
		end(b.in, open[i]);
	assert_int_equal(plain(b.in, SASL_PLAIN_RIGHT).outcome, OST_AUTH_DONE);
	stop(&b);
}

static void *log_in_often(void *arg)
{
	static const char *const login[] = { NULL, SASL_USER, SASL_PASSWORD, NULL };
	struct mod_instance *in = arg;
	uintptr_t wrong = 0;
	for (int i = 0; i < 50; i++) {
		wrong += plain(in, SASL_PLAIN_RIGHT).outcome != OST_AUTH_DONE;
		wrong += plain(in, SASL_PLAIN_WRONG).outcome != OST_AUTH_FAILED;
		wrong += log_in(in, "LOGIN", login).outcome != OST_AUTH_DONE;
	}
	return (void *)wrong;
}

static void many_threads_log_in_at_once(void **state)
{
	enum { THREADS = 8 };
	struct back_end b = start(state);
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_in_often, b.in), 0);
	for (int i = 0; i < THREADS; i++) {
		void *wrong;
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	stop(&b);
}

/* A server that is gone makes nobody's password wrong. */
static void a_dead_server_is_no_refusal(void **state)
{
	struct back_end b = start(state);
	void *exchange = NULL;
	assert_int_equal(plain(b.in, SASL_PLAIN_RIGHT).outcome, OST_AUTH_DONE);
	assert_int_equal(call(b.in, "LOGIN", NULL, &exchange, CLOCK_SECOND).outcome, OST_AUTH_CONTINUE);
	peer_stop(&b.peer);
	int64_t began = clock_mono();
	struct said s = plain(b.in, SASL_PLAIN_RIGHT);
	assert_int_equal(s.outcome, OST_AUTH_TEMPFAIL);
	assert_string_not_equal(s.why.text, "");
	assert_true(clock_mono() - began < 6 * CLOCK_SECOND);
	end(b.in, exchange);
	b.peer = start_server();
	for (int i = 0; i < 100 && s.outcome != OST_AUTH_DONE; i++) {
		usleep(100000);
		s = plain(b.in, SASL_PLAIN_RIGHT);
	}
	assert_int_equal(s.outcome, OST_AUTH_DONE);
	stop(&b);
}

static void it_is_opened_again_and_again(void **state)
{
	struct back_end b = start(state);
	for (int i = 0; i < 20; i++) {
		mod_close(&b.in);
		b.in = open_module();
		assert_int_equal(plain(b.in, SASL_PLAIN_RIGHT).outcome, OST_AUTH_DONE);
	}
	stop(&b);
}

/* ---- all of it ---------------------------------------------------------------------------------------------------------------- */

/* What libsasl2 reads. */
static void write_library_config(void)
{
	char path[128];
	snprintf(path, sizeof path, "%s/smtpd.conf", folder);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "pwcheck_method: saslauthd\nmech_list: PLAIN LOGIN\nsaslauthd_path: %s/mux\n", folder);
	fclose(f);
}

static void remove_folder(void)
{
	static const char *const names[] = { "smtpd.conf", "mux", "dovecot" };
	char path[128];
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
}

int main(void)
{
	static const struct CMUnitTest suite[] = {
		cmocka_unit_test(mechanisms_fit_the_session),  cmocka_unit_test(the_right_password_lets_in),
		cmocka_unit_test(a_wrong_one_does_not),        cmocka_unit_test(hostile_words_let_nobody_in),
		cmocka_unit_test(exchanges_end_anywhere),      cmocka_unit_test(many_threads_log_in_at_once),
		cmocka_unit_test(a_dead_server_is_no_refusal), cmocka_unit_test(it_is_opened_again_and_again),
	};
	enum { TESTS = sizeof suite / sizeof *suite, CASES = sizeof cases / sizeof *cases };
	static struct CMUnitTest tests[CASES * TESTS];
	size_t n = 0;
	if (!mkdtemp(folder))
		return EXIT_FAILURE;
	write_library_config();
	char *main_cf = mem_printf("cyrus_sasl_config_path = %s\n", folder);
	fixture_open(&fix, main_cf, NULL);
	for (size_t i = 0; i < CASES; i++) {
		struct ost_why why;
		if (!mod_find(OST_KIND_AUTH, cases[i].module, &why))
			fprintf(stderr, "# %s is not built: %s\n", cases[i].module, why.text);
		else
			for (size_t k = 0; k < TESTS; k++) {
				tests[n] = suite[k];
				tests[n].name = mem_printf("%s: %s", cases[i].module, suite[k].name);
				tests[n++].initial_state = &cases[i];
			}
	}
	int failures = _cmocka_run_group_tests("SASL back ends", tests, n, NULL, NULL);
	fixture_close(&fix);
	free(main_cf);
	remove_folder();
	return failures;
}
