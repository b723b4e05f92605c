# SPDX-License-Identifier: Apache-2.0
"""Damage: a flipped bit or a cut in a segment or a message file costs the message that was there at most, and never recovery.

The many samples are made by damage-spool, which recovers copies of a spool without the rest of the system: journal segments, result logs
and message files, at places that the seed chooses and at every record's ends; mail that imitates records is part of it. Then
some full starts: kill -9 of everything under load, one place damaged, start. No hang, no crash, what is damaged is named in
the log and kept in corrupt/, all the rest arrives.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

from lib.bed import FLIGHT, Bed
from lib.ending import kill_all

ROOT_MODE = True
FULL, SAMPLE = {"rounds": 36}, {"rounds": 5}  # full starts
SAMPLES = {True: 4000, False: 60}
AGENTS = 2
HEADER = 4096  # of a segment
TOOL = pathlib.Path(os.environ.get("OST_BUILDDIR", ".")) / "tests/fault/damage-spool"


def run_tool(f):
    """The samples without a system around them."""
    if not TOOL.exists():
        return f.tap.skip("damage: samples", "damage-spool was not built")
    memory = pathlib.Path("/dev/shm")  # what is tested does not depend on a disk
    folder = tempfile.mkdtemp(prefix="ostler-damage-", dir=memory if os.access(memory, os.W_OK) else f.base)
    try:
        done = subprocess.run([TOOL, folder, str(f.rng.randrange(1 << 31)), str(SAMPLES[f.full])], text=True, capture_output=True,
                              timeout=1500, check=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    lines = done.stdout.splitlines()
    figures = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    f.tap.note(f"damage: {figures}")
    f.tap.ok(done.returncode == 0, "damage: each sample costs the message at that place at most, and is kept", lines + done.stderr.splitlines()[-20:])
    return f.tap.ok(figures.get("cost_a_message", 0) > 0 and figures.get("files", 0) > 5, "damage: the samples were worth the name")


def stored_blocks(path, begin):
    """Where there is something in this file: offsets of blocks of 512 bytes that are not zeros."""
    data = path.read_bytes()
    return [(path, at) for at in range(begin, len(data), 512) if data[at:at + 512].strip(b"\0")]


def damage_one(queue, rng):
    """Flips a bit of what is stored, or cuts a message file; answers what was done."""
    # A file whose writer died before its header is none yet: half of it may be there, and nobody was told.
    files = [p for p in queue.glob("**/message/*/*") if p.is_file() and p.read_bytes()[:256].strip(b"\0")]
    segments = list(queue.glob("**/journal/[0-9]*"))
    heads = [block for p in segments for block in stored_blocks(p, 0) if block[1] < HEADER]
    records = [block for p in segments for block in stored_blocks(p, HEADER)]
    messages = [block for p in files for block in stored_blocks(p, 0)]
    path, at = rng.choice(rng.choice([blocks for blocks in (heads, records, records, records, messages, messages) if blocks]))
    at = min(at + rng.randrange(512), path.stat().st_size - 1)
    cut = path in files and rng.random() < 0.5
    with open(path, "r+b") as file:
        if cut:
            file.truncate(max(at, 1))
        else:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ (1 << rng.randrange(8))]))
    return f"{path.parent.name}/{path.name} {'cut' if cut else 'flipped'} at {at}"


def kept(queue):
    return {p.name for p in queue.glob("**/corrupt/*")}


def full_start(f, bed, name):
    """One start on a queue that was damaged. The relay stands still meanwhile, so that there is something in the queue."""
    instance = bed.instance
    bed.sink.send_signal(signal.SIGSTOP)
    load = bed.load(name, 60, "-t", "user%d@relay.test", "-t", "other%d@relay.test")
    time.sleep(f.rng.uniform(0.5, 1.0))
    load.send_signal(signal.SIGTERM)
    load.wait(timeout=60)
    kill_all(instance, instance.top())
    before, logged = kept(instance.queue), len(instance.log())
    what = damage_one(instance.queue, f.rng)
    instance.start()
    greeting = bed.wait_greeting()
    bed.sink.send_signal(signal.SIGCONT)
    f.tap.note(f"{name}: {what}")
    f.tap.ok(greeting <= 5, f"{name}: greets within 5 seconds", [f"{greeting:.1f} s"])
    f.tap.ok(bed.drain(), f"{name}: the queue drains", instance.log().splitlines()[-20:])
    _, lost, _ = bed.judge(f.tap, name, doubled=AGENTS * FLIGHT, lost=1, worth=20)
    new = kept(instance.queue) - before
    log = instance.log()[logged:]
    f.tap.ok(new or not lost, f"{name}: what is gone is kept in corrupt/")
    f.tap.ok(all(n in log for n in new), f"{name}: the log names what was set aside", new)
    died = [line for line in log.splitlines() if "killed by" in line or "signal" in line or "panic" in line]
    f.tap.ok(not died, f"{name}: nothing crashes", died)


def run(f):
    run_tool(f)
    with Bed(f.folder, f.mode) as bed:
        for n in range(f.rounds):
            full_start(f, bed, f"start{n:02}x")
