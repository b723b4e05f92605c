/* SPDX-License-Identifier: Apache-2.0 */
#include "smtpd/server.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/magic.h"
#include "base/mem.h"
#include "net/self.h"
#include "smtpd/command.h"
#include "smtpd/limits.h"
#include "smtpd/restrict.h"

/* Limits that may depend on stress. */
static struct limits stress_limits(const struct cfg_view *v)
{
	return (struct limits){
		.timeout = cfg_time(v, P_smtpd_timeout),
		.junk_limit = cfg_int(v, P_smtpd_junk_command_limit),
		.hard_error_limit = cfg_int(v, P_smtpd_hard_error_limit),
		.per_request = cfg_bool(v, P_smtpd_per_request_deadline),
	};
}

static void read_limits(struct server *srv, const struct cfg_view *v)
{
	srv->limits[0] = stress_limits(v);
	srv->limits[1] = stress_limits(cfg_stress_view(v));
	srv->min_data_rate = cfg_int(v, P_smtpd_min_data_rate);
	srv->soft_error_limit = cfg_int(v, P_smtpd_soft_error_limit);
	srv->error_sleep = cfg_time(v, P_smtpd_error_sleep_time);
	srv->recipient_limit = cfg_int(v, P_smtpd_recipient_limit);
	srv->overshoot_limit = cfg_int(v, P_smtpd_recipient_overshoot_limit);
	srv->message_limit = (uint64_t)cfg_size(v, P_message_size_limit);
	srv->line_limit = (size_t)cfg_size(v, P_line_length_limit);
	limits_read(&srv->client_limits, v);
	srv->client_connections = cfg_int(v, P_smtpd_client_connection_count_limit);
}

static const struct {
	const char *word;
	enum bare_newline value;
} bare_newline_words[] = {
	{ "no", BARE_ALLOW }, { "yes", BARE_NORMALIZE }, { "normalize", BARE_NORMALIZE }, { "note", BARE_NOTE },
	{ "reject", BARE_REJECT },
};

/* smtpd_forbid_bare_newline; a word that is none of these protects as the default does. */
static enum bare_newline read_bare_newline(const char *value)
{
	for (size_t i = 0; i < sizeof bare_newline_words / sizeof *bare_newline_words; i++)
		if (strcasecmp(bare_newline_words[i].word, value) == 0)
			return bare_newline_words[i].value;
	log_warning("smtpd_forbid_bare_newline: bad value \"%s\", using \"normalize\"", value);
	return BARE_NORMALIZE;
}

/* The pattern of smtpd_forbidden_commands' default, "does not begin with a letter": known here, so that no server needs the
 * regexp module for it. */
static const char odd_commands[] = "regexp:{{/^[^A-Z]/ Bogus}}";

static void read_command_lists(struct server *srv, const struct cfg_view *v)
{
	const char *value = cfg_str(v, P_smtpd_forbidden_commands);
	const char *odd = strstr(value, odd_commands);
	srv->forbid_odd_commands = odd != NULL;
	srv->forbidden_commands = cfg_split(srv->arena, odd ? arena_strndup(srv->arena, value, (size_t)(odd - value)) : value);
	srv->noop_commands = cfg_split(srv->arena, cfg_str(v, P_smtpd_noop_commands));
	const char **hidden = cfg_split(srv->arena, cfg_str(v, P_smtpd_discard_ehlo_keywords));
	for (size_t i = 0; hidden[i]; i++)
		srv->ehlo_hidden |= command_ehlo_bit(hidden[i]);
}

static void read_switches(struct server *srv, const struct cfg_view *v)
{
	srv->delay_reject = cfg_bool(v, P_smtpd_delay_reject);
	srv->helo_required = cfg_bool(v, P_smtpd_helo_required);
	srv->vrfy_disabled = cfg_bool(v, P_disable_vrfy_command);
	srv->strict_rfc821 = cfg_bool(v, P_strict_rfc821_envelopes);
	srv->peername_lookup = cfg_bool(v, P_smtpd_peername_lookup);
	srv->soft_bounce = cfg_bool(v, P_soft_bounce);
	srv->forbid_pipelining = cfg_bool(v, P_smtpd_forbid_unauth_pipelining);
	srv->long_queue_ids = cfg_bool(v, P_enable_long_queue_ids);
	srv->port_logging = cfg_bool(v, P_smtpd_client_port_logging);
	srv->bare_newline = read_bare_newline(cfg_str(v, P_smtpd_forbid_bare_newline));
	srv->bare_newline_code = (int)cfg_int(v, P_smtpd_forbid_bare_newline_reject_code);
}

/* The view of the line that cleanup_service_name or rewrite_service_name names. */
static const struct cfg_view *view_of(const struct config *config, const struct cfg_view *v, enum param_id name,
				      const char *command)
{
	const struct service *service = config ? config_service(config, cfg_str(v, name), command) : NULL;
	return service ? service->view : v;
}

/* Warns of a table or list that does not work; its lookups answer "try again later". */
static void tell(const char *what, const struct ost_why *why)
{
	if (why->text[0])
		log_warning("%s: %s", what, why->text);
}

/* Opens a list of networks that a parameter holds. */
static struct matchlist *networks(const struct cfg_view *v, const char *name, enum param_id id)
{
	struct ost_why why = { "" };
	struct matchlist *list = matchlist_networks(v, name, cfg_str(v, id), &why);
	tell(name, &why);
	return list;
}

struct server *server_open(const struct cfg_view *v, const struct config *config, struct findings *findings,
			   struct ost_why *why)
{
	struct server *srv = MEM_NEW(struct server);
	struct ost_why trouble = { "" };
	srv->magic = SERVER_MAGIC;
	srv->arena = arena_new();
	srv->view = v;
	srv->banner = cfg_str(v, P_smtpd_banner);
	srv->myhostname = cfg_str(v, P_myhostname);
	srv->mail_name = cfg_str(v, P_mail_name);
	read_limits(srv, v);
	read_switches(srv, v);
	read_command_lists(srv, v);
	srv->rewrite_clients = cfg_split(srv->arena, cfg_str(v, P_local_header_rewrite_clients));
	srv->mynetworks = networks(v, "mynetworks", P_mynetworks);
	srv->bare_newline_exclusions = networks(v, "smtpd_forbid_bare_newline_exclusions", P_smtpd_forbid_bare_newline_exclusions);
	srv->limit_exceptions = networks(v, "smtpd_client_event_limit_exceptions", P_smtpd_client_event_limit_exceptions);
	srv->self = self_new(v);
	srv->peers = peer_cache_new();
	const struct cfg_view *rewrite = view_of(config, v, P_rewrite_service_name, "trivial-rewrite");
	const struct cfg_view *cleanup = view_of(config, v, P_cleanup_service_name, "cleanup");
	srv->add_missing_always = cfg_bool(cleanup, P_always_add_missing_headers);
	srv->keep_stray_cr = !cfg_bool(cleanup, P_cleanup_replace_stray_cr_lf);
	srv->resolver = resolver_open(rewrite, &trouble);
	tell("address resolution", &trouble);
	trouble.text[0] = '\0';
	srv->cleaner = cleaner_open(cleanup, rewrite, &trouble);
	tell("cleanup", &trouble);
	srv->restrictions = restrictions_open(v, config, findings, why);
	if (!srv->restrictions)
		server_close(&srv);
	return srv;
}

void server_close(struct server **sp)
{
	struct server *srv = *sp;
	if (!srv)
		return;
	CHECK_MAGIC(srv, SERVER_MAGIC);
	restrictions_close(&srv->restrictions);
	cleaner_close(&srv->cleaner);
	resolver_close(&srv->resolver);
	peer_cache_destroy(&srv->peers);
	self_destroy(&srv->self);
	arena_destroy(&srv->arena);
	srv->magic = 0;
	free(srv);
	*sp = NULL;
}

bool server_stressed(const struct server *srv)
{
	if (!srv->pool)
		return false;
	struct pool_state state = pool_state(srv->pool);
	bool full = srv->session_limit && atomic_load(&srv->sessions) * INT64_C(10) >= srv->session_limit * 9;
	return full || state.waiting + 1 >= state.max;
}
