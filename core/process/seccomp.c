/* SPDX-License-Identifier: Apache-2.0 */
#include "process/seccomp.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "process/worker.h"

/* By name, so that a call that this architecture or libseccomp does not know is skipped. */
static const char *const refused[] = {
	/* other programs */
	"execve",
	"execveat",
	"uselib",
	/* other processes */
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"kcmp",
	"pidfd_getfd",
	"process_madvise",
	/* file systems and namespaces */
	"mount",
	"umount",
	"umount2",
	"pivot_root",
	"chroot",
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

static int refuse_named(scmp_filter_ctx ctx)
{
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		int call = seccomp_syscall_resolve_name(refused[i]);
		if (call == __NR_SCMP_ERROR)
			continue;
		int error = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), call, 0);
		if (error < 0 && error != -EACCES)
			return error;
	}
	return 0;
}

/* Calls that are refused by their arguments. */
static int refuse_arguments(scmp_filter_ctx ctx, bool network)
{
	uint32_t pid = (uint32_t)getpid();
	uint32_t eperm = SCMP_ACT_ERRNO(EPERM);
	int error = 0;
	/* signals to other processes: the mail owner has several */
	error = error ? error : seccomp_rule_add(ctx, eperm, SCMP_SYS(kill), 1, SCMP_A0_32(SCMP_CMP_NE, pid));
	error = error ? error
		      : seccomp_rule_add(ctx, eperm, SCMP_SYS(tgkill), 1, SCMP_A0_32(SCMP_CMP_NE, pid));
	error = error ? error : seccomp_rule_add(ctx, eperm, SCMP_SYS(tkill), 0);
	/* user namespaces; clone3 hides its flags, and libc falls back to clone */
	error = error ? error
		      : seccomp_rule_add(ctx, eperm, SCMP_SYS(clone), 1,
					 SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER));
	error = error ? error : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	/* keystrokes for the terminal of start-fg */
	error = error ? error
		      : seccomp_rule_add(ctx, eperm, SCMP_SYS(ioctl), 1, SCMP_A1_32(SCMP_CMP_EQ, TIOCSTI));
	if (!network) {
		error = error ? error
			      : seccomp_rule_add(ctx, eperm, SCMP_SYS(socket), 1,
						 SCMP_A0_32(SCMP_CMP_EQ, AF_INET));
		error = error ? error
			      : seccomp_rule_add(ctx, eperm, SCMP_SYS(socket), 1,
						 SCMP_A0_32(SCMP_CMP_EQ, AF_INET6));
	}
	error = error ? error
		      : seccomp_rule_add(ctx, eperm, SCMP_SYS(socket), 1, SCMP_A0_32(SCMP_CMP_EQ, AF_PACKET));
	return error;
}

bool seccomp_seal(const struct sandbox *s, struct ost_why *why)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	if (!ctx)
		return why_set(why, "seccomp: cannot make a filter");
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	int error = refuse_named(ctx);
	if (error == 0)
		error = refuse_arguments(ctx, (s->flags & (ROLE_MODULES | ROLE_NETWORK)) != 0);
	if (error == 0 && (error = seccomp_load(ctx)) < 0) {
		log_debug("seccomp is not there (%s): system calls are not restricted", strerror(-error));
		error = 0;
	}
	seccomp_release(ctx);
	return error == 0 || why_set(why, "seccomp: %s", strerror(-error));
}
