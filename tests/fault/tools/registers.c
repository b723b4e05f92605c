/* SPDX-License-Identifier: Apache-2.0
 * What differs between processors: leaving out a system call, and giving it an answer. */
#include "inject.h"

#include <elf.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#if defined __x86_64__
void call_skip(pid_t tid)
{
	ptrace(PTRACE_POKEUSER, tid, offsetof(struct user, regs.orig_rax), -1L);
}

void call_answer(pid_t tid, long value)
{
	ptrace(PTRACE_POKEUSER, tid, offsetof(struct user, regs.rax), value);
}
#elif defined __aarch64__
void call_skip(pid_t tid)
{
	int none = -1;
	struct iovec v = { &none, sizeof none };
	ptrace(PTRACE_SETREGSET, tid, NT_ARM_SYSTEM_CALL, &v);
}

void call_answer(pid_t tid, long value)
{
	struct user_regs_struct r;
	struct iovec v = { &r, sizeof r };
	ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &v);
	r.regs[0] = (unsigned long)value;
	ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &v);
}
#else
#error "inject knows x86-64 and arm64"
#endif
