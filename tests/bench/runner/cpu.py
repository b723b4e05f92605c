# SPDX-License-Identifier: Apache-2.0
"""CPU time and memory of all processes of an MTA, and CPU time of the whole machine."""

import os
import tempfile

from .tools import wait_until

TICK = os.sysconf("SC_CLK_TCK")


class Group:
    """A control group (version 2) of its own: it knows the time of processes that have ended as well.

    Where there is none, the times of the process tree are added up: those that live and those that were waited for.
    """

    def __init__(self):
        self.path = None
        for root in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
            if os.path.exists(os.path.join(root, "cgroup.procs")):
                try:
                    self.path = tempfile.mkdtemp(prefix="ostler-bench-", dir=root)
                    break
                except OSError:
                    continue
        self.root_pid = None

    def enter(self):
        """For preexec_fn: the new process and its children are in the group."""
        if self.path:
            with open(os.path.join(self.path, "cgroup.procs"), "w", encoding="ascii") as f:
                f.write(str(os.getpid()))

    def pids(self):
        if self.path:
            with open(os.path.join(self.path, "cgroup.procs"), encoding="ascii") as f:
                return [int(line) for line in f]
        return tree(self.root_pid) if self.root_pid else []

    def seconds(self):
        if self.path:
            with open(os.path.join(self.path, "cpu.stat"), encoding="ascii") as f:
                fields = dict(line.split() for line in f)
            return int(fields["usage_usec"]) / 1e6
        return sum(process_seconds(pid) for pid in self.pids())

    def end(self):
        """All processes have ended; those that have not are killed."""
        if not self.path:
            return
        if self.pids():
            with open(os.path.join(self.path, "cgroup.kill"), "w", encoding="ascii") as f:
                f.write("1")
            wait_until("end of the processes", lambda: not self.pids(), 10)
        os.rmdir(self.path)
        self.path = None


def stat_fields(pid):
    """The fields of /proc/PID/stat after the command's name, or None when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            return f.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def process_seconds(pid):
    fields = stat_fields(pid)
    return sum(map(int, fields[11:15])) / TICK if fields else 0.0


def tree(root):
    """The process and all that descend from it."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := stat_fields(name)):
            children.setdefault(int(fields[1]), []).append(int(name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def process_name(pid):
    """What it does: the role of a worker, or the program's name."""
    with open(f"/proc/{pid}/cmdline", "rb") as f:
        words = f.read().decode(errors="replace").split("\0")
    if "--worker" in words[:-1]:
        return words[words.index("--worker") + 1]
    return os.path.basename(words[0])


def pss_by_name(pids):
    """Memory in MiB by what processes do, shared pages divided by those who share them."""
    sizes = {}
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
                kilobytes = sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
            name = process_name(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
        sizes[name] = sizes.get(name, 0) + kilobytes / 1024
    return sizes


def pss_megabytes(pids):
    return sum(pss_by_name(pids).values())


def machine_seconds():
    """Time that all CPUs together were not idle."""
    with open("/proc/stat", encoding="ascii") as f:
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, f.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICK
