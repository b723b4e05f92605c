/* SPDX-License-Identifier: Apache-2.0
 * A whole session from a client's bytes, without TLS: commands, data, their order and their pieces. A byte 0x1e ends a piece; the
 * server works between the pieces. Whatever is said, each line of the answer is a reply line, and the session ends when the
 * client has gone. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/log.h"
#include "tests/unit/smtpd/stage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PIECE_END = 0x1e, MOST_BYTES = 60000, MOST_MESSAGES = 50 };

static const char main_cf[] =
	"compatibility_level = 3.6\nmyhostname = mx.test\nmydestination = mx.test\nrelay_domains = relay.test\n"
	"local_recipient_maps =\nalias_maps =\nmynetworks = 198.51.100.0/24\nsmtpd_peername_lookup = no\n"
	"smtpd_error_sleep_time = 0\nmessage_size_limit = 20000\nsmtpd_helo_restrictions = reject_invalid_helo_hostname\n"
	"smtpd_sender_restrictions = reject_non_fqdn_sender\nsmtpd_recipient_restrictions = reject_unauth_destination\n"
	"smtpd_data_restrictions = reject_unauth_pipelining, reject_multi_recipient_bounce\n"
	"smtpd_client_event_limit_exceptions =\nsmtpd_forbid_bare_newline_exclusions =\n";

static struct stage st;

/* The journal holds so many messages; then there is a new one. */
static void stage_ready(void)
{
	const struct log_to nowhere = { .syslog_name = "fuzz", .file = "/dev/null", .fd = -1 };
	if (st.server && st.hints < MOST_MESSAGES)
		return;
	if (st.server)
		stage_close(&st);
	memset(&st, 0, sizeof st);
	log_open(&nowhere);
	fixture_open_with(&st.fix, main_cf, "");
	stage_serve(&st);
}

static void check_replies(const char *text)
{
	while (*text && strcmp(text, "(closed)") != 0 && strcmp(text, "(cannot send)") != 0) {
		size_t len = strcspn(text, "\r\n");
		assert(len >= 4 && text[0] >= '2' && text[0] <= '5' && (text[3] == ' ' || text[3] == '-'));
		for (size_t i = 0; i < len; i++)
			assert((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
		assert(text[len] == '\r' && text[len + 1] == '\n');
		text += len + 2;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > MOST_BYTES)
		return 0;
	stage_ready();
	struct client *c = client_new(&st);
	check_replies(c->text);
	while (size > 0) {
		const uint8_t *end = memchr(data, PIECE_END, size);
		size_t len = end ? (size_t)(end - data) : size;
		check_replies(client_send(c, data, len));
		len += end != NULL;
		data += len;
		size -= len;
	}
	client_free(&c);
	assert(atomic_load(&st.server->sessions) == 0);
	return 0;
}
