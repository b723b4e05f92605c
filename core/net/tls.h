/* SPDX-License-Identifier: Apache-2.0
 * TLS for servers, with OpenSSL: a context made from files and words, and handshakes on channels.
 *
 * A server is used by all threads, and may be loaded anew meanwhile; a connection's state is its thread's. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/why.h"
#include "net/channel.h"

struct tls_server;

struct tls_pair { /* files; a key of NULL or "" is in the certificate's file */
	const char *cert, *key;
};

struct tls_server_options {
	const struct tls_pair *pairs;    /* ends with { NULL, NULL }; "" as certificate: none of this kind */
	const char *const *chain_files;  /* each a key and its certificates, one kind of key after another; wins over pairs; ends
	                                  * with NULL */
	const char *protocols;           /* as smtpd_tls_protocols: ">=TLSv1.2", "!TLSv1", "TLSv1.2 TLSv1.3" */
	/* Opens a file for reading, or answers -1 with the system's reason alone. */
	int (*open)(void *ctx, const char *path, struct ost_why *);
	void *ctx;
};

struct tls_server *tls_server_new(void); /* not usable yet */
/* Keys and all else, for connections that begin from now on; false: *why names the file, and what was there before stays. While other
 * threads use the server. */
bool tls_server_load(struct tls_server *, const struct tls_server_options *, struct ost_why *);
bool tls_server_usable(struct tls_server *); /* has been loaded */
void tls_server_destroy(struct tls_server **);

enum tls_step { TLS_DONE, TLS_WAIT, TLS_FAILED };
/* The server's side of a handshake, as far as it goes without waiting; the first call makes the channel a TLS one. TLS_WAIT: come
 * again when channel_wait() is over. TLS_FAILED: nothing more can be sent; *why is the system's reason, "lost connection", or a
 * number when tls_log_errors() has the reasons. */
enum tls_step tls_accept(struct tls_server *, struct channel *, struct ost_why *);
/* Logs what OpenSSL has noted for this thread, "TLS library problem: …", a warning each; right behind the call that failed. */
void tls_log_errors(void);
/* "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)", then, joined by `join`, " key-exchange … server-signature …":
 * the form of the log and of Received:. */
void tls_describe(const struct channel *, const char *join, struct buf *);

/* Reads a list of protocols. false: *why. 0 as a bound: none. */
bool tls_protocols(const char *text, int *min, int *max, unsigned long *excluded, struct ost_why *);

#endif
