# SPDX-License-Identifier: Apache-2.0
"""One Ostler in a scratch folder, for tests: configured, started, talked to, stopped.

OST_PREFIX names the installed tree. As root an instance runs in root mode unless it is asked to be rootless (then as the
user OST_TEST_USER); as an ordinary user it is always rootless.
"""

import contextlib
import json
import os
import pathlib
import pwd
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time

PREFIX = pathlib.Path(os.environ.get("OST_PREFIX", "/usr/local"))
TEST_USER = os.environ.get("OST_TEST_USER", "ostler")
SCRATCH = os.environ.get("OST_SCRATCH")  # a folder that everybody may pass through

MASTER_CF = """\
{port}      inet  n       -       n       -       -       smtpd
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
local     unix  -       n       n       -       -       local
virtual   unix  -       n       n       -       -       virtual
"""


def free_port():
    """A TCP port on loopback that nobody has at this moment."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, seconds=20, step=0.05):
    """Calls what() until it answers something true; that is the answer. Fails when the bound has passed."""
    end = time.monotonic() + seconds
    while True:
        answer = what()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {getattr(what, '__name__', what)}")
        time.sleep(step)


def parent_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        return int(f.read().rpartition(")")[2].split()[1])


def process_name(pid):
    """What the process calls itself; "" when there is none."""
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def is_guardian(pid):
    return process_name(pid) == "ostler-guardian"


class Instance:
    """A configuration folder and the system that runs from it."""

    def __init__(self, main_cf="", master_cf=None, *, rootless=None, files=None, folder=None, modules=""):
        self.own_folder = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="ostler-test-", dir=SCRATCH))
        self.folder.chmod(0o755)
        self.rootless = os.geteuid() != 0 or bool(rootless)
        self.user = TEST_USER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.port = free_port()
        self.etc = self.folder / "etc"
        self.log_file = self.folder / "log"
        self.queue = self.folder / "queue"
        self.vmail = self.folder / "vmail"
        self.started = False
        for d in (self.etc, self.folder / "data", self.queue, self.vmail):
            d.mkdir(exist_ok=True)
        self.write("main.cf", self.base_main_cf() + main_cf)
        self.write("master.cf", (master_cf or MASTER_CF).format(port=f"127.0.0.1:{self.port}"))
        installed = PREFIX / "etc/ostler/modules.cf"
        self.write("modules.cf", (installed.read_text() if installed.exists() else "") + modules)
        for name, text in (files or {}).items():
            self.write(name, text)
        self.give_to_user()

    def base_main_cf(self):
        """What every test instance has in common; a later line of the test's own wins."""
        lines = [
            "compatibility_level = 3.6",
            f"queue_directory = {self.queue}",
            f"data_directory = {self.folder}/data",
            f"maillog_file = {self.log_file}",
            f"maillog_file_prefixes = {self.folder}",
            f"mail_owner = {self.user}",
            "myhostname = mx.example.test",
            "mydestination = localhost.example.test",
            "mynetworks = 127.0.0.0/8 [::1]/128",
            "inet_interfaces = loopback-only",
            "local_recipient_maps =",
            "alias_maps =",
            f"virtual_mailbox_base = {self.vmail}",
            "biff = no",
        ]
        return "\n".join(lines) + "\n"

    def give_to_user(self):
        """Rootless: all of it belongs to the user; in root mode the mailboxes and data belong to their owners."""
        if os.geteuid() != 0:
            return
        ids = pwd.getpwnam(self.user)
        for path in [self.folder, *self.folder.rglob("*")] if self.rootless else [self.folder / "data"]:
            os.chown(path, ids.pw_uid, ids.pw_gid, follow_symlinks=False)

    def path(self, name):
        return self.etc / name

    def write(self, name, text):
        self.path(name).write_text(text)
        return self.path(name)

    # ---- commands --------------------------------------------------------------------------------------------------

    def as_user(self):
        """The prefix of a command line that makes it run as the instance's user."""
        if not self.rootless or os.geteuid() != 0:
            return []
        ids = pwd.getpwnam(self.user)
        return ["setpriv", f"--reuid={ids.pw_uid}", f"--regid={ids.pw_gid}", "--clear-groups", "--"]

    def run(self, *argv, check=True, input=None, timeout=60):
        """An `ostler` or a command of its family (postqueue, postmap …) with this configuration."""
        exe = PREFIX / "sbin" / argv[0]
        result = subprocess.run(
            [*self.as_user(), str(exe), "-c", str(self.etc), *map(str, argv[1:])],
            input=input, text=True, capture_output=True, timeout=timeout, check=False,
        )
        if check and result.returncode != 0:
            raise AssertionError(f"{argv} ended with {result.returncode}:\n{result.stdout}{result.stderr}\n{self.log()[-3000:]}")
        return result

    def sendmail(self, *argv, message, check=True):
        exe = PREFIX / "sbin/sendmail"
        return subprocess.run([*self.as_user(), str(exe), "-C", str(self.etc), *argv], input=message, text=True,
                              capture_output=True, timeout=60, check=check)

    def postmap(self, name, text, type_name="hash"):
        path = self.write(name, text)
        self.give_to_user()
        self.run("postmap", f"{type_name}:{path}")
        return f"{type_name}:{path}"

    def start(self):
        self.run("ostler", "start")
        self.started = True
        return self

    def stop(self, check=True):
        if self.started:
            self.started = False
            self.run("ostler", "stop", check=check)

    def remove(self):
        with contextlib.suppress(Exception):
            self.stop(check=False)
        self.end_leftovers()
        if self.own_folder and not os.environ.get("OST_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        if exc[0] is not None:
            print(self.log()[-6000:])
        self.remove()

    # ---- looking at it ---------------------------------------------------------------------------------------------

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def wait_log(self, text, seconds=20):
        def appears():
            return text in self.log()
        appears.__name__ = f"'{text}' in the log"
        try:
            wait_for(appears, seconds)
        except AssertionError:
            print(self.log()[-6000:])
            raise

    def queue_list(self):
        out = self.run("postqueue", "-j").stdout
        return [json.loads(line) for line in out.splitlines()]

    def wait_empty(self, seconds=30):
        def queue_is_empty():
            return not self.queue_list()
        wait_for(queue_is_empty, seconds, step=0.1)

    def processes(self, top=None):
        """pid -> "role service" of the processes of this instance: guardian, master, and what descends from them. `top`: its top(), for
        when the pid file cannot be read."""
        found, top = {}, top or self.top()
        for p in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                argv = (p / "cmdline").read_bytes().split(b"\0")
                if os.path.basename(argv[0]).startswith(b"ostler") and self.belongs(int(p.name), top):
                    at = argv.index(b"--worker") + 1 if b"--worker" in argv else 0
                    name = "guardian" if is_guardian(int(p.name)) else "master"
                    found[int(p.name)] = b" ".join(argv[at:]).decode().strip() if at else name
        return found

    @staticmethod
    def belongs(pid, top):
        """Whether it descends from that process."""
        while top and pid > 1:
            if pid == top:
                return True
            pid = parent_of(pid)
        return False

    def top(self):
        """The process from which all others descend: the guardian, or the master that started the guardian; 0: none."""
        top = self.guardian_pid()
        if top and is_guardian(top) and process_name(parent_of(top)) == "ostler":
            top = parent_of(top)
        return top

    def guardian_pid(self):
        """The process of the pid file; 0: none."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int((self.queue / "pid/master.pid").read_text().split()[0])
        return 0

    def master_pid(self):
        """The master of this moment; 0: none."""
        return next((pid for pid, name in self.processes().items() if name == "master"), 0)

    def end_leftovers(self):
        """A test that failed may leave processes behind: the ones that descend from this instance's master."""
        for _ in range(5):  # guardian and master first: each starts the other again
            left = self.processes()
            for pid in sorted(left, key=lambda pid: left[pid] not in ("guardian", "master")):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            if not left:
                return
            time.sleep(0.05)

    # ---- SMTP ------------------------------------------------------------------------------------------------------

    def smtp(self, **kw):
        return smtplib.SMTP("127.0.0.1", self.port, timeout=kw.pop("timeout", 20), **kw)

    def send(self, sender, recipients, text, **kw):
        if isinstance(recipients, str):
            recipients = [recipients]
        with self.smtp() as s:
            return s.sendmail(sender, recipients, text, **kw)

    def raw(self):
        return Dialogue(self.port)


class Dialogue:
    """A connection on which a test says every byte itself."""

    def __init__(self, port, host="127.0.0.1", timeout=20, source=None):
        self.sock = socket.create_connection((host, port), timeout=timeout, source_address=source and (source, 0))
        self.file = self.sock.makefile("rb")

    def reply(self):
        """The next reply, all its lines; '' when the connection has ended."""
        lines = []
        while True:
            line = self.file.readline().decode("utf-8", "replace")
            if not line:
                return "".join(lines)
            lines.append(line)
            if len(line) < 4 or line[3] != "-":
                return "".join(lines).rstrip("\r\n")

    def say(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def ask(self, line):
        self.say(line + "\r\n")
        return self.reply()

    def at_end(self):
        return self.file.read(1) == b""

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
