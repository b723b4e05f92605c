/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"

#define TLS_MAGIC 0x7155e401u
enum { CHAIN_MAX = 32 }; /* certificates of one key */

struct tls_server {
	unsigned magic;
	pthread_mutex_t lock;
	SSL_CTX *ctx; /* under the lock; NULL: none yet. Connections hold the one that they began with */
};

/* ---- reasons ---- */

/* The first error that OpenSSL has noted, behind what was tried. */
static bool failed(struct ost_why *why, const char *what)
{
	char text[160];
	unsigned long code = ERR_get_error();
	ERR_error_string_n(code, text, sizeof text);
	ERR_clear_error();
	return why_set(why, "%s: %s", what, code ? text : "no such object");
}

/* ---- keys and certificates ---- */

static BIO *open_file(const struct tls_server_options *o, const char *path, struct ost_why *why)
{
	struct ost_why reason = { "" };
	int fd = o->open(o->ctx, path, &reason);
	if (fd < 0) {
		why_set(why, "error opening chain file: %s: %s", path, reason.text);
		return NULL;
	}
	BIO *bio = BIO_new_fd(fd, BIO_CLOSE);
	if (!bio)
		close(fd);
	return bio;
}

/* A key with a passphrase would ask on a terminal. */
static int no_passphrase(char *room, int size, int writing, void *ctx)
{
	(void)room;
	(void)size;
	(void)writing;
	(void)ctx;
	return -1;
}

struct chain { /* one key and its certificates, the server's own first */
	EVP_PKEY *key;
	X509 *leaf;
	STACK_OF(X509) *others;
};

static void chain_free(struct chain *c)
{
	EVP_PKEY_free(c->key);
	X509_free(c->leaf);
	sk_X509_pop_free(c->others, X509_free);
	*c = (struct chain){ 0 };
}

/* The chain is complete; key_path, cert_path: where it comes from. */
static bool chain_use(SSL_CTX *ctx, struct chain *c, const char *key_path, const char *cert_path, struct ost_why *why)
{
	bool ok = c->leaf && c->key && SSL_CTX_use_cert_and_key(ctx, c->leaf, c->key, c->others, 1) == 1;
	if (!c->key)
		why_set(why, "No PEM data in %s", key_path);
	else if (!c->leaf)
		why_set(why, "%s private key in %s has no certificate", EVP_PKEY_get0_type_name(c->key), key_path);
	else if (!ok && X509_check_private_key(c->leaf, c->key) != 1)
		why_set(why, "%s private key in %s does not match public key in %s", EVP_PKEY_get0_type_name(c->key), key_path, cert_path);
	else if (!ok)
		failed(why, cert_path);
	ERR_clear_error();
	chain_free(c);
	return ok;
}

/* An object of the wanted kind could not be read: there is none, or it is damaged. */
static bool no_object(struct ost_why *why, const char *path)
{
	unsigned long code = ERR_peek_last_error();
	bool none = ERR_GET_REASON(code) == PEM_R_NO_START_LINE || ERR_GET_LIB(code) == ERR_LIB_OSSL_DECODER;
	if (!none)
		return failed(why, path);
	ERR_clear_error();
	return why_set(why, "No PEM data in %s", path);
}

static bool add_certificate(struct chain *c, X509 *x)
{
	if (!c->leaf) {
		c->leaf = x;
		return true;
	}
	if (!c->others)
		c->others = sk_X509_new_null();
	if (c->others && sk_X509_num(c->others) < CHAIN_MAX && sk_X509_push(c->others, x) > 0)
		return true;
	X509_free(x);
	return false;
}

/* All certificates of a file, in order. */
static bool read_certificates(struct chain *c, BIO *in)
{
	X509 *x;
	while ((x = PEM_read_bio_X509_AUX(in, NULL, no_passphrase, NULL)))
		if (!add_certificate(c, x))
			return false;
	if (c->leaf && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE) { /* the end of the file */
		ERR_clear_error();
		return true;
	}
	return false;
}

static bool load_pair(SSL_CTX *ctx, const struct tls_server_options *o, const struct tls_pair *p, struct ost_why *why)
{
	const char *key_path = p->key && *p->key ? p->key : p->cert;
	struct chain c = { 0 };
	BIO *cert = open_file(o, p->cert, why), *key = cert ? open_file(o, key_path, why) : NULL;
	bool ok = key != NULL;
	if (ok && !read_certificates(&c, cert))
		ok = no_object(why, p->cert);
	if (ok && !(c.key = PEM_read_bio_PrivateKey(key, NULL, no_passphrase, NULL)))
		ok = no_object(why, key_path);
	BIO_free(cert);
	BIO_free(key);
	if (ok)
		return chain_use(ctx, &c, key_path, p->cert, why);
	chain_free(&c);
	return false;
}

/* One object of a chain file. A key begins the next chain. */
static bool take_object(SSL_CTX *ctx, struct chain *c, const char *name, const unsigned char *der, long len,
			const char *path, struct ost_why *why)
{
	if (strstr(name, "CERTIFICATE")) {
		X509 *x = strstr(name, "TRUSTED") ? d2i_X509_AUX(NULL, &der, len) : d2i_X509(NULL, &der, len);
		if (!c->key && x) {
			X509_free(x);
			return why_set(why, "%s: a certificate stands before its key", path);
		}
		return (x && add_certificate(c, x)) || failed(why, path);
	}
	if (!strstr(name, "PRIVATE KEY"))
		return true; /* parameters and the like */
	if (c->key && !chain_use(ctx, c, path, path, why))
		return false;
	c->key = d2i_AutoPrivateKey(NULL, &der, len);
	return c->key || failed(why, path);
}

/* A chain may go on in the next file. */
static bool load_chain_file(SSL_CTX *ctx, const struct tls_server_options *o, struct chain *c, const char *path,
			    struct ost_why *why)
{
	BIO *in = open_file(o, path, why);
	char *name, *header;
	unsigned char *der;
	long len;
	bool ok = in != NULL;
	while (ok && PEM_read_bio(in, &name, &header, &der, &len)) {
		ok = take_object(ctx, c, name, der, len, path, why);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t)len);
	}
	BIO_free(in);
	if (ok && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return failed(why, path);
	ERR_clear_error();
	return ok;
}

static bool load_chains(SSL_CTX *ctx, const struct tls_server_options *o, struct ost_why *why)
{
	struct chain c = { 0 };
	const char *const *path = o->chain_files;
	for (; *path; path++) {
		if (!load_chain_file(ctx, o, &c, *path, why)) {
			chain_free(&c);
			return false;
		}
	}
	return chain_use(ctx, &c, path[-1], path[-1], why);
}

static bool load_keys(SSL_CTX *ctx, const struct tls_server_options *o, struct ost_why *why)
{
	bool any = false;
	if (o->chain_files && *o->chain_files)
		return load_chains(ctx, o, why);
	for (const struct tls_pair *p = o->pairs; p && p->cert; p++) {
		if (!*p->cert)
			continue;
		if (!load_pair(ctx, o, p, why))
			return false;
		any = true;
	}
	return any || why_set(why, "No server certs available");
}

/* ---- the context ---- */

static bool set_up(SSL_CTX *ctx, const struct tls_server_options *o, struct ost_why *why)
{
	int min, max;
	unsigned long excluded;
	if (!tls_protocols(o->protocols, &min, &max, &excluded, why))
		return false;
	/* A connection that just ends is as good as one that ends properly: SMTP has an end of its own. */
	SSL_CTX_set_options(ctx, excluded | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE);
	/* Sessions are not kept: a parked one costs as little as it can. */
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(ctx, 0);
	if (SSL_CTX_set_min_proto_version(ctx, min) != 1 || SSL_CTX_set_max_proto_version(ctx, max) != 1)
		return failed(why, "TLS protocol bounds");
	return load_keys(ctx, o, why);
}

struct tls_server *tls_server_new(void)
{
	struct tls_server *t = MEM_NEW(struct tls_server);
	t->magic = TLS_MAGIC;
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

bool tls_server_load(struct tls_server *t, const struct tls_server_options *o, struct ost_why *why)
{
	CHECK_MAGIC(t, TLS_MAGIC);
	ERR_clear_error();
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	bool ok = ctx ? set_up(ctx, o, why) : failed(why, "TLS library");
	if (ok) {
		pthread_mutex_lock(&t->lock);
		SSL_CTX *old = t->ctx;
		t->ctx = ctx;
		pthread_mutex_unlock(&t->lock);
		ctx = old;
	}
	SSL_CTX_free(ctx);
	return ok;
}

bool tls_server_usable(struct tls_server *t)
{
	CHECK_MAGIC(t, TLS_MAGIC);
	pthread_mutex_lock(&t->lock);
	bool usable = t->ctx != NULL;
	pthread_mutex_unlock(&t->lock);
	return usable;
}

void tls_server_destroy(struct tls_server **tp)
{
	struct tls_server *t = *tp;
	if (!t)
		return;
	CHECK_MAGIC(t, TLS_MAGIC);
	SSL_CTX_free(t->ctx);
	pthread_mutex_destroy(&t->lock);
	t->magic = 0;
	free(t);
	*tp = NULL;
}

/* ---- handshakes ---- */

static bool begin(struct tls_server *t, struct channel *c, struct ost_why *why)
{
	pthread_mutex_lock(&t->lock);
	c->ssl = t->ctx ? SSL_new(t->ctx) : NULL;
	pthread_mutex_unlock(&t->lock);
	if (c->ssl && SSL_set_fd(c->ssl, c->fd) == 1)
		return true;
	return failed(why, "TLS library");
}

enum tls_step tls_accept(struct tls_server *t, struct channel *c, struct ost_why *why)
{
	CHECK_MAGIC(t, TLS_MAGIC);
	ERR_clear_error();
	if (!c->ssl && !begin(t, c, why))
		return TLS_FAILED;
	errno = 0;
	int result = SSL_accept(c->ssl), error = errno;
	if (result == 1) {
		c->want = WAIT_NOTHING;
		return TLS_DONE;
	}
	switch (SSL_get_error(c->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		c->want = WAIT_READ;
		return TLS_WAIT;
	case SSL_ERROR_WANT_WRITE:
		c->want = WAIT_WRITE;
		return TLS_WAIT;
	default:
		break;
	}
	if (ERR_peek_error())
		why_set(why, "%d", result);
	else
		why_set(why, "%s", error && error != EAGAIN ? strerror(error) : "lost connection");
	return TLS_FAILED;
}

void tls_log_errors(void)
{
	const char *file, *data;
	char text[160];
	int line, flags;
	unsigned long code;
	while ((code = ERR_get_error_all(&file, &line, NULL, &data, &flags))) {
		bool more = flags & ERR_TXT_STRING && *data;
		ERR_error_string_n(code, text, sizeof text);
		log_warning("TLS library problem: %s:%s:%d:%s%s", text, file, line, more ? data : "", more ? ":" : "");
	}
}

/* ---- what came of it ---- */

/* " (prime256v1)", " (2048 bits)": of an EC key its curve, of others their size. */
static void add_key_detail(struct buf *b, const EVP_PKEY *key)
{
	char group[64];
	size_t len;
	if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, &len) == 1)
		buf_printf(b, " (%s)", group);
	else if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS") || EVP_PKEY_is_a(key, "DH"))
		buf_printf(b, " (%d bits)", EVP_PKEY_get_bits(key));
}

static const char *kind_of(const EVP_PKEY *key)
{
	const char *name = EVP_PKEY_get0_type_name(key);
	return name && strcmp(name, "EC") == 0 ? "ECDSA" : name ? name : "unknown";
}

static void add_exchange(struct buf *b, const struct channel *c)
{
	EVP_PKEY *key = NULL;
	if (!SSL_get_peer_tmp_key(c->ssl, &key) || !key)
		return;
	bool ec = EVP_PKEY_is_a(key, "EC");
	buf_printf(b, " key-exchange %s", ec ? "ECDHE" : EVP_PKEY_is_a(key, "DH") ? "DHE" : EVP_PKEY_get0_type_name(key));
	add_key_detail(b, key);
	EVP_PKEY_free(key);
}

void tls_describe(const struct channel *c, const char *join, struct buf *b)
{
	int algorithm_bits = 0, nid = 0, bits = SSL_get_cipher_bits(c->ssl, &algorithm_bits);
	buf_printf(b, "%s with cipher %s (%d/%d bits)", SSL_get_version(c->ssl), SSL_get_cipher_name(c->ssl), bits, algorithm_bits);
	if (SSL_version(c->ssl) < TLS1_3_VERSION) /* older ones: the cipher's name says the rest */
		return;
	buf_puts(b, join);
	add_exchange(b, c);
	const X509 *own = SSL_get_certificate(c->ssl);
	const EVP_PKEY *key = own ? X509_get0_pubkey(own) : NULL;
	if (!key)
		return;
	buf_printf(b, " server-signature %s", SSL_get_signature_type_nid(c->ssl, &nid) && nid == NID_rsassaPss ? "RSA-PSS" : kind_of(key));
	add_key_detail(b, key);
	if (SSL_get_signature_nid(c->ssl, &nid) && nid != NID_undef)
		buf_printf(b, " server-digest %s", OBJ_nid2sn(nid));
}
