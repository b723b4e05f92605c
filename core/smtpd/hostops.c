/* SPDX-License-Identifier: Apache-2.0
 * What check modules may ask of a session: the host services of ostler/host.h that this folder provides. */
#include <stdio.h>
#include <string.h>

#include "base/magic.h"
#include "module/hosts.h"
#include "smtpd/check.h"

static const char *session_field(const struct ost_session *os, const char *name)
{
	CHECK_MAGIC(os, MODULE_SESSION_MAGIC);
	return policy_field(os->check, name);
}

static void set_reply(struct ost_session *os, int code, const char *dsn, const char *text)
{
	CHECK_MAGIC(os, MODULE_SESSION_MAGIC);
	os->code = code;
	snprintf(os->dsn, sizeof os->dsn, "%s", dsn ? dsn : "");
	snprintf(os->text, sizeof os->text, "%s", text ? text : "");
}

static enum ost_verdict access_action(struct ost_session *os, const char *action, const char *kind, const char *object)
{
	CHECK_MAGIC(os, MODULE_SESSION_MAGIC);
	switch (access_apply(os->check, action, kind, object)) {
	case OUTCOME_PERMIT:
		return OST_PERMIT;
	case OUTCOME_REJECT:
		os->rejected = true;
		return OST_REJECT;
	case OUTCOME_DUNNO:
		break;
	}
	return OST_DUNNO;
}

static const struct mod_session_ops session_ops = {
	.session_field = session_field,
	.reply = set_reply,
	.access_action = access_action,
};

void restrict_install_host(void)
{
	mod_host_set_session(&session_ops);
}
