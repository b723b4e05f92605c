# SPDX-License-Identifier: Apache-2.0
"""Full disk, no inodes: refused before it is too late, nothing half-written, and accepted again by itself.

The queue lies on 64 MB. It fills because the relay is down; because somebody else's file takes the last byte; and because no inode is
left. 452 4.3.1 comes while results, notices and moves still have their room, so that the queue drains when the relay is back. Then
the same for the mailboxes: what does not fit is deferred, and no half file lies in new/.
"""

import contextlib
import errno
import os
import pathlib
import signal
import subprocess
import time

from image import Image
from instance import wait_for
from lib.bed import BIN, FLIGHT, Bed

ROOT_MODE = True
FULL, SAMPLE = {"rounds": 6}, {"rounds": 1}
SIZE = 64  # MiB
RESERVE_LEAST = 8 * 1024 * 1024  # of the 32 MiB that acceptance leaves, what a second's load may have taken
EX_OSERR, EX_TEMPFAIL = 71, 75
LIMITS = """\
message_size_limit = 1000000
ostler_journal_segment_size = 1048576
ostler_journal_segments = 12
"""  # for a disk of this size
AGENTS = 2
REFUSED = 20  # recipients that the relay refuses


def free_bytes(folder):
    v = os.statvfs(folder)
    return v.f_bavail * v.f_frsize


def fill(folder):
    """Somebody else's file, up to the last byte."""
    path = folder / "filler"
    with open(path, "wb", buffering=0) as f, contextlib.suppress(OSError):
        for size in (1 << 20, 4096):
            with contextlib.suppress(OSError):
                while True:
                    f.write(bytes(size))
        os.fsync(f.fileno())
    return path


def fill_inodes(folder, leave):
    """Somebody else's empty files, until so many inodes are left."""
    folder = folder / "many"
    folder.mkdir()
    for n in range(max(os.statvfs(folder).f_favail - leave, 0)):
        try:
            (folder / str(n)).touch()
        except OSError as e:
            if e.errno != errno.ENOSPC:
                raise
            break
    return folder


def answer_to_mail(bed):
    """What MAIL FROM gets now."""
    with bed.instance.raw() as d:
        d.reply()
        d.ask("EHLO probe.test")
        return d.ask("MAIL FROM:<probe@relay.test>")


def is_full(bed):
    return answer_to_mail(bed).startswith("452 4.3.1")


def accepts(bed):
    return answer_to_mail(bed).startswith("250")


def relay_down(bed):
    bed.sink.terminate()
    bed.sink.wait()


def relay_up(bed):
    """Back on its port; one ledger for each time."""
    number = len(list(bed.folder.glob("relayed*")))
    bed.sink = subprocess.Popen([BIN / "smtp-sink", "--ledger", bed.folder / f"relayed-{number}", "--reply", "rcpt:refused:550 5.1.1 No such user",
                                 f"127.0.0.1:{bed.relay_port}"], stdout=subprocess.PIPE, text=True)
    bed.sink.stdout.readline()


def end_of(load):
    """Ends a load in an orderly way."""
    load.send_signal(signal.SIGTERM)
    load.wait(timeout=120)


def send_refused(bed, name):
    """Mail whose recipient the relay will refuse; notices go to box7."""
    done = subprocess.run([BIN / "smtp-load", "-s", "2", "-m", str(REFUSED), "--id", name, "-t", "refused%d@relay.test", "-k", str(REFUSED), "-f",
                           "box7@virtual.test", f"127.0.0.1:{bed.instance.port}"], capture_output=True, text=True, timeout=60, check=False)
    return '"accepted": 20' in done.stdout


def notices(bed):
    """How many notices lie in box7, and for how many recipients they are."""
    texts = [p.read_text(errors="replace") for p in bed.instance.vmail.glob("box7/new/*")]
    found = [line for text in texts if "multipart/report" in text for line in text.splitlines() if line.startswith("Final-Recipient:") and "refused" in line]
    return len(found), len(set(found))


def submit_when_full(f, bed, name):
    """sendmail(1) on a full queue says so, and leaves nothing behind."""
    done = bed.instance.sendmail("-f", "probe@relay.test", "box1@virtual.test", message="Subject: x\n\nx\n", check=False)
    f.tap.ok(done.returncode in (EX_OSERR, EX_TEMPFAIL), f"{name}: sendmail says that it is full", [done.returncode, done.stderr])
    left = [p for p in pathlib.Path(bed.instance.queue).glob("**/maildrop/*") if p.is_file()]
    f.tap.ok(not left, f"{name}: sendmail leaves nothing half-written", left)


def check_recovery(f, bed, name, load, master, doubled=0):
    """The queue drains; it accepts again by itself; all is there, once."""
    f.tap.ok(bed.drain(), f"{name}: the queue drains", bed.instance.log().splitlines()[-20:])
    wait_for(lambda: accepts(bed), 10)
    f.tap.ok(bed.instance.master_pid() == master, f"{name}: accepts again without a restart")
    bed.judge(f.tap, load, worth=50, doubled=doubled)


def grown(f, bed, name):
    """The queue itself fills the disk."""
    master, load = bed.instance.master_pid(), f"{name}x"
    relay_down(bed)
    f.tap.ok(send_refused(bed, f"{name}-refused"), f"{name}: mail that will be refused is there")
    running = bed.load(load, 600, "-l", "1000-80000")
    wait_for(lambda: is_full(bed), 120)
    time.sleep(2)
    room = free_bytes(bed.instance.queue)
    f.tap.note(f"{name}: 452 with {room >> 10} KiB free")
    f.tap.ok(room >= RESERVE_LEAST, f"{name}: 452 while there is room for results and notices")
    f.tap.ok(is_full(bed), f"{name}: still full")
    end_of(running)
    submit_when_full(f, bed, name)
    before = notices(bed)
    relay_up(bed)
    check_recovery(f, bed, name, load, master)
    wait_for(lambda: notices(bed)[0] >= before[0] + REFUSED, 30)
    f.tap.ok(notices(bed)[0] == before[0] + REFUSED, f"{name}: each notice once", [before, notices(bed)])


def taken(f, bed, name):
    """Somebody else takes all that is left, the reserve too, in the middle of the load."""
    master, load = bed.instance.master_pid(), f"{name}x"
    running = bed.load(load, 600)
    time.sleep(f.rng.uniform(0.5, 1.5))
    filler = fill(bed.instance.queue)
    wait_for(lambda: is_full(bed), 30)
    submit_when_full(f, bed, name)
    time.sleep(f.rng.uniform(1, 3))
    f.tap.ok(is_full(bed), f"{name}: nothing is accepted")
    filler.unlink()
    wait_for(lambda: accepts(bed), 10)
    time.sleep(0.5)
    end_of(running)
    # An agent that cannot record what it did ends: one duplicate for each recipient in flight.
    check_recovery(f, bed, name, load, master, doubled=AGENTS * FLIGHT)


def grown_inodes(f, bed, name):
    """The queue's files take all inodes that they may."""
    master, load = bed.instance.master_pid(), f"{name}x"
    relay_down(bed)
    running = bed.load(load, 600)
    wait_for(lambda: is_full(bed), 120)
    left = os.statvfs(bed.instance.queue).f_favail
    f.tap.note(f"{name}: 452 with {left} inodes left")
    time.sleep(1)
    f.tap.ok(left > 0 and is_full(bed), f"{name}: 452 while there are inodes for results and notices")
    end_of(running)
    submit_when_full(f, bed, name)
    relay_up(bed)
    check_recovery(f, bed, name, load, master)


def taken_inodes(f, bed, name):
    """Somebody else's files take all that are left, in the middle of the load."""
    master, load = bed.instance.master_pid(), f"{name}x"
    running = bed.load(load, 600)
    time.sleep(f.rng.uniform(0.5, 1.5))
    many = fill_inodes(bed.instance.queue, 0)
    wait_for(lambda: is_full(bed), 30)
    submit_when_full(f, bed, name)
    time.sleep(f.rng.uniform(1, 3))
    subprocess.run(["rm", "-rf", many], check=True)
    wait_for(lambda: accepts(bed), 10)
    time.sleep(0.5)
    end_of(running)
    check_recovery(f, bed, name, load, master, doubled=AGENTS * FLIGHT)


def full_mailboxes(f, bed, name):
    """Deferred while there is no room, no half file, delivered once when there is."""
    master, load = bed.instance.master_pid(), f"{name}x"
    logged = len(bed.instance.log())
    filler = fill(bed.instance.vmail)
    running = bed.load(load, 600)

    def deferred():
        return [line for line in bed.instance.log()[logged:].splitlines() if "/virtual[" in line and "status=deferred" in line]
    wait_for(deferred, 30)
    time.sleep(1)
    end_of(running)
    _, bad = bed.ledger.arrived(bed.instance.vmail)
    f.tap.ok(not bad, f"{name}: no half file in new/", bad)
    f.tap.ok(all("No space left" in line for line in deferred()), f"{name}: the status says that it is full", deferred()[:3])
    filler.unlink()
    check_recovery(f, bed, name, load, master)
    left = list(bed.instance.vmail.glob("*/tmp/*"))
    f.tap.ok(not left, f"{name}: nothing is left in tmp/", left)


def with_image(f, name, parts, *mkfs, mail=False):
    """A bed whose queue, or mailboxes, lie on a small file system."""
    with Image(f.base, SIZE) as image:
        place = pathlib.Path(image.fresh("-m", "0", *mkfs)) / "data"
        place.mkdir()
        where = {"vmail": place} if mail else {"queue": place}
        with Bed(f.folder / name, f.mode, main_cf=LIMITS, sink=("--reply", "rcpt:refused:550 5.1.1 No such user"), **where) as bed:
            for number, part in enumerate(parts):
                part(f, bed, f"{name}{number}")


def run(f):
    for n in range(f.rounds):
        with_image(f, f"space{n}", (grown, taken))
        with_image(f, f"inodes{n}", (grown_inodes, taken_inodes), "-N", "1000")
        with_image(f, f"mail{n}", (full_mailboxes,), mail=True)
