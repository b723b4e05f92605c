/* SPDX-License-Identifier: Apache-2.0
 * M_RESOLVE to M_RESOLVED: the questions of one message, or some of them. */
#ifndef RESOLVE_ANSWER_H
#define RESOLVE_ANSWER_H

#include "base/buf.h"
#include "ipc/link.h"
#include "resolve/resolver.h"

/* Answers the F_ASK groups in body and sends M_RESOLVED. The arena is reset on the way. False: the body is no
 * such message. */
bool resolve_answer(const struct resolver *, struct arena *, const void *body, size_t len, struct ipc_link *);
/* The length of the first `asks` groups in body (at most all), for sharing them out among threads. */
size_t resolve_share(const void *body, size_t len, size_t asks);

#endif
