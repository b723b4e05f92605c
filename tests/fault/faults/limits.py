# SPDX-License-Identifier: Apache-2.0
"""Few open files, processes or memory: clients are put off, nothing is lost, nothing storms, and all is well when there is more again."""

import concurrent.futures
import contextlib
import os
import re
import signal
import socket
import threading
import time

from instance import wait_for
from lib import shortage
from lib.bed import FLIGHT, Bed
from lib.cgroup import Group, Unavailable
from lib.traffic import PATIENCE, USER, Replies, Traffic, main_cf, spool_folder
from sink import Sink

FULL, SAMPLE = {"rounds": 4}, {"rounds": 1}

IDLE = 40  # clients that say nothing
ROLES = ("smtpd", "agent", "qmgr", "resolve", "broker")
KINDS = ("pair", "large", "mbox", "pair", "pair", "large")
LOAD_SECONDS = 3
BIG = ("-l", "5000000", "--give-up", "20", "--timeout", "20")
MEGABYTE = 1 << 20
STARTS_MOST = 40  # throttled, that is what a dozen services need in such a time; a storm starts hundreds


EVENT = re.compile(r"/master\[\d+\]: (warning: process |daemon started|warning: .*: start a process: )")


def events(i):
    """How many ends of processes, starts of masters, and starts that failed the log tells of."""
    return len(EVENT.findall(i.log()))


# ---- limits of single processes ---------------------------------------------------------------------------------------


def crowd(port):
    """Clients that connect and say nothing."""
    clients = []
    for _ in range(IDLE):
        with contextlib.suppress(OSError):
            clients.append(socket.create_connection(("127.0.0.1", port), timeout=5))
    return clients


def send_all(f, traffic, role, let_go):
    """Clients of smtpd get their answers while it has too little; what else has to wait does so until let_go()."""
    kinds = [kind for kind in KINDS if kind != "mbox" or f.mode == "root"]
    later = threading.Timer(0 if role == "smtpd" else 1.5, let_go)
    with concurrent.futures.ThreadPoolExecutor(len(kinds)) as pool:
        if role != "smtpd":
            later.start()
        attempts = list(pool.map(traffic.once if role == "smtpd" else traffic.send, kinds))
    if role == "smtpd":
        later.start()
    later.join()
    return attempts


def try_role(f, traffic, role, what, amount, name):
    i = traffic.bed.instance
    traffic.begin()
    traffic.send("pair")
    pids = {pid: r for pid, r in i.processes().items() if r.split()[0] == role}
    before, ended = shortage.set_limit(pids, what, amount), events(i)
    f.tap.ok(before, f"{name}: there are such processes")
    clients = crowd(i.port) if role == "smtpd" else []
    attempts = send_all(f, traffic, role, lambda: shortage.raise_again(before, what))
    for c in clients:
        c.close()
    if role == "smtpd":
        waited = [a for a in attempts if not a.reply or a.reply == "TimeoutError"]
        f.tap.ok(not waited, f"{name}: every client is answered while it lasts", waited)
    last = traffic.send("pair")
    f.tap.ok(last.verdict == "accepted", f"{name}: accepts again when the limit is raised", [last])
    judge(f, traffic, name)
    f.tap.ok(events(i) == ended, f"{name}: no process died over it", i.log().splitlines()[-20:])


def judge(f, traffic, name):
    f.tap.ok(well(traffic), f"{name}: all that was accepted arrives")
    wrong, doubled = traffic.judge()
    f.tap.ok(not wrong and not doubled, f"{name}: nothing lost, changed or doubled", [*wrong, doubled])
    others = [a.reply for a in traffic.attempts.values() if a.verdict != "accepted"]
    f.tap.ok(all(r[:1] in ("4", "") or not r[:1].isdigit() for r in others), f"{name}: nobody is refused for good", others)
    f.tap.note(f"{name}: {len(others)} put off: {sorted(set(others))}")


def well(traffic):
    try:
        return bool(wait_for(traffic.settled, PATIENCE))
    except AssertionError:
        return False


def run_files_and_threads(f):
    replies = Replies()
    f.folder.mkdir(parents=True, exist_ok=True)
    f.folder.chmod(0o755)
    with Sink(replies={"rcpt": replies.rcpt}) as sink:
        mail = spool_folder(f.folder / "mail") if f.mode == "root" else f.folder
        with Bed(f.folder, f.mode, main_cf=main_cf(f.folder, sink.port)) as bed:
            traffic = Traffic(bed, sink, replies, mail / USER)
            for kind in ("pair", "mbox") if f.mode == "root" else ("pair",):
                traffic.send(kind)
            wait_for(traffic.settled, PATIENCE)
            for role in ROLES if f.mode == "root" else ROLES[:-1]:
                for n in range(f.rounds):
                    try_role(f, traffic, role, "nofile", lambda pid, n=n: shortage.files(pid, n), f"{role}, {n} more files")
            for role in ("smtpd", "agent"):
                try_role(f, traffic, role, "nproc", lambda _: 1, f"{role}, no more threads")


# ---- limits of the whole instance -------------------------------------------------------------------------------------


def start_in(groups, bed):
    """The instance anew, in these groups."""
    bed.instance.stop()
    with contextlib.ExitStack() as inside:
        for g in groups:
            inside.enter_context(g)
        bed.instance.start()
    bed.wait_greeting()


def under_load(f, bed, name, squeeze, let_go):
    """A load of 20 sessions and one of large messages, while the group has too little; then it has enough, and all is well."""
    i, before = bed.instance, events(bed.instance)
    calm = bed.load(name + "c", 1)  # whatever is started at the first message is there
    calm.wait(timeout=60)
    guardian = i.guardian_pid()
    what = squeeze()
    loads = [bed.load(name + "a", LOAD_SECONDS, "--give-up", "20", "--timeout", "20"),
             bed.load(name + "b", LOAD_SECONDS, *BIG, sessions=4)]
    time.sleep(LOAD_SECONDS)
    let_go()
    for load in loads:
        load.wait(timeout=90)
    greeting = bed.wait_greeting(60)
    happened = events(i) - before
    f.tap.note(f"{name}: {what()}, {happened} ends and starts of processes, greets after {greeting:.1f} s")
    f.tap.ok(happened <= STARTS_MOST, f"{name}: no storm of new processes", [happened])
    f.tap.ok(i.guardian_pid() == guardian, f"{name}: the instance goes on by itself")
    after = bed.load(name + "d", 1)
    after.wait(timeout=90)
    f.tap.ok(bed.drain(), f"{name}: the queue drains", i.log().splitlines()[-20:])
    for part, worth in (("c", 20), ("a", 0), ("b", 0), ("d", 20)):
        bed.judge(f.tap, name + part, doubled=happened * FLIGHT, worth=worth)


def few_processes(f, bed, group, n):
    def squeeze():
        at = group.tasks() + n
        group.limit(at)
        return lambda: f"{at} processes and threads"
    under_load(f, bed, f"pids{n}", squeeze, group.limit)


def no_new_process(f, bed, group):
    """One that was killed cannot be started again; it is, when there is room."""
    i, before = bed.instance, events(bed.instance)
    victims = [pid for pid, role in i.processes().items() if role.split()[0] == "smtpd"]
    group.limit(1)
    for pid in victims:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    time.sleep(3)
    f.tap.ok(not {pid for pid, role in i.processes().items() if role.split()[0] == "smtpd"}, "fork: there is none meanwhile")
    group.limit()
    greeting = bed.wait_greeting(60)
    f.tap.note(f"fork: greets after {greeting:.1f} s")
    f.tap.ok(events(i) - before <= STARTS_MOST, "fork: no storm of attempts", i.log().splitlines()[-20:])


def little_memory(f, bed, group, n):
    def squeeze():
        amount = squeeze_memory(group, n * 4 * MEGABYTE)
        return lambda: f"{amount // MEGABYTE} MiB, {group.kills()} killed by the kernel"
    under_load(f, bed, f"memory{n}", squeeze, group.limit)


def squeeze_memory(group, spare):
    """Just above what cannot be given back: the kernel says what that is."""
    amount = group.needed() // 2 + spare
    while True:
        try:
            group.limit(amount)
            return amount
        except OSError:  # not so much can be given back
            amount += 2 * MEGABYTE


def run_groups(f):
    groups = {}
    try:
        for resource in ("pids", "memory"):
            try:
                groups[resource] = Group(resource)
            except Unavailable as e:
                f.tap.skip(resource, str(e))
        if groups:
            with Bed(f.folder / "groups", f.mode) as bed:
                start_in(groups.values(), bed)
                if "pids" in groups:
                    for n in range(f.rounds):
                        few_processes(f, bed, groups["pids"], 2 * n)
                    no_new_process(f, bed, groups["pids"])
                for n in range(f.rounds if "memory" in groups else 0):
                    little_memory(f, bed, groups["memory"], n)
    finally:
        for g in groups.values():
            g.remove()


def run(f):
    run_groups(f)
    run_files_and_threads(f)
