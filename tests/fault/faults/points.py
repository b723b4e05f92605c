# SPDX-License-Identifier: Apache-2.0
"""Exact points: each call that changes the disk on a message's way dies, fails, finds no room, takes long; one at a time.

An undisturbed round of each scene shows which calls of which process there are; each of them is a point for each thing that can
happen to it. Then the clients come again until they are accepted, nobody lends a hand, and the ledgers are compared. A full run
writes the table of all points to tests/fault/points.md.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import fnmatch
import functools
import operator
import os
import pathlib
import re
import shutil
import signal

from instance import MASTER_CF, PREFIX, wait_for
from lib.bed import Bed
from lib.injection import Injection
from lib.traffic import PATIENCE, USER, Replies, Traffic, main_cf, spool_folder
from sink import Sink

ROOT_MODE = True  # other users' mailboxes, and watching processes that may not be dumped
FULL, SAMPLE = {"rounds": 0}, {"rounds": 24}  # rounds: points; 0: all

DELAY = 1.5  # seconds
TABLE = pathlib.Path(__file__).resolve().parent.parent / "points.md"

# Parts of the disk, and the patterns of their paths below the bed's folder; an asterisk stops at a slash. No path fits two. A
# segment keeps, for who made it, the name that it had in the making, now "(deleted)".
SPOOL = "instance/queue/queue"
PARTS = {
    "journal, new segment": f"{SPOOL}/journal/*.new",
    "journal": f"{SPOOL}/journal/*[0-9)]",
    "journal, folder": f"{SPOOL}/journal",
    "results, new segment": f"{SPOOL}/results/*.new",
    "results": f"{SPOOL}/results/*[0-9)]",
    "results, folder": f"{SPOOL}/results",
    "serials": f"{SPOOL}/serial",
    "message file": f"{SPOOL}/message/*/*",
    "message folder": f"{SPOOL}/message/*",
    "named": f"{SPOOL}/named/*",
    "named, folder": f"{SPOOL}/named",
    "maildrop": "instance/queue/maildrop/*",
    "Maildir, file in tmp": "instance/vmail/*/tmp/*",
    "Maildir, file in new": "instance/vmail/*/new/*",
    "Maildir, tmp new cur": "instance/vmail/*/*",
    "Maildir": "instance/vmail/*",
    "Maildir, base": "instance/vmail",
    "mailbox, lock": f"mail/{USER}.lock",
    "mailbox": f"mail/{USER}",
    "mailbox, folder": "mail",
}
ERRORS = ["EIO", "ENOSPC"]
ACTIONS = {  # what may happen to a call; those not named: all of it
    "unlink": ["die", "after", "EIO", "delay"],
}
ALL_ACTIONS = ["die", "after", *ERRORS, "delay"]
SYNCS = ("fsync", "fdatasync", "syncfs")


@dataclasses.dataclass(frozen=True)
class Scene:
    """Messages of some kinds, seen from some processes; `fresh` ones are killed before, so that they begin anew."""
    roles: tuple
    kinds: tuple
    fresh: bool = False


SCENES = {
    "accepting": Scene(("smtpd",), ("pair", "large")),
    "smtpd begins": Scene(("smtpd",), ("pair",), True),
    "sendmail": Scene(("pickup",), ("submit",)),
    "pickup begins": Scene(("pickup",), ("submit",), True),
    "maildrop": Scene(("pickup", "sendmail"), ("drop",)),
    "delivering": Scene(("agent", "user", "broker"), ("pair", "mbox", "alias")),
    "agents begin": Scene(("agent",), ("pair", "mbox", "alias"), True),
    "notices": Scene(("bounce", "qmgr"), ("bounce",)),
    "bounce begins": Scene(("bounce",), ("bounce",), True),
    "the queue": Scene(("qmgr",), ("large", "held", "later")),
    "qmgr begins": Scene(("qmgr",), ("pair", "held"), True),
}


@dataclasses.dataclass(frozen=True)
class Point:
    scene: str
    role: str
    call: str
    part: str
    nth: int
    action: str
    steady: bool = dataclasses.field(default=True, compare=False)  # every undisturbed round came by there

    def __str__(self):
        return f"{self.scene}: {self.role}: {self.call} {self.nth} of {self.part}: {self.action}"


def compiled(pattern):
    """fnmatch, but an asterisk stops at a slash."""
    return re.compile(fnmatch.translate(pattern).replace(".*", "[^/]*"))


PATTERNS = {part: compiled(pattern) for part, pattern in PARTS.items()}


def part_of(path):
    return next((part for part, pattern in PATTERNS.items() if pattern.match(path)), None)


def role_of(role):
    """Without what differs from run to run: the service's address, the user."""
    words = role.split()
    return " ".join(words[:2]) if words and words[0] == "agent" else words[0] if words else "?"


class Stage:
    """An instance with its receiving server, and rounds of messages through it."""

    def __init__(self, f):
        self.f, self.folder = f, f.folder
        self.open = contextlib.ExitStack()
        self.rounds = 0
        self.start()

    def start(self):
        """A new instance: one that has been killed too often is started ever later, as it should be."""
        self.open.close()
        self.rounds = 0
        if self.folder.exists():
            shutil.rmtree(self.folder)
        replies = Replies()
        sink = self.open.enter_context(Sink(replies={"rcpt": replies.rcpt}))
        mail = spool_folder(self.folder / "mail")
        master_cf = MASTER_CF.replace("60      1       pickup", "1       1       pickup")
        self.bed = self.open.enter_context(Bed(self.folder, self.f.mode, main_cf=main_cf(self.folder, sink.port), master_cf=master_cf))
        self.traffic = Traffic(self.bed, sink, replies, mail / USER)
        for kind in ("pair", "mbox"):
            self.traffic.send(kind)
        wait_for(self.traffic.settled, PATIENCE)

    def close(self):
        self.open.close()

    def pids(self, roles):
        return [pid for pid, role in self.bed.instance.processes().items() if role_of(role).split()[0] in roles]

    def renew(self, scene):
        """The scene's processes begin anew when it asks for that."""
        if not scene.fresh:
            return
        for pid in self.pids(scene.roles):
            self.rounds += 3  # the master starts ever later what dies again and again
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def send_all(self, scene, point, wish):
        """The scene's messages, one after the other; all at once when a call is delayed: who else has to wait for it?"""
        def send(kind):
            under = (lambda argv, text: self.watched_sendmail(argv, text, wish)) if point and point.role == "sendmail" else None
            self.traffic.send(kind, under)
        if point and point.action == "delay" and point.role != "sendmail":
            with concurrent.futures.ThreadPoolExecutor(4 + len(scene.kinds)) as pool:
                list(pool.map(send, [scene.kinds[0]] * 3 + list(scene.kinds)))
        else:
            for kind in scene.kinds:
                send(kind)

    def watched_sendmail(self, argv, text, wish):
        i = self.bed.instance
        with Injection(self.folder, ["--", PREFIX / "sbin/sendmail", "-C", i.etc, *argv], stdin=text, trace="trace-sendmail",
                       **wish) as injection:
            status, err = injection.finished()
        self.extra += injection.seen()
        return status, err

    def play(self, scene, point=None):
        """One round; answers what was seen, and whether all was well in the end."""
        wish = {}
        if point:
            wish = {"role": point.role, "call": point.call, "pattern": PARTS[point.part], "nth": point.nth,
                    "action": point.action, "ms": int(DELAY * 1000)}
        self.rounds += 1
        self.extra = []
        self.traffic.begin()
        self.log_at = len(self.bed.instance.log())
        others = {} if point and point.role == "sendmail" else wish
        with Injection(self.folder, self.bed.instance.processes(), **others) as injection:
            self.renew(scene)
            if not point and "sendmail" in scene.roles:
                self.traffic.send(scene.kinds[0], lambda argv, text: self.watched_sendmail(argv, text, {}))
            else:
                self.send_all(scene, point, wish)
            well = self.settle()
        seen = injection.seen() + self.extra
        return [dataclasses.replace(s, part=part_of(s.path.removeprefix(f"{self.folder}/"))) for s in seen], well

    def settle(self):
        try:
            wait_for(self.traffic.settled, PATIENCE)
        except AssertionError:
            return False
        return True

    def log(self):
        return self.bed.instance.log()[self.log_at:]


def sites(seen, scene):
    """(role, call, part) -> how often, of the scene's processes."""
    return collections.Counter((role_of(s.role), s.call, s.part) for s in seen
                               if s.part and role_of(s.role).split()[0] in scene.roles)


NTH = 3  # of each site: the first so many, and the last


def points_of(name, most, least):
    """The points of a scene, from how often its rounds came by each site at most and at least."""
    for site, n in sorted(most.items()):
        role, call, part = site
        for nth in sorted({*range(1, min(n, NTH) + 1), n}):
            for action in ACTIONS.get(call, ALL_ACTIONS):
                yield Point(name, role, call, part, nth, action, nth <= least[site])


HEADER = 4096  # of a segment: written anew whenever it changes


def trusted_again(seen):
    """After a failed sync nobody knows what of the file is on disk, and the next sync would not tell. So who has seen it fail writes
    no more records to that segment, and does not sync a message file again unless it was made anew. (Another process may find
    a submitted message's file whole and deliver it; the submission itself stays until its own sync is well.)"""
    at = next(i for i, s in enumerate(seen) if s.hit)
    failed = seen[at]
    if failed.call not in SYNCS or failed.answer >= 0:
        return []
    wrong = []
    for s in seen[at + 1:]:
        if s.path != failed.path or failed.part not in ("journal", "results", "message file"):
            continue
        if s.call == "create":
            break
        if s.pid == failed.pid and (failed.part == "message file" and s.call in SYNCS or s.call == "pwritev" and s.at >= HEADER):
            wrong.append(f"trusted again: {s.call} of {s.path}")
    return wrong


def may_double(point):
    """A delivery whose process dies before its record may be done again."""
    return point.action in ("die", "after") and point.role.split()[0] in ("agent", "user")


def in_header(seen):
    """Whether what went wrong was the sync of a segment's header, which happens before anything is accepted."""
    at = next(i for i, s in enumerate(seen) if s.hit)
    before = [s for s in seen[:at] if s.path == seen[at].path and s.pid == seen[at].pid and s.call == "pwritev"]
    return bool(before) and before[-1].at < HEADER


def refusals(point, attempts, seen):
    """What is wrong with the answers to clients."""
    wrong, refused = [], [a for a in attempts if a.verdict == "refused" and a.reply[:1] in "45"]
    expected = {"EIO": "451", "ENOSPC": "452"}.get(point.action)
    for a in refused:
        if point.role == "smtpd" and expected and not a.reply.startswith(expected):
            wrong.append(f"{a.reply} after {point.action}")
    if point.scene == "accepting" and point.action in ERRORS and point.call in SYNCS and not refused and \
            point.part in ("journal", "message file", "message folder") and not in_header(seen):
        wrong.append("a sync failed, and nobody was refused")
    for a in attempts:
        if a.took > DELAY + 8:
            wrong.append(f"an answer took {a.took:.0f} s: {a.reply}")
    return wrong


def outcome(point, attempts, log, doubled):
    """In a few words: what the client saw, and the rest of the system."""
    words = []
    for a in attempts:
        if a.verdict != "accepted":
            words.append(a.reply.split("\n")[0][:28].strip() or a.verdict)
    if words:
        words.append("then accepted")
    if point.action in ("die", "after") and point.role != "sendmail":
        words.append("started again")
    put_off = len(re.findall(r"status=deferred", log)) - log.count("450 4.2.0 not now")
    if put_off > 0:
        words.append("put off, then delivered")
    if doubled:
        words.append(f"{doubled} twice")
    return ", ".join(dict.fromkeys(words)) or "nobody noticed"


def try_point(stage, point):
    """Answers (outcome, what is wrong), or None when the round did not come by there."""
    seen, well = stage.play(SCENES[point.scene], point)
    attempts = list(stage.traffic.attempts.values())
    if not any(s.hit for s in seen):
        if not well:
            return "not well", ["does not come back by itself"]
        return None
    wrong, doubled = stage.traffic.judge()
    if not well:
        wrong.append("does not come back by itself")
        wrong += [f"in the queue: {stage.bed.instance.run('postqueue', '-p', check=False).stdout}"]
    if doubled and not may_double(point):
        wrong.append(f"{doubled} too many")
    wrong += trusted_again(seen) + refusals(point, attempts, seen)
    wrong += [line for line in stage.log().splitlines() if "assert" in line.lower() or "panic" in line]
    return outcome(point, attempts, stage.log(), doubled), wrong


RENEWAL = 40  # rounds with one instance
TRIES = 3     # a round does not always come by a point: who wakes first differs


def reach(stage, point):
    """Tries until a round came by the point; None when none did."""
    for _ in range(TRIES):
        if stage.rounds >= RENEWAL or "new segment" in point.part:  # while no segment is free, one is made
            stage.start()
        got = try_point(stage, point)
        if got:
            return got
    return None


def try_all(stage, points, enough, tap):
    """Until `enough` were reached: point -> (outcome, what is wrong), or None when no round came by there."""
    results, reached = {}, 0
    for point in points:
        if reached == enough:
            break
        results[point] = got = reach(stage, point)
        reached += got is not None
        if len(results) % 100 == 0:
            tap.note(f"{len(results)} of {len(points)}")
        if got and got[1]:
            tap.note(f"{point}: {got[0]}: {got[1]}")
            for line in stage.log().splitlines()[-25:]:
                tap.note(f"    {line}")
            stage.start()
    return results


def report(results, tap):
    """One line of the output for each site that was reached, and for each that should have been."""
    by_site = collections.defaultdict(list)
    for p in results:
        by_site[p.scene, p.role, p.call, p.part].append(p)
    for site, points in sorted(by_site.items()):
        reached = [p for p in points if results[p]]
        if not reached and not (len(points) > 1 and any(p.steady for p in points)):
            tap.note(f"no round came by {': '.join(site)}")
            continue
        wrong = [f"{p}: {results[p][1]}" for p in reached if results[p][1]]
        tap.ok(not wrong and reached, f"{': '.join(site)} ({len(reached)} of {len(points)} points)", wrong or ["never reached"])


def all_points(stage):
    """What the undisturbed rounds show."""
    points = []
    for name, scene in SCENES.items():
        rounds = []
        for _ in range(3):
            seen, well = stage.play(scene)
            assert well, f"{name}: an undisturbed round ends well\n{stage.log()}"
            rounds.append(sites(seen, scene))
        most, least = functools.reduce(operator.or_, rounds), functools.reduce(operator.and_, rounds)
        points += points_of(name, most, least)
    return points


def write_table(results):
    rows = ["<!-- SPDX-License-Identifier: Apache-2.0 -->", "# Each call on a message's way, and what follows when it goes wrong", "",
            "Made by `tests/fault/run points --all`. *die*: killed before the call; *after*: killed behind it; *delay*: it takes "
            f"{DELAY} s.", ""]
    for scene in SCENES:
        rows += [f"## {scene.capitalize()}", "", "| process | call | of | nth | what happens | outcome |", "|---|---|---|---|---|---|"]
        rows += [f"| {p.role} | {p.call} | {p.part} | {p.nth} | {p.action} | {o} |" for p, o in results.items() if p.scene == scene]
        rows += [""]
    TABLE.write_text("\n".join(rows))


def run(f):
    stage = Stage(f)
    try:
        points = all_points(stage)
        f.tap.note(f"{len(points)} points")
        steady = [p for p in points if p.steady]
        wanted = f.rounds or len(steady)
        chosen = f.rng.sample(steady, min(2 * wanted, len(steady))) if f.rounds else points
        results = try_all(stage, chosen, f.rounds or len(points), f.tap)
        reached = {p: got[0] for p, got in results.items() if got}
        for p, o in reached.items():
            f.tap.note(f"{p}: {o}")
        report(results, f.tap)
        n = sum(p.steady for p in reached)
        f.tap.ok(n * 10 >= wanted * 9, f"{n} of {wanted} points were reached that each undisturbed round came by")
        if not f.rounds:
            write_table(reached)
    finally:
        stage.close()
