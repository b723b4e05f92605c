# SPDX-License-Identifier: Apache-2.0
"""Neighbours: receiving servers and name servers that are dead, slow, lying, endless, or gone at each step.

Every bad server is bad twice and good afterwards, so all that was accepted must arrive in the end; a server that took a message and
never said so is the only reason for a second copy. Mail to good servers goes on all the time.
"""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import time

from dns import Dns, Zone
from instance import wait_for
from lib.bed import BIN, Bed

FULL, SAMPLE = {"rounds": 4}, {"rounds": 1}
STAGES = ("connect", "helo", "mail", "rcpt", "data", "dot", "quit")
ACTIONS = {
    "close": "!close", "reset": "!reset", "silent": "!silent", "garbage": "!garbage", "endless": "!endless",
    "early": "250 2.0.0 Ok", "text": "354 go on", "bye": "421 4.3.2 not now", "bare": "450", "banner": "220 hello",
}
BAD_TWICE = 2
MAIN_CF = """\
ostler_resolver_file = {resolv}
transport_maps = texthash:{transport}
smtp_connect_timeout = 2s
smtp_helo_timeout = 2s
smtp_mail_timeout = 2s
smtp_rcpt_timeout = 2s
smtp_data_init_timeout = 2s
smtp_data_xfer_timeout = 2s
smtp_data_done_timeout = 2s
smtp_quit_timeout = 2s
smtp_rset_timeout = 2s
"""
MEMORY_MAX = 200 << 20  # bytes of one process: endless replies must not pile up


def harmless(stage, action):
    """Answers that are right at that stage are no misbehaviour."""
    return (stage, action) in {("connect", "banner"), ("data", "text"), ("helo", "early"), ("mail", "early"), ("rcpt", "early"),
                               ("dot", "early"), ("quit", "text"), ("dot", "text")} or (stage == "data" and action == "early")


def bad_servers():
    """domain -> the rule of its server."""
    rules = [f"{stage}*{BAD_TWICE}:.*:{answer}" for stage in STAGES for action, answer in ACTIONS.items()
             if not harmless(stage, action)] + [f"dot*{BAD_TWICE}:.*:!take"]
    return {f"s{n}.bad.test": rule for n, rule in enumerate(rules)}


# What the names lead to: type to records, a trick of the name server, and what becomes of the mail.
DNS_CASES = {
    "plain": ({"MX": ["10 mx.dns.test"]}, None, "sent"),
    "alias": ({"CNAME": ["plain.dns.test"]}, None, "sent"),
    "many-mx": ({"MX": [f"{n} mx.dns.test" for n in range(900)]}, None, "sent"),
    "many-a": ({"A": [f"127.{n >> 8}.{n & 255}.1" for n in range(1000)]}, None, "any"),
    "null-mx": ({"MX": ["0 ."]}, None, "5.1.0"),
    "none": (None, None, "5.4.4"),
    "cname-loop": ({"CNAME": ["cname-loop.dns.test"]}, None, "any"),
    "slow": ({"MX": ["10 mx.dns.test"]}, "slow", "sent"),
    "silent": ({"MX": ["10 mx.dns.test"]}, "silent", "deferred"),
    "servfail": ({"MX": ["10 mx.dns.test"]}, "servfail", "deferred"),
    "wrong-id": ({"MX": ["10 mx.dns.test"]}, "id", "deferred"),
    "wrong-question": ({"MX": ["10 mx.dns.test"]}, "question", "deferred"),
    "pointer-loop": ({"MX": ["10 mx.dns.test"]}, "loop", "any"),
    "cut": ({"MX": ["10 mx.dns.test"]}, "short", "any"),
    "mx-empty": ({"MX": [b""]}, None, "any"),
    "mx-short": ({"MX": [b"\0"]}, None, "any"),
    "mx-nul": ({"MX": [b"\0\12\4a\0 b\0"]}, None, "any"),
}
DEAD_NAMES = 20


def zone():
    records = {("mx.dns.test", "A"): ["127.0.0.1"]}
    tricks = {}
    for name, (types, trick, _) in DNS_CASES.items():
        for kind, texts in (types or {}).items():
            records[f"{name}.dns.test", kind] = texts
        if trick:
            tricks[f"{name}.dns.test"] = trick
    for n in range(DEAD_NAMES):
        records[f"later{n}.dns.test", "MX"] = ["10 mx.dns.test"]
    return Zone(records, tricks)


@contextlib.contextmanager
def sinks(folder, rules):
    """A bad server for each domain; yields domain -> port. Their ledgers are `relayed-*` in the folder."""
    running, ports = [], {}
    try:
        for domain, rule in rules.items():
            sink = subprocess.Popen([BIN / "smtp-sink", "--ledger", folder / f"relayed-{domain}", "--reply", rule, "127.0.0.1:0"],
                                    stdout=subprocess.PIPE, text=True)
            running.append(sink)
            ports[domain] = json.loads(sink.stdout.readline())["listening"].rpartition(":")[2]
        yield ports
    finally:
        for sink in running:
            sink.terminate()
            sink.wait()


def transport(bed, ports):
    """The table of routes, and nothing else knows the bad ones."""
    lines = [f"{domain} smtp:[127.0.0.1]:{port}" for domain, port in ports.items()]
    names = [f"{name}.dns.test" for name in DNS_CASES] + [f"later{n}.dns.test" for n in range(DEAD_NAMES)]
    lines += [f"{name} smtp:{name}:{bed.relay_port}" for name in names]
    bed.instance.write("transport", "\n".join(lines) + "\n")


def send(bed, load, pattern, domains, each):
    """Sends `each` messages to each of the domains, that differ in the number in their name; waits until they are accepted."""
    subprocess.run([BIN / "smtp-load", "-s", "10", "-m", str(each * domains), "-l", "1000-6000", "-n", "5", "--id", load,
                    "-t", f"user@{pattern}", "-k", str(domains), "--ledger", bed.ledger.accepted_file(load), "--give-up", "60",
                    f"127.0.0.1:{bed.instance.port}"], stdout=subprocess.DEVNULL, check=True)


def largest(bed):
    """The resident memory of the largest process, in bytes."""
    sizes = [0]
    for pid in bed.instance.processes():
        with contextlib.suppress(OSError):
            sizes.append(int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE"))
    return max(sizes)


def pass_by(bed, load):
    """Good mail, while bad servers hold others up: all of it arrives before they are through."""
    bed.load(load, 3).wait(timeout=120)

    def good_mail_is_through():
        return not [r for m in bed.instance.queue_list() for r in m["recipients"]
                    if r["address"].endswith(("@relay.test", "@virtual.test"))]
    wait_for(good_mail_is_through, 60)


def bad_mail_servers(f, bed, rules, n):
    bad, good = f"bad{n}x", f"good{n}x"
    send(bed, bad, "s%d.bad.test", len(rules), each=BAD_TWICE + 1)
    pass_by(bed, good)
    size = largest(bed)
    f.tap.ok(size < MEMORY_MAX, f"{bad}: no process grows ({size >> 20} MiB)")
    f.tap.ok(bed.drain(180), f"{bad}: the queue drains", bed.instance.queue_list())
    bed.judge(f.tap, good)
    bed.judge(f.tap, bad, doubled=BAD_TWICE, worth=len(rules))  # by the server that takes without a word


def outcome(bed, domain, expected):
    """What the log says became of mail to that domain, the last word (dsn, status); waits a while for what is expected."""
    end = time.monotonic() + 60
    while True:
        lines = re.findall(rf"to=<user@{re.escape(domain)}>.* dsn=([\d.]+), status=(\w+)", bed.instance.log())
        if time.monotonic() > end or (lines and (expected == "any" or expected in lines[-1])):
            return lines[-1] if lines else ("", "")
        time.sleep(0.2)


def bad_names(f, bed):
    for name in DNS_CASES:
        bed.instance.send("a@client.test", f"user@{name}.dns.test", "Subject: a name\r\n\r\ntext\r\n")
    pass_by(bed, "goodnames")
    for name, (_, _, expected) in DNS_CASES.items():
        dsn, status = outcome(bed, f"{name}.dns.test", expected)
        f.tap.ok(expected in ("any", status, dsn), f"names: {name}: {status} {dsn}", [f"expected {expected}"])
    bed.judge(f.tap, "goodnames")
    bed.instance.run("postsuper", "-d", "ALL")


def dead_name_server(f, bed, dns):
    dns.stop()
    send(bed, "later", "later%d.dns.test", DEAD_NAMES, each=2)
    pass_by(bed, "goodlater")
    f.tap.ok(bed.instance.queue_list(), "later: waits while the name server is dead")
    dns.start()
    f.tap.ok(bed.drain(120), "later: arrives when it is back", bed.instance.queue_list())
    bed.judge(f.tap, "goodlater")
    bed.judge(f.tap, "later", worth=2 * DEAD_NAMES)


def run(f):
    rules = bad_servers()
    f.folder.mkdir(parents=True, exist_ok=True)
    with Dns(zone()) as dns:
        etc = f.folder / "instance" / "etc"
        main_cf = MAIN_CF.format(resolv=dns.resolv_conf(f.folder / "resolv.conf"), transport=etc / "transport")
        for n in range(f.rounds):
            with sinks(f.folder, rules) as ports:
                bed = Bed(f.folder, f.mode, main_cf=main_cf)
                transport(bed, ports)
                with bed:
                    bad_mail_servers(f, bed, rules, n)
                    if n == 0:
                        bad_names(f, bed)
                        dead_name_server(f, bed, dns)
                    log = bed.instance.log()
                    f.tap.ok(not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", log), "the log has no control character")
                    f.tap.ok("panic" not in log and "killed by signal" not in log, "no process died", re.findall(r".*signal.*", log))
