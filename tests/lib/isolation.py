# SPDX-License-Identifier: Apache-2.0
"""A module that does what it must not, entry point by entry point, and what must not be harmed by it.

A yard is an instance with two SMTP services: one with the bad module as table and check, one without; and with the bad module as
a transport beside the good ones. While the module does one deed after the other, mail goes through the good service all the time.
"""

import contextlib
import os
import pathlib
import pwd
import re
import shutil
import smtplib
import threading
import time

from instance import MASTER_CF, Instance, free_port, wait_for
from sink import Sink

BUILT = pathlib.Path(os.environ.get("OST_BUILDDIR", ".")) / "tests/modules/bad/.libs/bad.so"
TEXT = "From: <a@example.test>\r\nSubject: hello\r\n\r\nbody\r\n"
LOST = (smtplib.SMTPException, OSError)

ENDS = ["crash", "abort", "exit", "quit", "overflow", "thread", "eat"]  # the process dies at once, in the module
STUCK = ["hang", "loop"]                                                # it is found, finishes, and dies
LOOSE = ["close", "replace", "hoard"]                                   # it dies, soon or at once, or does not mind
REFUSED = ["root", "fork", "files", "limits", "kill", "environ", "move", "signals"]  # nothing comes of it
DEEDS = ENDS + STUCK + LOOSE + REFUSED

# (kind, entry point): how it is called, and the name in the log.
ENTRIES = {
    ("table", "lookup"): "talk", ("table", "reopen"): "touch", ("table", "open"): "restart", ("table", "close"): "touch",
    ("check", "open"): "restart", ("check", "prepare"): "restart", ("check", "session_begin"): "talk",
    ("check", "run-connect"): "talk", ("check", "run-helo"): "talk", ("check", "run-mail"): "talk",
    ("check", "run-rcpt"): "talk", ("check", "run-data"): "talk", ("check", "run-end"): "talk",
    ("check", "session_end"): "talk", ("check", "unprepare"): "reload", ("check", "close"): "reload",
    ("any", "load"): "restart", ("any", "config_check"): "restart",
    ("transport", "open"): "again", ("transport", "deliver"): "mail", ("transport", "idle"): "mail",
    ("transport", "close"): "retire", ("transport", "user_write"): "as_user", ("transport", "user_publish"): "as_user",
}
QUIET = [("check", "unprepare"), ("check", "close")]  # called where the configuration is checked: no log but the master's
STAGES = ["client", "helo", "sender", "recipient", "data", "end_of_data"]


def cells(full, offset=0):
    """(kind, entry point, deed): all of them, or some of each entry point and of each deed."""
    quick = ENDS + LOOSE + REFUSED
    chosen = []
    for n, (kind, entry) in enumerate(ENTRIES):
        some = [quick[(offset + 5 * n + 7 * k) % len(quick)] for k in range(3)]
        if (kind, entry) in QUIET:
            some = [ENDS[(offset + n) % len(ENDS)]]
        chosen += [(kind, entry, deed) for deed in (DEEDS if full else some) if deed in ENDS + STUCK or (kind, entry) not in QUIET]
    stuck = [("table", "lookup", "hang"), ("check", "run-rcpt", "loop"), ("transport", "deliver", "loop")]
    return chosen if full else chosen + stuck


class Yard:
    """with Yard(rootless) as y: y.cell(kind, entry, deed) for each; at the end y.finish()."""

    def __init__(self, rootless, timeout="1s", **kw):
        self.sink = Sink()
        self.bad_port, self.held, self.accepted = free_port(), [], 0
        checks = "".join(f" -o {{ smtpd_{s}_restrictions = {'check_sender_access bad:%F, check_sender_access badplain:%F, ' * (s == 'sender')}"
                         f"bad_orders }}" for s in STAGES)
        i = self.instance = Instance(rootless=rootless, master_cf=MASTER_CF, **kw)
        self.orders, self.map = i.etc / "orders", i.etc / "map"
        self.map.write_text("x\n")
        owner = pwd.getpwnam(i.user)
        foreign = ["/etc/ostler-bad", str(i.etc / "main.cf"), "/etc/shadow", str(i.folder / "elsewhere"), "/root/bad", str(i.folder / "data/../other"),
                   str(i.queue / "bad"), f"/proc/{os.getpid()}/oom_score_adj"]
        i.write("main.cf", i.base_main_cf() + f"""
relayhost = [127.0.0.1]:{self.sink.port}
relay_domains = bad.test
transport_maps = inline:{{bad.test=bad:}}
smtpd_client_connection_count_limit = 0
ostler_worker_processes = 1
ostler_module_timeout = {timeout}
ostler_worker_memory_limit = 268435456
daemon_timeout = {timeout}
service_throttle_time = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
default_destination_concurrency_failed_cohort_limit = 0
virtual_minimum_uid = 1
import_environment = OST_BAD_ORDERS={self.orders} OST_BAD_FILES={':'.join(foreign)} {'OST_BAD_ROOTLESS=1' if i.rootless else ''}
""")
        i.write("master.cf", i.path("master.cf").read_text() + f"127.0.0.1:{self.bad_port} inet n - n - - smtpd -o smtpd_delay_reject=no"
                + checks.replace("%F", str(self.map)) + f"\nbad unix - {'-' if i.rootless else 'n'} n - - bad\n")
        so = i.etc / "bad.so"  # like the folder, it belongs to whom modules may belong to
        shutil.copyfile(BUILT, so)
        so.chmod(0o644)
        i.write("modules.cf", i.path("modules.cf").read_text() + "".join(
            f"{kind} {name} {so}\n" for kind, name in (("table", "bad"), ("table", "badplain"), ("check", "bad"), ("transport", "bad"))))
        self.order()
        i.give_to_user()
        if os.geteuid() == 0 and not i.rootless:
            os.chown(i.vmail, 5000, 5000)
        elif os.geteuid() == 0:
            os.chown(i.vmail, owner.pw_uid, owner.pw_gid)
        self.foreign = [pathlib.Path(p) for p in foreign]

    def __enter__(self):
        self.sink.__enter__()
        self.instance.start()
        self.steady = Steady(self.instance)
        return self

    def __exit__(self, *exc):
        self.steady.stop()
        for s in self.held:
            s.close()
        if exc[0] is not None:
            print(self.instance.log()[-8000:])
        self.instance.remove()
        self.sink.__exit__()

    def order(self, *what):
        self.orders.write_text(" ".join(what) + "\n")
        self.orders.chmod(0o644)

    # ---- how an entry point is called --------------------------------------------------------------------------------

    def talk(self):
        """One transaction with the bad service; answers (what the client saw last, the connection)."""
        s = smtplib.SMTP(timeout=3)
        try:
            s.connect("127.0.0.1", self.bad_port)
            for step in ((s.ehlo, "client.test"), (s.mail, "a@example.test"), (s.rcpt, "one@far.test"), (s.data, TEXT)):
                code, text = step[0](*step[1:])
                if code >= 400:
                    return code, s
            self.accepted += 1
            s.quit()
            return code, s
        except TimeoutError:
            return "waits", s
        except LOST:
            return "lost", s

    def mail(self, who="good"):
        self.instance.send("a@example.test", [f"{who}@bad.test"], TEXT)
        self.accepted += 1
        return None, None

    def as_user(self):
        return self.mail("user")

    def touch(self):
        now = time.time_ns()
        self.map.write_text(f"x {now}\n")
        return None, None

    def restart(self):
        """The processes of the bad service, and of the bad transport, start anew."""
        for pid, role in self.instance.processes().items():
            if role in (f"smtpd 127.0.0.1:{self.bad_port}", "agent bad"):
                with contextlib.suppress(OSError):
                    os.kill(pid, 9)
        return None, None

    def again(self):
        self.restart()
        return self.mail()

    def reload(self):
        self.instance.run("ostler", "reload", check=False, timeout=90)
        return None, None

    def retire(self):
        """A reload while an agent of the bad transport is there."""
        def is_there():
            return "agent bad" in self.instance.processes().values()
        word, _ = self.orders.read_text(), self.order()
        if not is_there():
            self.mail()
            wait_for(is_there, 30)
        self.order(word)
        return self.reload()

    # ---- one deed ----------------------------------------------------------------------------------------------------

    def works(self):
        """The bad service and the bad transport do what they should."""
        def talks():
            code, s = self.talk()
            s.close()
            return code == 250
        wait_for(talks, 60, step=0.2)

    def expected(self, kind, entry, deed):
        """Whether that is in the lines that the deed has brought."""
        name = "run" if entry.startswith("run-") else entry
        where = f"in module bad, {name}"
        def found(new):
            if deed in REFUSED:
                return f"bad {kind} {entry}: {deed} tried" in new
            if deed in LOOSE:
                return "in module bad" in new or f"bad {kind} {entry}: {deed} tried" in new
            words = {"hang": ["hangs "], "loop": ["loops ", "hangs "]}.get(deed, ["killed by signal", "exit status 0"])
            return any(f"{w}{where}" in line for line in new.splitlines() for w in words) or (
                deed in ENDS and any(where in line for line in new.splitlines()))
        return found

    def cell(self, kind, entry, deed):
        """One deed at one entry point, until it is in the log, with mail passing by; then the module is repaired."""
        self.works()
        before, passed = len(self.instance.log()), self.steady.count
        self.order(kind, entry, deed)
        how = getattr(self, ENTRIES[kind, entry])
        code, s = how()
        found = self.expected(kind, entry, deed)
        try:
            wait_for(lambda: found(self.instance.log()[before:]), 60 if deed in STUCK else 20)
        except AssertionError as e:
            raise AssertionError(f"{kind} {entry} {deed}: not in the log:\n{told(self.instance.log()[before:])}") from e
        finally:
            self.order()
        new = self.instance.log()[before:]
        if s is not None:
            if deed in REFUSED:
                assert code == 250, (kind, entry, deed, code, new[-2000:])
            elif code == "waits":
                self.held.append(s)
            else:
                assert entry == "session_end" or deed in LOOSE or code == "lost" or code >= 400, (kind, entry, deed, code)
        if deed in REFUSED:
            line = next(x for x in new.splitlines() if f": {deed} tried" in x)
            assert "let 0 times" in line, line
            assert "process master" not in new
        if deed in LOOSE:
            self.restart()  # what it left behind is not the next one's
        wait_for(lambda: self.steady.count >= passed + 3, 20)
        assert not self.steady.failed, (kind, entry, deed, self.steady.failed)

    def finish(self):
        """All is repaired: everything works, everything that was accepted arrives, who hung is gone, nothing foreign was written."""
        i = self.instance
        self.order()
        self.works()
        self.mail()
        self.as_user()
        self.steady.stop()
        assert not self.steady.failed, self.steady.failed
        wait_for(lambda: not i.queue_list() or i.run("postqueue", "-f", check=False) is None, 90, step=0.5)
        wait_for(lambda: len(self.sink.to("one@far.test")) >= self.steady.count, 30)
        for s in self.held:  # 421, or the end of the connection; nobody waits for ever
            s.sock.settimeout(60)
            with contextlib.suppress(ConnectionError):
                assert s.sock.recv(100)[:3] in (b"", b"421")
        for pid in re.findall(r"pid (\d+) (?:of the broker )?(?:hangs|loops) in module bad", i.log()):
            wait_for(lambda pid=pid: not pathlib.Path("/proc", pid).exists(), 60)
        for path in self.foreign:
            assert not path.exists() or b"bad\n" not in path.read_bytes()[:4], path


def told(log):
    """A log without what the steady mail leaves in it."""
    quiet = ("one@far.test", "message-id", "removed", "connect from", "size=", "client=")
    return "\n".join([line for line in log.splitlines() if not any(q in line for q in quiet)][-30:])


class Steady:
    """Mail through the service without the bad module, one message after the other, until it is stopped."""

    def __init__(self, instance):
        self.instance, self.count, self.failed, self.go_on = instance, 0, [], True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while self.go_on:
            try:
                self.instance.send("a@example.test", ["one@far.test"], TEXT)
                self.count += 1
            except LOST as e:
                self.failed.append(repr(e))
            time.sleep(0.02)

    def stop(self):
        self.go_on = False
        self.thread.join(30)
