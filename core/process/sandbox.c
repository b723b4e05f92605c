/* SPDX-License-Identifier: Apache-2.0 */
#include "process/sandbox.h"

#include "process/landlock.h"
#include "process/seccomp.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif
#ifndef UNDER_SANITIZER
#define UNDER_SANITIZER 0
#endif

bool sandbox_seal(const struct sandbox *s, struct ost_why *why)
{
	if (UNDER_SANITIZER)
		return true;
	return (s->any_path || landlock_seal(s, why)) && seccomp_seal(s, why);
}
