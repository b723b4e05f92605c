# SPDX-License-Identifier: Apache-2.0
"""Low limits of single processes (prlimit), of open files and of the user's processes."""

import contextlib
import os
import subprocess

NAMES = {"nofile": "Max open files", "nproc": "Max processes"}


def limit(pid, what, soft):
    """As the process's own user: that needs no privilege. Answers whether it was done."""
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            ids = {line.split()[0]: line.split()[1] for line in f if line.startswith(("Uid:", "Gid:"))}
        other = ["setpriv", f"--reuid={ids['Uid:']}", f"--regid={ids['Gid:']}", "--clear-groups"] if os.geteuid() == 0 else []
        return subprocess.run([*other, "prlimit", f"--pid={pid}", f"--{what}={soft}:"],
                              capture_output=True, check=False).returncode == 0
    return False


def now(pid, what):
    with open(f"/proc/{pid}/limits", encoding="ascii") as f:
        return next(line.removeprefix(NAMES[what]).split()[0] for line in f if line.startswith(NAMES[what]))


def files(pid, spare):
    """The limit that leaves so many more descriptors."""
    used = {int(n) for n in os.listdir(f"/proc/{pid}/fd")}
    return [n for n in range(len(used) + spare + 1) if n not in used][spare]


def set_limit(pids, what, amount):
    """amount: of a pid. Answers what the limits were."""
    before = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            was = now(pid, what)
            if limit(pid, what, amount(pid)):
                before[pid] = was
    return before


def raise_again(before, what):
    for pid, was in before.items():
        limit(pid, what, was)
