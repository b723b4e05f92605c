# SPDX-License-Identifier: Apache-2.0
"""A control group for one resource, of version 1 or 2, whichever the system has."""

import contextlib
import os
import pathlib
import tempfile

ROOT = pathlib.Path("/sys/fs/cgroup")
# resource: the files of its limit, in version 1 and 2
LIMITS = {"memory": ("memory.limit_in_bytes", "memory.max"), "pids": ("pids.max", "pids.max")}
NEEDED = ("rss", "anon", "shmem", "kernel", "unevictable")  # of memory.stat: what cannot be given back


class Unavailable(Exception):
    """There can be no such group here; the text says why."""


def home_of(resource):
    """(version, the folder where groups are made, the folder of the group that this process is in)."""
    with open("/proc/self/cgroup", encoding="ascii") as f:
        own = {line.split(":")[1]: line.rstrip("\n").split(":", 2)[2].lstrip("/") for line in f}
    if (ROOT / resource / "cgroup.procs").exists():
        return 1, ROOT / resource, ROOT / resource / own.get(resource, "")
    for root in (ROOT, ROOT / "unified"):
        control = root / "cgroup.controllers"
        if control.exists() and resource in control.read_text().split():
            (root / "cgroup.subtree_control").write_text(f"+{resource}")
            return 2, root, root / own.get("", "")
    raise Unavailable(f"no control group of {resource}")


class Group:
    """Those who are started within `with group:`, and all that descend from them."""

    def __init__(self, resource):
        try:
            version, root, self.outside = home_of(resource)
            self.path = pathlib.Path(tempfile.mkdtemp(prefix="ostler-fault-", dir=root))
        except OSError as e:
            raise Unavailable(f"control group of {resource}: {e.strerror}") from e
        self.limit_file = self.path / LIMITS[resource][version - 1]
        self.none = "-1" if (resource, version) == ("memory", 1) else "max"
        if not self.limit_file.exists():
            self.remove()
            raise Unavailable(f"control group of {resource}: no {self.limit_file.name}")

    def __enter__(self):
        (self.path / "cgroup.procs").write_text(str(os.getpid()))
        return self

    def __exit__(self, *exc):
        (self.outside / "cgroup.procs").write_text(str(os.getpid()))

    def limit(self, amount=None):
        """None: no limit any more."""
        self.limit_file.write_text(self.none if amount is None else str(amount))

    def tasks(self):
        """How many processes and threads there are (pids)."""
        return int((self.path / "pids.current").read_text())

    def needed(self):
        """Bytes that cannot be written out or dropped (memory)."""
        stat = dict(line.split() for line in (self.path / "memory.stat").read_text().splitlines())
        kernel = self.path / "memory.kmem.usage_in_bytes"  # version 1
        return sum(int(stat.get(key, 0)) for key in NEEDED) + (int(kernel.read_text()) if kernel.exists() else 0)

    def kills(self):
        """How many processes the kernel has killed for want of memory."""
        for name in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError):
                return int(dict(line.split() for line in (self.path / name).read_text().splitlines())["oom_kill"])
        return 0

    def remove(self):
        """Once all in it have ended."""
        with contextlib.suppress(OSError):
            self.path.rmdir()
