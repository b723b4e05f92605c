/* SPDX-License-Identifier: Apache-2.0
 * The module of kind `auth` behind AUTH: its parameters, and each of its entry points with what surrounds a call. */
#ifndef SMTPD_AUTH_MODULE_H
#define SMTPD_AUTH_MODULE_H

#include "ostler/auth.h"
#include "smtpd/auth.h"

struct auth {
	struct mod_instance *instance;   /* NULL: could not be opened, see broken */
	const struct ost_auth_ops *ops;
	struct ost_why broken;
	struct { uint32_t without, with; } properties[2]; /* OST_AUTH_*: in clear, inside TLS */
	const char *service, *realm;
	struct matchlist *exceptions, *mechanism_filter; /* NULL: empty */
	size_t response_limit; /* bytes of a line */
	bool tls_only, old_clients, in_header;
};

struct auth_answer { /* in the arena; text is terminated, "" when there is none */
	const char *text;
	size_t len;
};

/* All may wait, for 20 seconds at most. *why is "" or what the module has said. */
enum ost_auth auth_module_mechanisms(const struct auth *, const struct ost_auth_session *, struct arena *, struct auth_answer *,
				     struct ost_why *);
enum ost_auth auth_module_begin(const struct auth *, const struct ost_auth_session *, const char *method,
				const char *initial /* or NULL */, struct arena *, void **exchange, struct auth_answer *,
				struct ost_why *);
enum ost_auth auth_module_step(const struct auth *, void *exchange, const char *response, struct arena *,
			       struct auth_answer *, struct ost_why *);
void auth_module_end(const struct auth *, void *exchange);

#endif
