# SPDX-License-Identifier: Apache-2.0
"""kill -9: process after process dies under load; what got a 250 arrives, whole, and once.

Two phases, because the promises differ: killing anything but a delivery agent makes no duplicate at all; killing an agent (or the
child that writes as a user) at most one for each recipient that it had in flight.
"""

import collections
import os
import signal
import time

from instance import MASTER_CF, wait_for
from lib.bed import FLIGHT, Bed, alive

FULL, SAMPLE = {"rounds": 200}, {"rounds": 40}
PHASES = {
    "core": (6, ["smtpd", "qmgr", "resolve", "bounce", "pickup", "broker", "proxymap", "master", "guardian"]),
    "agents": (4, ["agent smtp", "agent virtual", "user"]),
}  # name: tenths of the rounds, kinds of processes

# In root mode the processes that expand aliases and route are in a jail, and ask proxymap for one of their tables.
ALIASES = "virtual_alias_maps = proxy:inline:{nobody@virtual.test=box0@virtual.test}\n"
JAILED = MASTER_CF.replace("-       n       -       -       smtpd", "-       y       -       -       smtpd").replace(
    "-       n       -       -       trivial-rewrite", "-       y       -       -       trivial-rewrite")


def kill_one(bed, kind, rng):
    """Kills a process of that kind; None when none runs at this moment (a child nobody needed yet)."""
    i = bed.instance
    pids = [pid for pid, role in i.processes().items() if role == kind or role.startswith(kind + " ")]
    if not pids:
        return None
    pid = rng.choice(pids)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return None
    wait_for(lambda: not alive(pid), 5)
    return pid


def run_phase(bed, name, rounds, rng):
    """Kills through the rounds; answers how many of each kind were killed, and the slowest greeting in seconds."""
    kinds = PHASES[name][1]
    load = bed.load(name, rounds * 3 // 2 + 2)
    killed, slowest = collections.Counter(), 0.0
    time.sleep(1)
    for n in range(rounds):
        kind = kinds[n % len(kinds)]
        if kill_one(bed, kind, rng):
            killed[kind] += 1
        slowest = max(slowest, bed.wait_greeting())
        time.sleep(rng.uniform(0.3, 0.9))
    load.wait(timeout=rounds * 3 + 120)
    return killed, slowest


def run(f):
    jail = {"main_cf": ALIASES, "master_cf": JAILED} if f.mode == "root" else {}
    with Bed(f.folder, f.mode, **jail) as bed:
        for name, (tenths, _) in PHASES.items():
            killed, slowest = run_phase(bed, name, max(f.rounds * tenths // 10, 1), f.rng)
            f.tap.note(f"{name}: killed {dict(killed)}, slowest greeting {slowest:.1f} s")
            f.tap.ok(sum(killed.values()) > 0, f"{name}: something was killed")
            f.tap.ok(slowest <= 5, f"{name}: greets within 5 seconds")
            f.tap.ok(bed.drain(), f"{name}: the queue drains", bed.instance.log().splitlines()[-20:])
            agents = sum(killed.values()) if name == "agents" else 0
            bed.judge(f.tap, name, doubled=agents * FLIGHT)
