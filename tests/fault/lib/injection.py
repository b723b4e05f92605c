# SPDX-License-Identifier: Apache-2.0
"""One system call that goes wrong: runs the tool `inject` over an instance, and reads what it wrote down."""

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import time

from instance import wait_for

TOOL = pathlib.Path(os.environ.get("OST_BUILDDIR", ".")) / "tests/fault/inject"


@dataclasses.dataclass(frozen=True)
class Seen:
    """A call that changed the disk, or would have: hit is the one that went wrong."""
    hit: bool
    pid: int
    role: str
    call: str
    path: str
    at: int
    answer: int
    ms: int
    part: str | None = None  # of the disk, for who has names for them


def read_trace(path):
    """The calls of a trace, in their order."""
    if not path.exists():
        return []
    rows = (line.split("\t") for line in path.read_text(errors="replace").splitlines())
    return [Seen(r[0] == "H", int(r[1]), r[2], r[3], r[4], int(r[5]), int(r[6]), int(r[7])) for r in rows if len(r) == 8]


class Injection:
    """with Injection(folder, pids or a command line, role=, call=, pattern=, nth=, action=, ms=) as i: while it lasts. Without
    an action it only writes down. Two at a time need traces of their own."""

    def __init__(self, under, what, *, role="", call="", pattern="*", nth=1, action=None, ms=1500, stdin=None, trace="trace"):
        self.trace = under / trace
        self.trace.unlink(missing_ok=True)
        wish = ["-r", role, "-c", call, "-p", pattern, "-n", str(nth), "-a", action, "-m", str(ms)] if action else []
        self.stdin = stdin
        self.argv = [TOOL, "-u", f"{under}/", "-o", self.trace, *wish, *map(str, what)]

    def __enter__(self):
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_for(lambda: self.trace.exists() and self.trace.read_text().startswith("ready"), 10, step=0.01)
        return self

    def __exit__(self, *exc):
        self.stop()

    def stop(self):
        """Whoever is watched goes on alone. Again and again: a signal just before a wait is not seen."""
        while self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.process.send_signal(signal.SIGTERM)
            time.sleep(0.01)

    def finished(self):
        """Waits for a program that was started under it: its status, and what it said of errors."""
        _, err = self.process.communicate(self.stdin, timeout=60)
        return self.process.returncode, err.decode(errors="replace")

    def seen(self):
        return read_trace(self.trace)

    def hit(self):
        """The call that went wrong, or None."""
        return next((s for s in self.seen() if s.hit), None)
