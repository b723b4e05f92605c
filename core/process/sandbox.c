/* SPDX-License-Identifier: Apache-2.0 */
#include "process/sandbox.h"

#include "process/landlock.h"
#include "process/seccomp.h"

bool sandbox_guard(const struct sandbox *s, struct ost_why *why)
{
	if (UNDER_SANITIZER)
		return true;
	return (s->any_path || landlock_seal(s, LANDLOCK_WRITING, why)) &&
	       seccomp_seal(s, s->jail ? SECCOMP_GUARD : SECCOMP_WHOLE, why);
}

bool sandbox_seal(const struct sandbox *s, bool guarded, struct ost_why *why)
{
	if (UNDER_SANITIZER)
		return true;
	if (!s->any_path && !landlock_seal(s, LANDLOCK_WHOLE, why))
		return false;
	return (guarded && !s->jail) || seccomp_seal(s, guarded ? SECCOMP_REST : SECCOMP_WHOLE, why);
}
