# SPDX-License-Identifier: Apache-2.0
"""The bed of a fault: an instance, a load of mail to a relay and to Maildirs, a receiving server, and ledgers outside."""

import json
import os
import pathlib
import pwd
import signal
import subprocess
import time

from instance import Instance, wait_for

from .ledger import Ledger

BIN = pathlib.Path(os.environ.get("OST_BUILDDIR", ".")) / "tests/bench"
SESSIONS, MAILBOXES, FLIGHT = 20, 40, 20
VMAIL_ID = 5000  # owns the Maildirs in root mode

MAIN_CF = """\
relayhost = [{relay}]:{relay_port}
minimal_backoff_time = 2s
maximal_backoff_time = 4s
queue_run_delay = 2s
smtpd_client_connection_count_limit = 0
default_destination_concurrency_limit = {flight}
virtual_mailbox_domains = virtual.test
virtual_mailbox_maps = {mailboxes}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
"""


class Bed:
    """with Bed(folder, mode) as bed: bed.instance runs. Options: main_cf and master_cf (more of them), sink (its options),
    vmail and queue (folders elsewhere: another file system)."""

    def __init__(self, folder, mode, *, main_cf="", master_cf=None, sink=(), vmail=None, queue=None, modules=""):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # the mail owner passes through
        self.folder, self.ledger = folder, Ledger(folder)
        self.sink, self.relay_port = self.start_sink(sink)
        home = folder / "instance"
        home.mkdir(exist_ok=True)
        self.instance = Instance(main_cf, master_cf, folder=home, rootless=mode == "rootless", modules=modules)
        self.instance.queue, self.instance.vmail = queue or self.instance.queue, vmail or self.instance.vmail
        self.configure(main_cf)

    def start_sink(self, options):
        sink = subprocess.Popen([BIN / "smtp-sink", "--ledger", self.ledger.relayed_file, *options, "127.0.0.1:0"],
                                stdout=subprocess.PIPE, text=True)
        return sink, json.loads(sink.stdout.readline())["listening"].rpartition(":")[2]

    def configure(self, more):
        i = self.instance
        ids = pwd.getpwnam(i.user)
        uid, gid = (ids.pw_uid, ids.pw_gid) if i.rootless else (VMAIL_ID, VMAIL_ID)
        if os.geteuid() == 0:
            os.chown(i.vmail, uid, gid)
        table = i.postmap("vmailbox", "".join(f"box{n}@virtual.test box{n}/\n" for n in range(MAILBOXES)))
        i.write("main.cf", i.base_main_cf() + MAIN_CF.format(relay="127.0.0.1", relay_port=self.relay_port, flight=FLIGHT,
                                                             mailboxes=table, uid=uid, gid=gid) + more)

    def load(self, name, seconds, *options, sessions=SESSIONS):
        """Starts a load of that name; it ends by itself. Its ids begin with the name: no name may begin with another."""
        return subprocess.Popen(
            [BIN / "smtp-load", "-s", str(sessions), "-T", str(seconds), "-l", "1000-6000", "-n", "5", "--id", name,
             "-t", "user%d@relay.test", "-t", "box%d@virtual.test", "-k", str(MAILBOXES),
             "--ledger", self.ledger.accepted_file(name), "--give-up", "60", *options, f"127.0.0.1:{self.instance.port}"],
            stdout=subprocess.PIPE, text=True)

    def greets(self):
        """Whether a client gets its 220 now, within 5 seconds."""
        try:
            with self.instance.raw() as d:
                d.sock.settimeout(5)
                return d.reply().startswith("220")
        except OSError:
            return False

    def wait_greeting(self, seconds=30):
        """Until it greets; answers how long that took, in seconds."""
        before = time.monotonic()
        wait_for(self.greets, seconds)
        return time.monotonic() - before

    def drain(self, seconds=120):
        """Until the queue is empty, with flushes, as an impatient administrator would do it; no restart."""
        end = time.monotonic() + seconds
        while self.instance.queue_list():
            if time.monotonic() > end:
                return False
            self.instance.run("postqueue", "-f", check=False)
            time.sleep(0.5)
        self.sink.send_signal(signal.SIGUSR1)  # writes out its ledger
        time.sleep(0.5)
        return True

    def judge(self, tap, load, *, doubled=0, worth=100, lost=0, disk_gone=False):
        """Compares the ledgers of this load: nothing lost (but for `lost`: a test of the test), changed, or from nowhere, and no
        more than `doubled` deliveries too many. disk_gone: what was refused after its final dot may arrive, since a disk that has
        failed lets nobody take back what it may have. Answers (accepted, lost, doubled)."""
        accepted, unknown = self.ledger.sent(load, "accepted"), self.ledger.sent(load, "unknown")
        unknown |= self.ledger.sent(load, "refused") if disk_gone else set()
        everything, bad = self.ledger.arrived(self.instance.vmail)
        arrived = {k: n for k, n in everything.items() if k[0].startswith(load)}
        missing = [k for k in accepted if k not in arrived]
        extra = {k: n for k, n in arrived.items() if n > 1}
        strange = [k for k in arrived if k not in accepted and k not in unknown]
        too_many = sum(n - 1 for n in extra.values())
        tap.note(f"{load}: accepted {len(accepted)}, unknown {len(unknown)}, lost {len(missing)}, doubled {too_many}")
        tap.ok(len(accepted) >= worth, f"{load}: the load was worth the name")
        tap.ok(len(missing) <= lost, f"{load}: nothing that got 250 is lost", missing)
        tap.ok(not [k for k in bad if k in arrived], f"{load}: nothing is changed or cut", bad)
        tap.ok(not strange, f"{load}: nothing arrived that was not sent", strange)
        tap.ok(too_many <= doubled, f"{load}: no more is doubled than was in flight ({doubled})", extra.items())
        return len(accepted), len(missing), too_many

    def remove(self):
        self.sink.terminate()
        self.sink.wait()
        self.instance.remove()

    def __enter__(self):
        try:
            self.instance.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *exc):
        if exc[0] is not None:
            print("\n".join("# " + line for line in self.instance.log().splitlines()[-30:]))
        self.remove()


def alive(pid):
    """Whether that process exists and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
