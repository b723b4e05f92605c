/* SPDX-License-Identifier: Apache-2.0
 * Restrictions that depend on who has logged in, for the table of the core's restrictions. */
#ifndef SMTPD_RESTRICT_LOGIN_H
#define SMTPD_RESTRICT_LOGIN_H

#include "smtpd/check.h"

core_restriction_fn r_permit_sasl_authenticated, r_reject_sender_login_mismatch, r_reject_authenticated_sender_login_mismatch,
	r_reject_known_sender_login_mismatch, r_reject_unauthenticated_sender_login_mismatch, r_reject_header_from_mismatch;

#endif
