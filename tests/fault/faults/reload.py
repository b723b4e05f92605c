# SPDX-License-Identifier: Apache-2.0
"""reload: again and again under load, with good and with broken configurations in turn.

No session is dropped between the answer to MAIL and the one to the final dot, be the client fast or slow; nothing is lost or
doubled; at most two old generations live at any moment; a broken configuration is refused with file and line, in the answer
and in the log, and what runs stays as it is.
"""

import json
import os
import re
import threading
import time

from instance import PREFIX, wait_for
from lib.bed import Bed

FULL, SAMPLE = {"rounds": 100}, {"rounds": 14}
SLOW_CLIENTS = 4


class SlowClient(threading.Thread):
    """Sends messages at a walking pace, over many reloads, and notes what went wrong between MAIL and the last reply."""

    def __init__(self, instance, number):
        super().__init__(daemon=True)
        self.instance, self.number = instance, number
        self.stopping, self.trouble, self.sent, self.idle_421 = False, [], 0, 0

    def run(self):
        while not self.stopping:
            try:
                self.connection()
            except OSError as e:
                self.trouble.append(f"client {self.number}: connection: {e}")

    def connection(self):
        with self.instance.raw() as d:
            greeting = d.reply()
            if not greeting.startswith("220"):
                self.trouble.append(f"client {self.number}: greeting: {greeting!r}")
                return
            d.ask("EHLO slow.test")
            while not self.stopping:
                reply = d.ask(f"MAIL FROM:<slow{self.number}@example.test>")
                if reply[:3] in ("421", ""):  # between transactions: that is allowed
                    self.idle_421 += 1
                    return
                self.transaction(d, reply)

    def transaction(self, d, reply):
        """One message in about two seconds."""
        steps = [(reply, "250", "MAIL")]
        time.sleep(0.3)
        steps.append((d.ask("RCPT TO:<box0@virtual.test>"), "250", "RCPT"))
        time.sleep(0.3)
        steps.append((d.ask("DATA"), "354", "DATA"))
        d.say("Subject: slow\r\n\r\n")
        for _ in range(5):
            d.say("a line, and a pause\r\n")
            time.sleep(0.3)
        steps.append((d.ask("."), "250", "dot"))
        for got, wanted, step in steps:
            if not got.startswith(wanted):
                self.trouble.append(f"client {self.number}: {step}: {got!r}")
                raise OSError("dropped")
        self.sent += 1


class GenerationWatch(threading.Thread):
    """Looks again and again which processes run for which generation."""

    def __init__(self, instance):
        super().__init__(daemon=True)
        self.instance, self.stopping, self.most, self.looks = instance, False, 0, 0

    def run(self):
        while not self.stopping:
            r = self.instance.run("ostler", "status", check=False)
            rows = [line.split() for line in r.stdout.splitlines() if re.match(r"\d+ ", line)]
            current = max((int(row[3]) for row in rows if row[1] == "master"), default=0)
            old = {int(row[3]) for row in rows if row[3].isdigit() and int(row[3]) < current}
            self.most = max(self.most, len(old))
            self.looks += bool(rows)
            time.sleep(0.1)


def append(name, text):
    def change(i):
        i.write(name, i.path(name).read_text() + text)
    return name, change


def foreign_module(i):
    """A transport in use whose file others may change."""
    module = i.folder / "foreign.so"
    module.write_bytes((PREFIX / "lib/ostler/discard.so").read_bytes())
    module.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(module, 65534, 65534)
    else:
        module.chmod(0o775)
    lines = [line for line in i.path("modules.cf").read_text().splitlines() if "discard" not in line]
    i.write("modules.cf", "\n".join(lines) + f"\ntransport discard {module}\n")


# What is broken: the file that the refusal names, and how it gets so.
BROKEN = [
    append("main.cf", "smtpd_timeout = soon\n"),
    append("main.cf", "smtpd_helo_required = perhaps\n"),
    append("main.cf", "this is no parameter\n"),
    append("main.cf", "transport_maps = nosuchtype:/etc/x\n"),
    append("main.cf", "smtpd_recipient_restrictions = permit_my_friends, reject\n"),
    append("main.cf", "mynetworks = 127.0.0.0/8, $mynetworks\n"),
    append("master.cf", "odd unix - - n - - nosuchcommand\n"),
    append("master.cf", "smtp unix - - n -\n"),
    append("master.cf", "submission inet n - n - - smtpd -o smtpd_timeout=soon\n"),
    append("modules.cf", "table broken\n"),
    ("modules.cf", foreign_module),
]
FILES = ("main.cf", "master.cf", "modules.cf")


def good_reload(bed, n, good):
    """None, or what was wrong."""
    i = bed.instance
    i.write("main.cf", good["main.cf"] + f"smtpd_banner = $myhostname number {n}\n")
    r = i.run("ostler", "reload", check=False, timeout=150)
    if r.returncode != 0:
        return f"reload {n}: {r.stdout}{r.stderr}"
    end, banner = time.monotonic() + 5, ""
    while time.monotonic() < end:  # a process of the old generation may just have been about to accept
        with i.raw() as d:
            banner = d.reply()
        if banner == f"220 mx.example.test number {n}":
            return None
        time.sleep(0.1)
    return f"reload {n}: banner {banner!r}"


def broken_reload(bed, n, good):
    """None, or what was wrong."""
    i = bed.instance
    file, change = BROKEN[n // 2 % len(BROKEN)]
    generation, logged = current_generation(i), len(i.log())
    before = {name: i.path(name).read_text() for name in FILES}
    change(i)
    r = i.run("ostler", "reload", check=False, timeout=150)
    text = {name: i.path(name).read_text() for name in FILES}[file].removeprefix(good[file])
    for name, old in before.items():
        i.write(name, old)
    what = f"reload {n}, {file}, {text[:60]!r}: "
    named = re.search(rf"{re.escape(file)}: line \d+", r.stderr)
    if r.returncode == 0 or "the old configuration goes on" not in r.stderr:
        return what + f"not refused: {r.stdout}{r.stderr}"
    if not named or named.group() not in i.log()[logged:]:
        return what + f"file and line are missing: {r.stderr}"
    return None if current_generation(i) == generation else what + "the generation changed"


def current_generation(i):
    return next(line.split()[3] for line in i.run("ostler", "status").stdout.splitlines() if " master " in line)


def run(f):
    with Bed(f.folder, f.mode) as bed:
        i, wrong, finished = bed.instance, [], 0
        good = {name: i.path(name).read_text() for name in FILES}
        load = bed.load("reload", max(f.rounds // 2, 8))
        clients = [SlowClient(i, n) for n in range(SLOW_CLIENTS)]
        watch = GenerationWatch(i)
        for t in (*clients, watch):
            t.start()
        for n in range(f.rounds):
            one = broken_reload if n % 2 else good_reload
            trouble = one(bed, n, good)
            wrong += [trouble] if trouble else []
            finished += 1
            if load.poll() is not None:  # it has given all it had: another one
                report(f, load, f"load {n}")
                load = bed.load(f"more{n}-", max((f.rounds - n) // 2, 3))
        for t in (*clients, watch):
            t.stopping = True
            t.join(60)
        load.wait(timeout=180)
        report(f, load, "last load")
        judge(f, bed, clients, watch, wrong, finished)


def report(f, load, name):
    result = json.loads(load.stdout.read())
    f.tap.note(f"{name}: {result['accepted']} accepted, {result['lost']} connections ended early, "
               f"{result['connect_failures']} not greeted, {result['unknown']} unknown")
    f.tap.ok(result["dropped"] == 0, f"{name}: no session of it was dropped in a transaction", [str(result)])
    f.tap.ok(result["connect_failures"] == 0, f"{name}: each connection was greeted", [str(result)])


def judge(f, bed, clients, watch, wrong, finished):
    trouble = [t for c in clients for t in c.trouble]
    f.tap.note(f"{finished} reloads, {sum(c.sent for c in clients)} slow messages, {sum(c.idle_421 for c in clients)} idle "
               f"sessions sent home, {watch.looks} looks at the generations")
    f.tap.ok(not wrong, "good configurations are taken over, broken ones refused with file and line", wrong)
    f.tap.ok(not trouble, "no slow session was dropped in a transaction", trouble)
    f.tap.ok(sum(c.sent for c in clients) >= SLOW_CLIENTS, "the slow clients were at work")
    f.tap.ok(watch.looks > 0 and watch.most <= 2, f"at most two old generations lived ({watch.most})")
    f.tap.ok(bed.drain(), "the queue drains", bed.instance.log().splitlines()[-20:])
    for path in sorted(bed.folder.glob("accepted-*")):
        bed.judge(f.tap, path.name.removeprefix("accepted-"), worth=1)

    def one_generation():
        status = bed.instance.run("ostler", "status").stdout
        return len({line.split()[3] for line in status.splitlines() if re.match(r"\d+ .* (ready|retired|ending)", line)
                    and line.split()[3].isdigit()}) == 1
    wait_for(one_generation, 100)
