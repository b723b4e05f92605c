/* SPDX-License-Identifier: Apache-2.0
 * What virtual and local put in front of a message, and the check for mail that has been here before. */
#ifndef SHARED_MAILHEAD_H
#define SHARED_MAILHEAD_H

#include "ostler/host.h"

/* The args of a user's job (shared/userfile.h): From_ line, Return-Path, X-Original-To, Delivered-To. The caller frees them. */
char *mail_args(const struct ost_delivery *, const char *sender, const char *original, const char *delivered_to,
		size_t *len);
/* Has the message a Delivered-To header with this address? */
bool mail_was_here(const struct ost_host *, struct ost_delivery *, const char *address);
/* Pure: a header field with this name and value; len may go beyond the header. */
bool header_has(const char *header, size_t len, const char *name, const char *value);

#endif
