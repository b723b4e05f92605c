# SPDX-License-Identifier: Apache-2.0
"""The date jumps ten years ahead and back again: nothing expires untried, no name is used twice, timers go on.

The machine's own clock stays as it is: a small library (tools/clock.c) tells the instance's processes another date.
"""

import contextlib
import os
import re
import signal
import struct
import time

from instance import MASTER_CF, wait_for
from lib.bed import Bed
from lib.injection import TOOL
from lib.traffic import PATIENCE, USER, Replies, Traffic, main_cf, spool_folder
from sink import Sink

ROOT_MODE = True  # a system user's mailbox is among the ways
FULL, SAMPLE = {"rounds": 3}, {"rounds": 1}

LIBRARY = TOOL.parent / ".libs/clock.so"
YEARS = 10 * 365 * 86400
MORE = """\
import_environment = LD_PRELOAD CLOCK_FILE
smtpd_timeout = 4s
"""


class Clock:
    def __init__(self, path):
        self.path = path
        self.set(0)

    def set(self, seconds):
        """In place: the processes have mapped the file."""
        with open(self.path, "r+b" if self.path.exists() else "wb") as f:
            f.write(struct.pack("=q", seconds))

    def begin(self):
        """Whatever is started from now on has this clock."""
        os.environ.update(LD_PRELOAD=str(LIBRARY.resolve()), CLOCK_FILE=str(self.path))

    @staticmethod
    def end():
        for name in ("LD_PRELOAD", "CLOCK_FILE"):
            os.environ.pop(name, None)


class DeferAll(Replies):
    """Puts everything for `later` and `never` off until told otherwise; `never` always."""

    def __init__(self):
        super().__init__()
        self.open = False

    def rcpt(self, line):
        to = re.search(r"<(.*?)>", line).group(1)
        self.seen[to] += 1
        refused = to.startswith("never") or to.startswith("later") and not self.open
        return "450 4.2.0 not now" if refused else None


class Names:
    """Queue ids and Maildir names: none may come twice."""

    def __init__(self):
        self.seen, self.twice = set(), []

    def add(self, name):
        if name in self.seen:
            self.twice.append(name)
        self.seen.add(name)


def round_of_mail(traffic, names):
    """Mail by all quick ways; answers whether all arrived."""
    traffic.begin()
    for kind in ("pair", "mbox", "large", "submit", "drop", "pair"):
        names.add(traffic.send(kind).queue_id or object())
    try:
        wait_for(traffic.settled_but_deferred, PATIENCE)
    except AssertionError:
        return False
    for path in traffic.bed.instance.vmail.glob("*/new/*"):
        names.add(path.name)
    return not traffic.judge()[0]


def send_to(traffic, kind):
    """One that the receiving server will put off; answers its recipient."""
    a = traffic.once(kind)
    assert a.verdict == "accepted", a
    to = a.expected[0]
    bed = traffic.bed.instance
    bed.wait_log(f"to=<{to}>")
    wait_for(lambda: any("not now" in str(m) for m in bed.queue_list() if to in str(m)), PATIENCE)  # that is settled
    return to


def expires_after_a_try(f, traffic, clock, replies):
    """Ahead: what was put off before is tried again, and only then given up."""
    later, never = send_to(traffic, "later"), send_to(traffic, "never")
    wait_for(lambda: len(traffic.bed.instance.queue_list()) == 2, PATIENCE)
    before, replies.open = replies.seen[never], True
    clock.set(YEARS)
    f.tap.ok(appears(lambda: [m for m in traffic.sink.messages if later in m.recipients]), "ahead: who was put off is delivered, not bounced")
    f.tap.ok(appears(lambda: not traffic.bed.instance.queue_list()), "ahead: what is too old leaves the queue")
    f.tap.ok(replies.seen[never] > before, "ahead: and was tried once more before that")
    f.tap.ok(appears(lambda: traffic.arrived()[2]), "ahead: its sender is told")
    replies.open = False


def comes_back(f, traffic, clock, replies):
    """Back: what was to be tried in ten years is tried now, by a queue manager that starts anew as well."""
    later = send_to(traffic, "later")
    for pid, role in traffic.bed.instance.processes().items():
        if role.startswith("qmgr"):
            os.kill(pid, signal.SIGSTOP)  # so that it has no time to try again before
            clock.set(0)
            os.kill(pid, signal.SIGKILL)
    replies.open = True
    f.tap.ok(appears(lambda: [m for m in traffic.sink.messages if later in m.recipients]), "back: who was put off is tried again soon")
    replies.open = False


def appears(what):
    try:
        return bool(wait_for(what, PATIENCE))
    except AssertionError:
        return False


def sessions_go_on(f, traffic, clock, to, text):
    """A session lives through a jump, and ends at its time limit."""
    with traffic.bed.instance.raw() as d:
        d.reply()
        clock.set(to)
        time.sleep(0.5)
        f.tap.ok(d.ask("NOOP").startswith("250"), f"{text}: a session goes on")
        began = time.monotonic()
        d.sock.settimeout(PATIENCE)
        said = d.reply()
        took = time.monotonic() - began
        f.tap.ok(said.startswith("421") and took < 15, f"{text}: and ends when its client says nothing", [said, took])


def run(f):
    f.folder.mkdir(parents=True, exist_ok=True)
    f.folder.chmod(0o755)
    clock, replies, names = Clock(f.folder / "clock"), DeferAll(), Names()
    master_cf = MASTER_CF.replace("60      1       pickup", "1       1       pickup")
    with contextlib.ExitStack() as open_:
        sink = open_.enter_context(Sink(replies={"rcpt": replies.rcpt}))
        mail = spool_folder(f.folder / "mail")
        open_.callback(clock.end)
        clock.begin()
        bed = open_.enter_context(Bed(f.folder, f.mode, main_cf=main_cf(f.folder, sink.port) + MORE, master_cf=master_cf))
        clock.end()
        traffic = Traffic(bed, sink, replies, mail / USER)
        f.tap.ok(round_of_mail(traffic, names), "now: mail arrives", traffic.judge()[0])
        for n in range(f.rounds):
            expires_after_a_try(f, traffic, clock, replies)
            f.tap.ok(ahead(bed), "ahead: the processes see that date")
            for shift, text in ((YEARS, "ahead"), (-YEARS, "ten years ago"), (0, "back")):
                sessions_go_on(f, traffic, clock, shift, text)
                f.tap.ok(round_of_mail(traffic, names), f"{text}: mail arrives", traffic.judge()[0])
                if shift == YEARS:
                    comes_back(f, traffic, clock, replies)
        f.tap.ok(len(names.seen) > 20 and not names.twice, "no queue id or Maildir name came twice", names.twice)


def ahead(bed):
    """Whether a Maildir name tells of the other date."""
    return any(int(p.name.split(".")[0]) > time.time() + YEARS / 2 for p in bed.instance.vmail.glob("*/new/*"))
