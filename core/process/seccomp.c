/* SPDX-License-Identifier: Apache-2.0 */
#include "process/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "process/worker.h"

enum { FIRST_OF_LIBC = 32 }; /* signal(7): the first real-time signals */

/* By name, so that a call that this architecture or libseccomp does not know is skipped. */
static const char *const refused[] = {
	/* other programs */
	"execve",
	"execveat",
	"uselib",
	"fork",
	"vfork",
	/* other processes */
	"pidfd_open",
	"pidfd_send_signal",
	"rt_sigqueueinfo",
	"rt_tgsigqueueinfo",
	"tkill",
	"setpriority",
	"ioprio_set",
	"sched_setparam",
	"sched_setscheduler",
	"sched_setattr",
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"kcmp",
	"pidfd_getfd",
	"process_madvise",
	/* what all threads of a process share: the core's own settings */
	"close_range",
	"setrlimit",
	"umask",
	/* memory that no limit of the process counts */
	"shmget",
	"shmat",
	"semget",
	"msgget",
	/* file systems and namespaces */
	"mount",
	"umount",
	"umount2",
	"pivot_root",
	"unshare",
	"setns",
	"open_tree",
	"move_mount",
	"fsopen",
	"fsconfig",
	"fsmount",
	"fspick",
	"mount_setattr",
	"swapon",
	"swapoff",
	"quotactl",
	"quotactl_fd",
	"mknod",
	"mknodat",
	"open_by_handle_at",
	"name_to_handle_at",
	"fanotify_init",
	"nfsservctl",
	/* the kernel */
	"bpf",
	"kexec_load",
	"kexec_file_load",
	"init_module",
	"finit_module",
	"delete_module",
	"create_module",
	"reboot",
	"perf_event_open",
	"userfaultfd",
	"io_uring_setup",
	"io_uring_enter",
	"io_uring_register",
	"iopl",
	"ioperm",
	"modify_ldt",
	"vm86",
	"vm86old",
	"syslog",
	"lookup_dcookie",
	"acct",
	"personality",
	"vhangup",
	"_sysctl",
	/* time, keys, host name */
	"settimeofday",
	"clock_settime",
	"clock_adjtime",
	"adjtimex",
	"stime",
	"sethostname",
	"setdomainname",
	"keyctl",
	"add_key",
	"request_key",
};

/* The way into a jail. */
static const char *const moves[] = { "chroot", "chdir", "fchdir" };

static int refuse_named(scmp_filter_ctx ctx, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int call = seccomp_syscall_resolve_name(names[i]);
		if (call == __NR_SCMP_ERROR)
			continue;
		int error = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), call, 0);
		if (error < 0 && error != -EACCES)
			return error;
	}
	return 0;
}

/* Calls that are refused by one of their arguments, as 32 bits where the kernel looks at no more. */
struct by_argument {
	int call;
	bool unless_network; /* allowed to roles that talk to the network */
	struct scmp_arg_cmp when;
};
#define ARGUMENT(n, what, a, b) { .arg = (n), .op = (what), .datum_a = (a), .datum_b = (b) }
#define ARGUMENT_32(n, value)   ARGUMENT(n, SCMP_CMP_MASKED_EQ, UINT32_MAX, (uint32_t)(value))

/* What a signal does is the core's: a handler for it may be asked for, and not be changed. Those of libc are its own. */
static int refuse_handlers(scmp_filter_ctx ctx)
{
	const struct scmp_arg_cmp set[] = {
		ARGUMENT(0, SCMP_CMP_LT, FIRST_OF_LIBC, 0),
		ARGUMENT(1, SCMP_CMP_NE, 0, 0),
	};
	return seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(rt_sigaction), 2, set);
}

static int refuse_arguments(scmp_filter_ctx ctx, const struct sandbox *s)
{
	const bool network = (s->flags & (ROLE_MODULES | ROLE_NETWORK)) != 0;
	const struct by_argument table[] = {
		/* threads alone; clone3 hides its flags, and libc falls back to clone */
		{ SCMP_SYS(clone), false, ARGUMENT(0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0) },
		/* what tells the master, and the administrator, stays open */
		{ SCMP_SYS(close), false, ARGUMENT_32(0, s->control) },
		{ SCMP_SYS(dup2), false, ARGUMENT_32(1, s->control) },
		{ SCMP_SYS(dup3), false, ARGUMENT_32(1, s->control) },
		{ SCMP_SYS(close), false, ARGUMENT_32(0, s->log) },
		{ SCMP_SYS(dup2), false, ARGUMENT_32(1, s->log) },
		{ SCMP_SYS(dup3), false, ARGUMENT_32(1, s->log) },
		/* limits may be read, affinity may be one's own */
		{ SCMP_SYS(prlimit64), false, ARGUMENT(2, SCMP_CMP_NE, 0, 0) },
		{ SCMP_SYS(sched_setaffinity), false, ARGUMENT(0, SCMP_CMP_NE, 0, 0) },
		/* signals by way of a descriptor */
		{ SCMP_SYS(fcntl), false, ARGUMENT_32(1, F_SETOWN) },
		{ SCMP_SYS(fcntl), false, ARGUMENT_32(1, F_SETOWN_EX) },
		{ SCMP_SYS(fcntl), false, ARGUMENT_32(1, F_SETSIG) },
		{ SCMP_SYS(ioctl), false, ARGUMENT_32(1, FIOSETOWN) },
		{ SCMP_SYS(ioctl), false, ARGUMENT_32(1, SIOCSPGRP) },
		/* keystrokes for the terminal of start-fg */
		{ SCMP_SYS(ioctl), false, ARGUMENT_32(1, TIOCSTI) },
		{ SCMP_SYS(socket), false, ARGUMENT_32(0, AF_PACKET) },
		{ SCMP_SYS(socket), true, ARGUMENT_32(0, AF_INET) },
		{ SCMP_SYS(socket), true, ARGUMENT_32(0, AF_INET6) },
		/* signals to other processes: the mail owner has several */
		{ SCMP_SYS(kill), false, ARGUMENT(0, SCMP_CMP_NE, (uint32_t)getpid(), 0) },
		{ SCMP_SYS(tgkill), false, ARGUMENT(0, SCMP_CMP_NE, (uint32_t)getpid(), 0) },
	};
	const uint32_t eperm = SCMP_ACT_ERRNO(EPERM);
	int error = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (error == 0)
		error = refuse_handlers(ctx);
	for (size_t i = 0; error == 0 && i < sizeof table / sizeof table[0]; i++) {
		if (!table[i].unless_network || !network)
			error = seccomp_rule_add_array(ctx, eperm, table[i].call, 1, &table[i].when);
	}
	return error;
}

bool seccomp_seal(const struct sandbox *s, enum seccomp_part part, struct ost_why *why)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	if (!ctx)
		return why_set(why, "seccomp: cannot make a filter");
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	int error = 0;
	if (part != SECCOMP_GUARD)
		error = refuse_named(ctx, moves, sizeof moves / sizeof moves[0]);
	if (error == 0 && part != SECCOMP_REST)
		error = refuse_named(ctx, refused, sizeof refused / sizeof refused[0]);
	if (error == 0 && part != SECCOMP_REST)
		error = refuse_arguments(ctx, s);
	if (error == 0 && (error = seccomp_load(ctx)) < 0) {
		log_debug("seccomp is not there (%s): system calls are not restricted", strerror(-error));
		error = 0;
	}
	seccomp_release(ctx);
	return error == 0 || why_set(why, "seccomp: %s", strerror(-error));
}
