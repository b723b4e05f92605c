/* SPDX-License-Identifier: Apache-2.0 */
#include "process/sandbox.h"

#include "process/landlock.h"
#include "process/seccomp.h"

bool sandbox_seal(const struct sandbox *s, struct ost_why *why)
{
	if (UNDER_SANITIZER)
		return true;
	return (s->any_path || landlock_seal(s, why)) && seccomp_seal(s, why);
}
