/* SPDX-License-Identifier: Apache-2.0
 * Addresses as SMTP writes them (external form, RFC 5321 4.1.2) and as Ostler keeps them (internal form: unquoted
 * local part, '@', domain). Pure functions on bytes. */
#ifndef MAIL_ADDRESS_H
#define MAIL_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"

enum address_outcome { ADDRESS_OK = 0, ADDRESS_SYNTAX, ADDRESS_TOO_LONG };

/* "<a@b>" or "a@b" of MAIL FROM and RCPT TO, source route dropped (RFC 5321 appendix C); *address gets the internal form,
 * "" for <>. strict: the angle brackets must be there and nothing but RFC 5321 syntax (strict_rfc821_envelopes). *used:
 * bytes of text read, so that ESMTP parameters may follow. text need not be terminated. */
enum address_outcome address_parse_path(struct arena *, const char *text, size_t len, bool strict, const char **address,
					size_t *used);
/* Internal to external form: quotes the local part where RFC 5321 asks for it. No brackets. */
void address_quote(struct buf *out, const char *address);
/* Splits at the last '@'; domain is NULL when there is none. Points into address. */
const char *address_domain(const char *address); /* behind the '@', or NULL */
size_t address_local_len(const char *address);
/* Lower case domain, local part as it is. */
char *address_fold_domain(struct arena *, const char *address);
/* user+ext -> user, "+ext": the first delimiter in the local part, never its first byte; false: no extension. mailer-daemon,
 * double-bounce and owner-/-request forms are kept whole as in Postfix. */
bool address_split(struct arena *, const char *local, const char *delimiters, const char **base, const char **extension);
bool domain_valid(const char *domain, size_t len);     /* RFC 1035 letters, digits, hyphens, 63/255 */
/* The same, where labels may have letters beyond ASCII, in UTF-8 (RFC 6531 3.3: U-labels). */
bool domain_valid_utf8(const char *domain, size_t len);
bool domain_literal_valid(const char *domain, size_t len); /* [1.2.3.4], [IPv6:…] */

#endif
