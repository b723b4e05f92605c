/* SPDX-License-Identifier: Apache-2.0
 * The protocol of tcp_table(5): one line each way, with %XX for what is no plain character. Pure. */
#ifndef TCP_REPLY_H
#define TCP_REPLY_H

#include <stdbool.h>
#include <stddef.h>

enum { TCP_LINE_MAX = 4096 }; /* of requests and replies, with the newline */

enum tcp_reply {
	TCP_FOUND,     /* 200 value */
	TCP_TRY_AGAIN, /* 400 reason */
	TCP_NOT_FOUND, /* 500 reason */
	TCP_MALFORMED, /* no code, no blank, a % without two digits behind it, or a value with a NUL in it */
	TCP_BAD_CODE,  /* a code of another class */
};

/* Writes "get KEY\n" (not terminated); answers its length, 0: it does not fit into TCP_LINE_MAX. */
size_t tcp_request(char out[TCP_LINE_MAX], const char *key, size_t klen);
/* Reads a terminated reply without its newline. *value: what follows the code, decoded in the line's place.
 */
enum tcp_reply tcp_parse_reply(char *line, size_t len, const char **value, size_t *vlen);

#endif
