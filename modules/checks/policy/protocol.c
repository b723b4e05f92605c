/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/policy/protocol.h"

#include <stdio.h>
#include <string.h>

#include "shared/utf8.h"

/* In the order in which Postfix sends them. */
static const struct {
	const char *name, *unknown;
} fields[] = {
	{ "protocol_state", "" },
	{ "protocol_name", "" },
	{ "client_address", "" },
	{ "client_name", "" },
	{ "client_port", "" },
	{ "reverse_client_name", "" },
	{ "server_address", "" },
	{ "server_port", "" },
	{ "helo_name", "" },
	{ "sender", "" },
	{ "recipient", "" },
	{ "recipient_count", "0" },
	{ "queue_id", "" },
	{ "instance", "" },
	{ "size", "0" },
	{ "etrn_domain", "" },
	{ "stress", "" },
	{ "sasl_method", "" },
	{ "sasl_username", "" },
	{ "sasl_sender", "" },
	{ "ccert_subject", "" },
	{ "ccert_issuer", "" },
	{ "ccert_fingerprint", "" },
	{ "ccert_pubkey_fingerprint", "" },
	{ "encryption_protocol", "" },
	{ "encryption_cipher", "" },
	{ "encryption_keysize", "0" },
};

/* A line; a byte that would end it, or a terminal's, is none of a value. */
static void add_line(struct text_buf *out, const char *name, const char *value)
{
	text_buf_puts(out, name);
	text_buf_puts(out, "=");
	size_t start = out->len;
	text_buf_puts(out, value);
	for (size_t i = start; !out->spoilt && i < out->len; i++)
		if ((unsigned char)out->text[i] < ' ' || out->text[i] == 0x7f)
			out->text[i] = '?';
	text_buf_puts(out, "\n");
}

void policy_request(struct text_buf *out, const struct ost_host *host, const struct ost_session *session,
		    const char *context, const char *compatibility_level, const char *mail_version)
{
	add_line(out, "request", "smtpd_access_policy");
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		const char *value = host->session_field(session, fields[i].name);
		add_line(out, fields[i].name, value ? value : fields[i].unknown);
	}
	add_line(out, "policy_context", context);
	add_line(out, "compatibility_level", compatibility_level);
	add_line(out, "mail_version", mail_version);
	text_buf_puts(out, "\n");
}

bool policy_take_line(struct policy_reply *r, const struct ost_host *host, const char *line, struct ost_why *why)
{
	static const char word[] = "action=";
	if (r->lines++ >= POLICY_LINES_MAX)
		return host->why(why, "too many attributes in the reply");
	if (!*line) {
		r->over = true;
		return r->action[0] || host->why(why, "missing attribute action in the reply");
	}
	const char *equals = strchr(line, '=');
	if (!equals || equals == line)
		return host->why(why, "malformed line in the reply: \"%.60s\"", line);
	if (strncmp(line, word, sizeof word - 1) != 0 || r->action[0])
		return true;
	line += sizeof word - 1;
	line += strspn(line, " \t");
	size_t len = strlen(line);
	if (len == 0)
		return host->why(why, "empty action in the reply");
	if (len >= sizeof r->action)
		return host->why(why, "the action in the reply is too long");
	if (!utf8_well_formed(line, len))
		return host->why(why, "malformed UTF-8 in the reply: \"%.60s\"", line);
	memcpy(r->action, line, len + 1);
	return true;
}
