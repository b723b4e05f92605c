/* SPDX-License-Identifier: Apache-2.0 */
#include "checks/dnsbl/reply.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "checks/dnsbl/template.h"

static const char usual[] = "$rbl_code Service unavailable; $rbl_class [$rbl_what] blocked using $rbl_domain"
			    "${rbl_reason?; $rbl_reason}";

struct macros {
	const struct dnsbl_reply *reply;
	const struct ost_host *host;
	const struct ost_session *session;
	char room[600];
};

static const char *field(const struct macros *m, const char *name)
{
	const char *value = m->host->session_field(m->session, name);
	return value ? value : "";
}

static const char *m_code(struct macros *m, const char *name)
{
	(void)name;
	snprintf(m->room, sizeof m->room, "%d", (int)m->reply->config->reject_code);
	return m->room;
}
static const char *m_class(struct macros *m, const char *name)
{
	(void)name;
	return m->reply->class;
}
static const char *m_domain(struct macros *m, const char *name)
{
	(void)name;
	return m->reply->zone->text;
}
static const char *m_reason(struct macros *m, const char *name)
{
	(void)name;
	return m->reply->reason;
}
static const char *m_what(struct macros *m, const char *name)
{
	(void)name;
	return m->reply->what;
}
static const char *m_client(struct macros *m, const char *name)
{
	(void)name;
	snprintf(m->room, sizeof m->room, "%s[%s]", field(m, "client_name"), field(m, "client_address"));
	return m->room;
}
static const char *m_field(struct macros *m, const char *name)
{
	return field(m, name);
}
/* "sender", "recipient"; the null sender is <>. */
static const char *m_address(struct macros *m, const char *name)
{
	const char *value = field(m, name);
	return *value ? value : "<>";
}
/* "sender_name", "recipient_domain": a part of an address. */
static const char *m_part(struct macros *m, const char *name)
{
	char whole[16];
	size_t len = strcspn(name, "_");
	snprintf(whole, sizeof whole, "%.*s", (int)len, name);
	const char *address = m_address(m, whole), *at = strrchr(address, '@');
	if (strcmp(name + len, "_domain") == 0)
		return at ? at + 1 : "";
	snprintf(m->room, sizeof m->room, "%.*s", (int)(at ? at - address : (ptrdiff_t)strlen(address)), address);
	return m->room;
}

static const struct {
	const char *name;
	const char *(*value)(struct macros *, const char *name);
} table[] = {
	{ "rbl_code", m_code },          { "rbl_class", m_class },
	{ "rbl_domain", m_domain },      { "rbl_reason", m_reason },
	{ "rbl_txt", m_reason },         { "rbl_what", m_what },
	{ "client", m_client },          { "client_address", m_field },
	{ "client_name", m_field },      { "client_port", m_field },
	{ "helo_name", m_field },        { "reverse_client_name", m_field },
	{ "server_name", m_field },      { "recipient", m_address },
	{ "recipient_domain", m_part },  { "recipient_name", m_part },
	{ "sender", m_address },         { "sender_domain", m_part },
	{ "sender_name", m_part },
};

static const char *value_of(void *ctx, const char *name)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (strcmp(table[i].name, name) == 0)
			return table[i].value(ctx, name);
	return NULL;
}

/* The text that holds for the list: by how it was written, by its domain, or for all. NULL: the table failed. */
static const char *find_template(const struct dnsbl_reply *r, const struct ost_host *host, struct ost_instance *instance)
{
	const char *const keys[] = { r->zone->text, r->zone->domain };
	for (size_t i = 0; r->config->reply_maps && i < sizeof keys / sizeof *keys; i++) {
		const char *value;
		struct ost_why why = { "" };
		enum ost_found found = host->tables_lookup(r->config->reply_maps, keys[i], &value, &why);
		if (found == OST_FOUND)
			return value;
		if (found != OST_NOTFOUND) {
			host->log(instance, OST_LOG_WARNING, "rbl_reply_maps: %s: %s", keys[i], why.text);
			return NULL;
		}
	}
	return r->config->default_reply ? r->config->default_reply : usual;
}

/* "CODE DSN text" in its pieces; what is missing is as usual. */
static void set_reply(const struct dnsbl_reply *r, const char *text, const struct ost_host *host, struct ost_session *session)
{
	int code = (int)r->config->reject_code, dsn_len = 0;
	char dsn[16] = "4.7.1";
	if ((text[0] == '4' || text[0] == '5') && isdigit((unsigned char)text[1]) && isdigit((unsigned char)text[2]) &&
	    (text[3] == ' ' || text[3] == '\0')) {
		code = (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
		text += 3;
		text += strspn(text, " ");
	}
	unsigned subject, detail;
	if (sscanf(text, "%*1[45].%3u.%3u%n", &subject, &detail, &dsn_len) == 2 && dsn_len < (int)sizeof dsn &&
	    (text[dsn_len] == ' ' || text[dsn_len] == '\0')) {
		snprintf(dsn, sizeof dsn, "%.*s", dsn_len, text);
		text += dsn_len;
		text += strspn(text, " ");
	}
	dsn[0] = code < 500 ? '4' : '5';
	host->reply_whole(session, code, dsn, *text ? text : "Service unavailable");
}

enum ost_verdict dnsbl_reply_set(const struct dnsbl_reply *r, const struct ost_host *host, struct ost_instance *instance,
				 struct ost_session *session)
{
	struct macros m = { .reply = r, .host = host, .session = session };
	struct text_buf text = { 0 };
	const char *template = find_template(r, host, instance);
	if (!template)
		return OST_CHECK_FAILED;
	if (!dnsbl_template_expand(&text, template, value_of, &m)) {
		host->log(instance, OST_LOG_WARNING, "%s: bad reply template: %.100s", r->zone->text, template);
		text_buf_clear(&text);
		dnsbl_template_expand(&text, usual, value_of, &m);
	}
	set_reply(r, text_buf_text(&text), host, session);
	text_buf_free(&text);
	return OST_REJECT;
}
