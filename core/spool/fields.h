/* SPDX-License-Identifier: Apache-2.0
 * The fields of queue records, each in one line: what is written, what is read, and what postcat shows.
 *
 * X(number, kind, member, flags, label). Numbers never change their meaning. FIELD_MUST marks what a program
 * that does not know the field must not go on without. */
#ifndef SPOOL_FIELDS_H
#define SPOOL_FIELDS_H

#include "base/tlv.h"
#include "spool/message.h"
#include "spool/spool.h"

#define FIELD_MUST TLV_CRITICAL

#define MESSAGE_FIELDS(X)                                                                                    \
	X(1, U64, serial, FIELD_MUST, "serial")                                                              \
	X(2, TIME, arrival, 0, "arrival_time")                                                               \
	X(3, STRING, sender, FIELD_MUST, "sender")                                                           \
	X(4, U64, size, 0, "message_size")                                                                   \
	X(5, U32, flags, FIELD_MUST, "flags")                                                                \
	X(6, U32, ret, 0, "dsn_ret")                                                                         \
	X(7, STRING, envid, 0, "dsn_envid")                                                                  \
	X(8, STRING, message_id, 0, "message_id")                                                            \
	X(9, STRING, client.name, 0, "client_name")                                                          \
	X(10, STRING, client.address, 0, "client_address")                                                   \
	X(11, STRING, client.port, 0, "client_port")                                                         \
	X(12, STRING, client.proto, 0, "protocol_name")                                                      \
	X(13, STRING, client.helo, 0, "helo_name")                                                           \
	X(14, STRING, client.reverse_name, 0, "reverse_client_name")                                         \
	X(15, STRING, forwarded.name, 0, "log_client_name")                                                  \
	X(16, STRING, forwarded.address, 0, "log_client_address")                                            \
	X(17, STRING, forwarded.port, 0, "log_client_port")                                                  \
	X(18, STRING, forwarded.proto, 0, "log_protocol_name")                                               \
	X(19, STRING, forwarded.helo, 0, "log_helo_name")                                                    \
	X(20, STRING, forwarded.reverse_name, 0, "log_reverse_client_name")                                  \
	X(21, STRING, ident, 0, "log_ident")                                                                 \
	X(22, STRING, sasl_method, 0, "sasl_method")                                                         \
	X(23, STRING, sasl_user, 0, "sasl_username")                                                         \
	X(24, STRING, sasl_sender, 0, "sasl_sender")                                                         \
	X(25, STRING, rewrite_context, 0, "rewrite_context")                                                 \
	X(26, STRING, content_filter, FIELD_MUST, "content_filter")                                          \
	X(27, STRING, redirect, FIELD_MUST, "redirect_to")                                                   \
	X(28, TIME, delay_until, FIELD_MUST, "delay_until")                                                  \
	X(29, TIME, warn_at, 0, "warning_time")                                                              \
	X(30, STRING, verp, FIELD_MUST, "verp_delimiters")                                                   \
	X(31, STRING, submitter, 0, "submitter")                                                             \
	X(32, U64, notice_of, 0, "notice_of")                                                                \
	X(33, U32, notice_round, 0, "notice_round")                                                          \
	X(34, U32, rounds, 0, "notice_rounds_stored")                                                        \
	X(35, STRING, named, 0, "submission_identity")
/* In an envelope also: fields that hold fields. */
enum { FIELD_ATTR = 64, FIELD_RCPT = 65 };

#define ATTR_FIELDS(X)                                                                                       \
	X(1, STRING, name, 0, "name")                                                                        \
	X(2, STRING, value, 0, "value")

#define RCPT_FIELDS(X)                                                                                       \
	X(1, STRING, address, FIELD_MUST, "recipient")                                                       \
	X(2, STRING, original, 0, "original_recipient")                                                      \
	X(3, STRING, orcpt, 0, "dsn_orig_rcpt")                                                              \
	X(4, U32, notify, 0, "dsn_notify")                                                                   \
	X(5, STATUS, status, FIELD_MUST, "status")                                                           \
	X(6, U32, attempts, 0, "attempts")                                                                   \
	X(7, TIME, next_try, 0, "next_try")                                                                  \
	X(8, TIME, last_try, 0, "last_try")                                                                  \
	X(9, STRING, dsn, 0, "dsn")                                                                          \
	X(10, STRING, reason, 0, "reason")                                                                   \
	X(11, STRING, mta, 0, "remote_mta")                                                                  \
	X(12, STRING, diagnostic, 0, "diagnostic")

/* One recipient's new state, in results and updates. */
#define RESULT_FIELDS(X)                                                                                     \
	X(1, U64, result.serial, 0, "serial")                                                                \
	X(2, U32, result.rcpt, FIELD_MUST, "recipient_index")                                                \
	X(3, STATUS, result.status, FIELD_MUST, "status")                                                    \
	X(4, TIME, result.when, 0, "time")                                                                   \
	X(5, TIME, next_try, 0, "next_try")                                                                  \
	X(6, STRING, result.dsn, 0, "dsn")                                                                   \
	X(7, STRING, result.reason, 0, "reason")                                                             \
	X(8, STRING, result.mta, 0, "remote_mta")                                                            \
	X(9, STRING, result.diagnostic, 0, "diagnostic")

#define UPDATE_FIELDS(X)                                                                                     \
	X(1, U32, set_flags, FIELD_MUST, "flags_set")                                                        \
	X(2, U32, clear_flags, FIELD_MUST, "flags_cleared")                                                  \
	X(3, U32, rounds, 0, "notice_rounds_stored")                                                         \
	X(4, TIME, warn_at, 0, "warning_time")
enum { FIELD_RESULT = 64 };

struct result_row {
	struct spool_result result;
	int64_t next_try; /* with RCPT_DEFERRED */
};

/* What an update section says. Zeros: nothing changes. */
struct spool_update {
	uint32_t set_flags, clear_flags, rounds;
	int64_t warn_at; /* -1: none any more */
	struct result_row *rows;
	size_t nrows;
};

enum field_kind { FIELD_NONE, FIELD_STRING, FIELD_U32, FIELD_U64, FIELD_TIME, FIELD_STATUS };
struct field {
	enum field_kind kind;
	unsigned flags;
	size_t offset;
	const char *label;
};
struct field_table { /* indexed by number */
	const struct field *fields;
	size_t count;
};
extern const struct field_table message_fields, attr_fields, rcpt_fields, result_fields, update_fields;

/* Calls `each` for every field that is set, in order of their numbers: for postcat. The value is text. */
typedef void field_each_fn(void *ctx, const char *label, const char *value);
void fields_each(const struct field_table *, const void *base, field_each_fn *, void *ctx);

/* Writes every field that is not zero or NULL. */
void fields_put(struct buf *, const struct field_table *, const void *base);

enum field_got { FIELD_GOT, FIELD_UNKNOWN, FIELD_BAD };
/* Reads one field into base. Strings go to the arena. FIELD_BAD: a length, a NUL in a text, a number out of
 * range. */
enum field_got field_get(struct arena *, const struct field_table *, const struct tlv *, void *base);

#endif
