# SPDX-License-Identifier: Apache-2.0
"""Few open files: clients are put off, nothing is lost, no process ends over it, and all is well when there are more again."""

import concurrent.futures
import contextlib
import os
import socket
import subprocess
import threading

from instance import wait_for
from lib.bed import Bed
from lib.traffic import PATIENCE, USER, Replies, Traffic, main_cf, spool_folder
from sink import Sink

ROOT_MODE = True  # a system user's mailbox is among the ways
FULL, SAMPLE = {"rounds": 4}, {"rounds": 1}

IDLE = 40  # clients that say nothing
ROLES = ("smtpd", "agent", "qmgr", "resolve", "broker")


def limit(pid, soft):
    """As the process's own user: that needs no privilege. Answers whether it was done."""
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            ids = {line.split()[0]: line.split()[1] for line in f if line.startswith(("Uid:", "Gid:"))}
        argv = ["setpriv", f"--reuid={ids['Uid:']}", f"--regid={ids['Gid:']}", "--clear-groups",
                "prlimit", f"--pid={pid}", f"--nofile={soft}:"]
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0
    return False


def set_limit(pids, spare):
    """So many more descriptors for each, and then no more; answers what it was."""
    before = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            used = {int(n) for n in os.listdir(f"/proc/{pid}/fd")}
            free = [n for n in range(len(used) + spare + 1) if n not in used]
            with open(f"/proc/{pid}/limits", encoding="ascii") as limits:
                was = next(line.split()[3] for line in limits if line.startswith("Max open files"))
            if limit(pid, free[spare]):
                before[pid] = was
    return before


def raise_again(before):
    for pid, was in before.items():
        limit(pid, was)


def crowd(port):
    """Clients that connect and say nothing."""
    clients = []
    for _ in range(IDLE):
        with contextlib.suppress(OSError):
            clients.append(socket.create_connection(("127.0.0.1", port), timeout=5))
    return clients


def try_role(f, traffic, role, spare):
    i = traffic.bed.instance
    traffic.begin()
    traffic.send("pair")
    pids = {pid: r for pid, r in i.processes().items() if r.split()[0] == role}
    before = set_limit(pids, spare)
    f.tap.ok(before, f"{role}, {spare} more files: there are such processes")
    clients = crowd(i.port) if role == "smtpd" else []
    later = threading.Timer(5, raise_again, [before])  # who waits to be accepted does so until then
    later.start()
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(traffic.once if role == "smtpd" else traffic.send, ["pair", "large", "mbox", "pair", "pair", "large"]))
    later.join()
    for c in clients:
        c.close()
    last = traffic.send("pair")
    name = f"{role}, {spare} more files"
    f.tap.ok(last.verdict == "accepted", f"{name}: accepts again when the limit is raised", [last])
    f.tap.ok(well(traffic), f"{name}: all that was accepted arrives")
    wrong, doubled = traffic.judge()
    f.tap.ok(not wrong and not doubled, f"{name}: nothing lost, changed or doubled", [*wrong, doubled])
    others = [a.reply for a in traffic.attempts.values() if a.verdict != "accepted"]
    f.tap.ok(all(r[:1] in ("4", "") or not r[:1].isdigit() for r in others), f"{name}: nobody is refused for good", others)
    ended = [p for p in pids if p not in i.processes()]
    f.tap.ok(not ended, f"{name}: no process ended over it", ended)
    f.tap.note(f"{name}: {len(others)} put off: {sorted(set(others))}")


def well(traffic):
    try:
        return bool(wait_for(traffic.settled, PATIENCE))
    except AssertionError:
        return False


def run(f):
    replies = Replies()
    f.folder.mkdir(parents=True, exist_ok=True)
    f.folder.chmod(0o755)
    with Sink(replies={"rcpt": replies.rcpt}) as sink:
        mail = spool_folder(f.folder / "mail")
        with Bed(f.folder, f.mode, main_cf=main_cf(f.folder, sink.port)) as bed:
            traffic = Traffic(bed, sink, replies, mail / USER)
            for kind in ("pair", "mbox"):
                traffic.send(kind)
            wait_for(traffic.settled, PATIENCE)
            for n in range(f.rounds):
                for role in ROLES:
                    try_role(f, traffic, role, n)
