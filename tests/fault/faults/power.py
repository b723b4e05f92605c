# SPDX-License-Identifier: Apache-2.0
"""Power cuts: what the disk did not have durably is gone; what got a 250 is there, whole, and arrives.

The queue, and the mailboxes, lie on an ext4 with a journal in a file. A cut stops that file system in the middle of the load: nothing
more is written to it, not even the journal that was still in memory. Then every process of the instance is killed, the file
system is mounted again (which replays its journal), and the instance started. Ledgers, configuration and log lie elsewhere.

Layouts: queue and mailboxes on one file system; on two, of which only the mailboxes' or only the queue's is cut. A cut counts as the death
of every agent: at most one duplicate for each recipient in flight. As a test of the test, the same with libeatmydata in Ostler's
processes, which turns their syncs into nothing: that must lose mail.
"""

import contextlib
import os
import pathlib
import signal
import time

from image import Image
from lib.bed import FLIGHT, Bed
from lib.ending import freeze, kill_all

ROOT_MODE = True
FULL, SAMPLE = {"rounds": 100}, {"rounds": 10}
BLOCK = 10            # cuts between two judgements
AGENTS = 2            # smtp and virtual, each with FLIGHT recipients in flight at most
LAYOUTS = {"one": 6, "mailboxes": 2, "queue": 2}  # tenths of the rounds
SIZE = 512            # MiB of each image
OPTIONS = "commit=30"  # what is not synced stays in memory for that long
EATMYDATA = "libeatmydata.so"
ONLY_UNSYNCED = f"import_environment = LD_PRELOAD={EATMYDATA}\n"


class Layout:
    """A bed whose queue and mailboxes lie on images; cut() takes the power from the ones that the layout names."""

    def __init__(self, f, stack, name, main_cf=""):
        self.cuts, self.name = 0, name
        self.queue = self.image(f, stack)
        self.mail = self.queue if name == "one" else self.image(f, stack)
        self.victim = self.mail if name == "mailboxes" else self.queue
        folder = f.folder / (name if not main_cf else f"{name}-unsynced")
        self.bed = stack.enter_context(Bed(folder, f.mode, main_cf=main_cf, queue=self.room(self.queue, "queue"),
                                           vmail=self.room(self.mail, "vmail")))

    @staticmethod
    def image(f, stack):
        image = stack.enter_context(Image(f.base, SIZE))
        image.fresh(options=OPTIONS)
        return image

    @staticmethod
    def room(image, name):
        folder = pathlib.Path(image.path) / name
        folder.mkdir()
        return folder

    def empty_mailboxes(self):
        """What has been judged goes: the image has no room, and no inodes, for the mail of a hundred cuts."""
        for path in self.bed.instance.vmail.glob("*/new/*"):
            path.unlink()

    def cut(self):
        """Power off, power on, and the time that took until it greeted again."""
        instance, began = self.bed.instance, time.monotonic_ns()
        top = instance.top()  # the pid file may lie where the power goes
        if self.name == "mailboxes":
            self.cut_mailboxes()
        else:
            self.victim.cut()
        kill_all(instance, top)
        if self.name != "mailboxes":
            self.bed.ledger.doubtful.append((began, time.monotonic_ns()))  # a sync may have answered after the cut
        self.victim.unmount()
        self.victim.mount(OPTIONS)
        instance.start()
        self.cuts += 1
        return self.bed.wait_greeting()

    def cut_mailboxes(self):
        """The mailboxes go; the queue is at work for a while: what was to be delivered now waits, and more is accepted."""
        frozen = freeze(self.bed.instance)
        self.victim.cut()
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        time.sleep(1)


def run_block(f, layout, name, rounds):
    """Cuts under one load; then all of it must be there."""
    bed = layout.bed
    load = bed.load(name, 600)
    slowest = 0.0
    for _ in range(rounds):
        time.sleep(f.rng.uniform(0.2, 1.2))
        slowest = max(slowest, layout.cut())
    time.sleep(0.5)
    load.send_signal(signal.SIGTERM)
    load.wait(timeout=120)
    f.tap.ok(slowest <= 5, f"{name}: greets within 5 seconds", [f"{slowest:.1f} s"])
    f.tap.ok(bed.drain(), f"{name}: the queue drains", bed.instance.log().splitlines()[-20:])


def run_layout(f, name, rounds):
    with contextlib.ExitStack() as stack:
        layout = Layout(f, stack, name)
        for number, first in enumerate(range(0, rounds, BLOCK)):
            load, cuts = f"{name}{number:02}x", min(BLOCK, rounds - first)
            run_block(f, layout, load, cuts)
            layout.bed.judge(f.tap, load, doubled=cuts * AGENTS * FLIGHT, disk_gone=True)
            layout.empty_mailboxes()
        if name == "mailboxes":
            deferred = [line for line in layout.bed.instance.log().splitlines() if "/virtual[" in line and "status=deferred" in line]
            f.tap.ok(deferred, "mailboxes: what could not be delivered was deferred")
        bounced = [line for line in layout.bed.instance.log().splitlines() if "status=bounced" in line]
        f.tap.ok(not bounced, f"{name}: nothing is given up for a disk that is gone", bounced)


def run_control(f, rounds):
    """The same without syncs: this must lose mail, or the cuts are none."""
    with contextlib.ExitStack() as stack:
        layout = Layout(f, stack, "one", ONLY_UNSYNCED)
        bed = layout.bed
        without = [role for pid, role in bed.instance.processes().items()
                   if role not in ("guardian", "master") and EATMYDATA not in pathlib.Path(f"/proc/{pid}/maps").read_text()]
        f.tap.ok(not without, "control: each process has libeatmydata", without)
        load = bed.load("control", 600)
        for _ in range(rounds):
            time.sleep(1)
            layout.cut()
        load.send_signal(signal.SIGTERM)
        load.wait(timeout=120)
        bed.drain(20)
        accepted = bed.ledger.sent("control", "accepted")
        arrived, _ = bed.ledger.arrived(bed.instance.vmail)
        lost = [key for key in accepted if key not in arrived]
        f.tap.note(f"control: accepted {len(accepted)}, lost {len(lost)}")
        f.tap.ok(lost, "control: without syncs, power cuts lose mail")


def run(f):
    for name, tenths in LAYOUTS.items():
        run_layout(f, name, max(f.rounds * tenths // 10, 1))
    run_control(f, 3 if f.full else 1)
