/* SPDX-License-Identifier: Apache-2.0 */
#include "smtpd/auth_module.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/config.h"
#include "module/answer.h"
#include "module/module.h"

#define PATIENCE (20 * CLOCK_SECOND) /* with a back end, at each step: Dovecot pauses up to 15 seconds before a refusal */

/* ---- parameters ---- */

static const struct {
	const char *word;
	uint32_t property;
	bool wanted; /* rather than unwanted */
} property_words[] = {
	{ "noplaintext", OST_AUTH_PLAINTEXT, false },   { "noactive", OST_AUTH_ACTIVE, false },
	{ "nodictionary", OST_AUTH_DICTIONARY, false }, { "noanonymous", OST_AUTH_ANONYMOUS, false },
	{ "forward_secrecy", OST_AUTH_FORWARD_SECRECY, true }, { "mutual_auth", OST_AUTH_MUTUAL, true },
};
enum { WORDS = sizeof property_words / sizeof *property_words };

/* smtpd_sasl_security_options and its sister. A word that is not known makes the server offer nothing. */
static void read_properties(struct auth *a, const struct cfg_view *v, enum param_id id, const char *name, bool tls)
{
	struct arena *arena = arena_new();
	for (const char **word = cfg_split(arena, cfg_str(v, id)); *word; word++) {
		size_t i = 0;
		while (i < WORDS && strcasecmp(property_words[i].word, *word) != 0)
			i++;
		if (i == WORDS)
			why_set(&a->broken, "%s: unknown security property \"%s\"", name, *word);
		else if (property_words[i].wanted)
			a->properties[tls].with |= property_words[i].property;
		else
			a->properties[tls].without |= property_words[i].property;
	}
	arena_destroy(&arena);
}

/* A list of a parameter; NULL when it is empty. */
static struct matchlist *open_list(const struct cfg_view *v, const char *name, enum param_id id,
				   struct matchlist *(*open)(const struct cfg_view *, const char *, const char *, struct ost_why *))
{
	struct ost_why why = { "" };
	const char *value = cfg_str(v, id);
	if (value[strspn(value, ", \t\r\n")] == '\0')
		return NULL;
	struct matchlist *list = open(v, name, value, &why);
	if (why.text[0])
		log_warning("%s: %s", name, why.text);
	return list;
}

/* The module that smtpd_sasl_type names. */
static void open_module(struct auth *a, const struct cfg_view *v)
{
	struct ost_why why = { "" };
	const struct mod_provider *p = mod_find(OST_KIND_AUTH, cfg_str(v, P_smtpd_sasl_type), &why);
	if (p)
		a->instance = mod_open(p, v, cfg_str(v, P_smtpd_sasl_path), &why);
	if (a->instance)
		a->ops = (const struct ost_auth_ops *)p->ops;
	else
		why_set(&a->broken, "smtpd_sasl_type = %s: %s", cfg_str(v, P_smtpd_sasl_type), why.text);
}

struct auth *auth_open(const struct cfg_view *v)
{
	if (!cfg_bool(v, P_smtpd_sasl_auth_enable))
		return NULL;
	struct auth *a = MEM_NEW(struct auth);
	a->service = cfg_str(v, P_smtpd_sasl_service);
	a->realm = cfg_str(v, P_smtpd_sasl_local_domain);
	a->response_limit = (size_t)cfg_int(v, P_smtpd_sasl_response_limit);
	a->tls_only = cfg_bool(v, P_smtpd_tls_auth_only);
	a->old_clients = cfg_bool(v, P_broken_sasl_auth_clients);
	a->in_header = cfg_bool(v, P_smtpd_sasl_authenticated_header);
	a->exceptions = open_list(v, "smtpd_sasl_exceptions_networks", P_smtpd_sasl_exceptions_networks, matchlist_networks);
	a->mechanism_filter = open_list(v, "smtpd_sasl_mechanism_filter", P_smtpd_sasl_mechanism_filter, matchlist_names);
	read_properties(a, v, P_smtpd_sasl_security_options, "smtpd_sasl_security_options", false);
	read_properties(a, v, P_smtpd_sasl_tls_security_options, "smtpd_sasl_tls_security_options", true);
	if (!a->broken.text[0])
		open_module(a, v);
	if (a->broken.text[0])
		log_warning("SASL: %s", a->broken.text);
	return a;
}

void auth_close(struct auth **ap)
{
	struct auth *a = *ap;
	if (!a)
		return;
	mod_close(&a->instance);
	free(a);
	*ap = NULL;
}

void auth_check(const struct cfg_view *v, struct findings *findings)
{
	struct auth *a = auth_open(v);
	if (a && a->broken.text[0])
		findings_add(findings, FINDING_FATAL, "%s: %s", cfg_where(v, "smtpd_sasl_auth_enable"), a->broken.text);
	auth_close(&a);
}

/* ---- calls ---- */

struct call { /* one call into the module, and its answer */
	const struct auth *auth;
	struct ost_answer answer;
	int64_t deadline;
};

/* False: there is no module to ask. */
static bool enter(struct call *c, const struct auth *a, const char *entry, struct arena *arena, struct ost_why *why)
{
	why->text[0] = '\0';
	*c = (struct call){ .auth = a, .answer = { .arena = arena, .why = why }, .deadline = clock_mono() + PATIENCE };
	if (!a->instance) {
		why_set(why, "%s", a->broken.text);
		return false;
	}
	pool_wait_begin();
	mod_enter(a->instance, entry, c->deadline);
	return true;
}

static enum ost_auth leave(struct call *c, enum ost_auth got, struct auth_answer *answer)
{
	mod_leave(c->auth->instance);
	pool_wait_end();
	*answer = (struct auth_answer){ c->answer.value ? c->answer.value : "", c->answer.value ? c->answer.len : 0 };
	return got <= OST_AUTH_TEMPFAIL ? got : OST_AUTH_TEMPFAIL;
}

enum ost_auth auth_module_mechanisms(const struct auth *a, const struct ost_auth_session *facts, struct arena *arena,
				     struct auth_answer *answer, struct ost_why *why)
{
	struct call c;
	*answer = (struct auth_answer){ "", 0 };
	if (!enter(&c, a, "mechanisms", arena, why))
		return OST_AUTH_TEMPFAIL;
	return leave(&c, a->ops->mechanisms(mod_self(a->instance), facts, c.deadline, &c.answer), answer);
}

enum ost_auth auth_module_begin(const struct auth *a, const struct ost_auth_session *facts, const char *method,
				const char *initial, struct arena *arena, void **exchange, struct auth_answer *answer,
				struct ost_why *why)
{
	struct call c;
	*answer = (struct auth_answer){ "", 0 };
	*exchange = NULL;
	if (!enter(&c, a, "begin", arena, why))
		return OST_AUTH_TEMPFAIL;
	return leave(&c,
		     a->ops->begin(mod_self(a->instance), facts, method, initial, c.deadline, exchange, &c.answer),
		     answer);
}

enum ost_auth auth_module_step(const struct auth *a, void *exchange, const char *response, struct arena *arena,
			       struct auth_answer *answer, struct ost_why *why)
{
	struct call c;
	*answer = (struct auth_answer){ "", 0 };
	if (!enter(&c, a, "step", arena, why))
		return OST_AUTH_TEMPFAIL;
	return leave(&c, a->ops->step(mod_self(a->instance), exchange, response, c.deadline, &c.answer),
		     answer);
}

void auth_module_end(const struct auth *a, void *exchange)
{
	mod_enter(a->instance, "end", mod_deadline(1));
	a->ops->end(mod_self(a->instance), exchange);
	mod_leave(a->instance);
}
