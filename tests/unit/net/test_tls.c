/* SPDX-License-Identifier: Apache-2.0
 * TLS for servers: lists of protocols, keys from files, handshakes and bytes on non-blocking sockets. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "net/tls.h"

/* ---- protocols ---- */

static void protocols(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int min, max;
		unsigned long excluded;
	} cases[] = {
		{ "", 0, 0, 0 },
		{ ">=TLSv1", TLS1_VERSION, 0, 0 },
		{ ">=TLSv1.2, <=TLSv1.3", TLS1_2_VERSION, TLS1_3_VERSION, 0 },
		{ ">=0303", TLS1_2_VERSION, 0, 0 },
		{ "!SSLv2, !SSLv3", 0, 0, SSL_OP_NO_SSLv3 },
		{ "!tlsv1:!TLSv1.1", 0, 0, SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 },
		{ "TLSv1.2 TLSv1.3", 0, 0, SSL_OP_NO_SSLv3 | SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 },
	};
	int min, max;
	unsigned long excluded;
	struct ost_why why;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_true(tls_protocols(cases[i].text, &min, &max, &excluded, &why));
		assert_int_equal(min, cases[i].min);
		assert_int_equal(max, cases[i].max);
		assert_int_equal(excluded, cases[i].excluded);
	}
	static const char *const bad[] = { "TLSv9", ">=", "!", ">=TLSv1.2x", "!!TLSv1" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(tls_protocols(bad[i], &min, &max, &excluded, &why));
}

/* ---- keys ---- */

struct files { /* memory files, named by their first letter */
	int key, cert, both;
};

static int memory(void)
{
	int fd = memfd_create("pem", MFD_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static X509 *certificate(EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	return x;
}

static void put(int fd, EVP_PKEY *key, X509 *x)
{
	BIO *b = BIO_new_fd(fd, BIO_NOCLOSE);
	if (key)
		assert_int_equal(PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL), 1);
	if (x)
		assert_int_equal(PEM_write_bio_X509(b, x), 1);
	BIO_free(b);
}

static struct files make_files(void)
{
	struct files f = { memory(), memory(), memory() };
	EVP_PKEY *key = EVP_EC_gen("prime256v1");
	X509 *x = certificate(key);
	put(f.key, key, NULL);
	put(f.cert, NULL, x);
	put(f.both, key, x);
	X509_free(x);
	EVP_PKEY_free(key);
	return f;
}

static void drop_files(struct files *f)
{
	close(f->key);
	close(f->cert);
	close(f->both);
}

static int open_memory(void *ctx, const char *path, struct ost_why *why)
{
	const struct files *f = ctx;
	int from = *path == 'k' ? f->key : *path == 'c' ? f->cert : *path == 'b' ? f->both : -1;
	if (from < 0) {
		why_set(why, "No such file or directory");
		return -1;
	}
	char name[40]; /* opened anew: with an offset of its own */
	snprintf(name, sizeof name, "/proc/self/fd/%d", from);
	return open(name, O_RDONLY | O_CLOEXEC);
}

static struct tls_server *server(struct files *f, struct tls_pair pair, const char *chain, struct ost_why *why)
{
	const struct tls_pair pairs[] = { pair, { NULL, NULL } };
	const char *const chains[] = { chain, NULL };
	const struct tls_server_options o = { .pairs = pairs, .chain_files = chains, .protocols = ">=TLSv1.2",
					      .open = open_memory, .ctx = f };
	struct tls_server *t = tls_server_new();
	assert_false(tls_server_usable(t));
	if (!tls_server_load(t, &o, why))
		tls_server_destroy(&t);
	return t;
}

static void keys(void **state)
{
	(void)state;
	struct files f = make_files(), other = make_files();
	struct ost_why why;
	static const struct {
		struct tls_pair pair;
		const char *chain, *why; /* NULL: it works */
	} cases[] = {
		{ { "cert", "key" }, NULL, NULL },     { { "both", "" }, NULL, NULL },
		{ { "", "" }, "both", NULL },          { { "cert", "none" }, NULL, "error opening chain file: none: No such file" },
		{ { "none", "key" }, NULL, "none: No" }, { { "cert", "" }, NULL, "No PEM data in cert" },
		{ { "", "" }, NULL, "No server certs" }, { { "", "" }, "cert", "before its key" },
		{ { "", "" }, "key", "key in key has no certificate" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct tls_server *t = server(&f, cases[i].pair, cases[i].chain, &why);
		assert_int_equal(t != NULL, cases[i].why == NULL);
		if (cases[i].why)
			assert_non_null(strstr(why.text, cases[i].why));
		tls_server_destroy(&t);
	}
	int own = f.key;
	f.key = other.key; /* of another certificate */
	assert_null(server(&f, (struct tls_pair){ "cert", "key" }, NULL, &why));
	assert_string_equal(why.text, "EC private key in key does not match public key in cert");
	f.key = own;
	drop_files(&f);
	drop_files(&other);
}

/* ---- a connection ---- */

struct both_ends {
	struct files files;
	struct tls_server *server;
	struct channel channel;
	SSL_CTX *ctx;
	SSL *client;
	int fd;
};

static void connect_ends(struct both_ends *e)
{
	struct ost_why why;
	int pair[2];
	*e = (struct both_ends){ .files = make_files() };
	e->server = server(&e->files, (struct tls_pair){ "both", "" }, NULL, &why);
	assert_non_null(e->server);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	e->channel.fd = pair[0];
	e->fd = pair[1];
	e->ctx = SSL_CTX_new(TLS_client_method());
	e->client = SSL_new(e->ctx);
	SSL_set_fd(e->client, e->fd);
	assert_int_equal(tls_accept(e->server, &e->channel, &why), TLS_WAIT);
	assert_int_equal(channel_wait(&e->channel, WAIT_WRITE), WAIT_READ);
	enum tls_step step = TLS_WAIT;
	int connected = 0;
	for (int i = 0; i < 20 && (step == TLS_WAIT || connected != 1); i++) {
		connected = SSL_connect(e->client);
		if (step == TLS_WAIT)
			step = tls_accept(e->server, &e->channel, &why);
	}
	assert_int_equal(step, TLS_DONE);
	assert_int_equal(connected, 1);
}

static void drop_ends(struct both_ends *e)
{
	SSL_free(e->client);
	SSL_CTX_free(e->ctx);
	close(e->fd);
	if (e->channel.fd >= 0)
		channel_close(&e->channel);
	tls_server_destroy(&e->server);
	drop_files(&e->files);
}

static void bytes(void **state)
{
	(void)state;
	struct both_ends e;
	char room[64];
	connect_ends(&e);
	struct buf b = BUF_INIT;
	tls_describe(&e.channel, "|", &b);
	assert_non_null(strstr(buf_str(&b), "TLSv1.3 with cipher TLS_"));
	assert_non_null(strstr(buf_str(&b), "bits)| key-exchange "));
	assert_non_null(strstr(buf_str(&b), "server-signature ECDSA (prime256v1) server-digest SHA256"));
	buf_free(&b);
	assert_int_equal(channel_read(&e.channel, room, sizeof room), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(SSL_write(e.client, "one ", 4), 4); /* two records in one read */
	assert_int_equal(SSL_write(e.client, "two", 3), 3);
	assert_int_equal(channel_read(&e.channel, room, 2), 2);
	assert_true(channel_pending(&e.channel)); /* which no epoll would tell of */
	assert_int_equal(channel_read(&e.channel, room, sizeof room), 5);
	assert_memory_equal(room, "e two", 5);
	assert_false(channel_pending(&e.channel));
	assert_int_equal(channel_write(&e.channel, "three", 5, false), 5);
	assert_int_equal(SSL_read(e.client, room, sizeof room), 5);
	SSL_shutdown(e.client);
	assert_int_equal(channel_read(&e.channel, room, sizeof room), 0);
	drop_ends(&e);
}

static void no_tls(void **state)
{
	(void)state;
	struct files f = make_files();
	struct ost_why why = { "" };
	struct tls_server *t = server(&f, (struct tls_pair){ "both", "" }, NULL, &why);
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	struct channel c = { .fd = pair[0] };
	assert_int_equal(write(pair[1], "EHLO client\r\n", 13), 13);
	assert_int_equal(tls_accept(t, &c, &why), TLS_FAILED);
	assert_true(why.text[0]);
	channel_close(&c);
	close(pair[1]);
	tls_server_destroy(&t);
	drop_files(&f);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN); /* as in every process of ours */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(protocols),
		cmocka_unit_test(keys),
		cmocka_unit_test(bytes),
		cmocka_unit_test(no_tls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
