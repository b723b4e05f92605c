# SPDX-License-Identifier: Apache-2.0
"""process-trial in a scratch folder: the real master and skeleton with roles that do nothing but say what they see."""

import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

BUILD = pathlib.Path(os.environ.get("OST_BUILDDIR", "."))
TRIAL = BUILD / "tests/unit/process/process-trial"
ROOT = os.geteuid() == 0

MASTER = """\
{port} inet n - n - 1 smtpd
pickup unix n - n 60 1 pickup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
local unix - n n - - local
virtual unix - n n - - virtual
discard unix - - n - - discard
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def sealed():
    """Builds with a sanitizer have no sandbox."""
    return b"__asan_init" not in TRIAL.read_bytes() and b"__tsan_init" not in TRIAL.read_bytes()


MODULES = [("transport", "local"), ("transport", "virtual"), ("transport", "discard"), ("table", "texthash")]


class Trial:
    """A configuration folder and what runs from it. user: as root, run rootless as this user."""

    def __init__(self, main_cf="", user=None):
        self.user = pwd.getpwnam(user) if user else None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ostler-trial-"))
        self.folder.chmod(0o755)
        self.etc = self.folder / "etc"
        self.log_file = self.folder / "log"
        self.port = free_port()
        owner = user or (pwd.getpwnam("mail") if ROOT else pwd.getpwuid(os.geteuid())).pw_name
        for d in ("etc", "queue", "queue/pid", "box", "vmail"):
            (self.folder / d).mkdir()
        for name in ("named", "other"):
            (self.folder / name).write_text("key value\n")
        (self.etc / "main.cf").write_text(
            f"compatibility_level = 3.6\nqueue_directory = {self.folder}/queue\ndata_directory = {self.folder}/data\n"
            f"mail_owner = {owner}\nmyhostname = trial.test\ninet_interfaces = 127.0.0.1\nmaillog_file = {self.log_file}\n"
            f"maillog_file_prefixes = {self.folder}\nmail_spool_directory = {self.folder}/box\n"
            f"virtual_mailbox_base = {self.folder}/vmail\n" + main_cf.format(folder=self.folder))
        (self.etc / "master.cf").write_text(MASTER.format(port=f"127.0.0.1:{self.port}"))
        (self.etc / "modules.cf").write_text("".join(self.module(*m) for m in MODULES))
        self.program = shutil.copy(TRIAL, self.folder / "process-trial") if user else TRIAL
        self.process = None

    def module(self, kind, name):
        """A line of modules.cf for a copy of the module: the build folder may be one that only root can pass through."""
        copy = self.folder / f"{name}.so"
        shutil.copy(BUILD / f"modules/{kind}s/{name}/.libs/{name}.so", copy)
        copy.chmod(0o644)
        return f"{kind} {name} {copy}\n"

    def start(self):
        who = {}
        if self.user:
            who = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
            for path in [self.folder, *self.folder.rglob("*")]:
                os.chown(path, self.user.pw_uid, self.user.pw_gid, follow_symlinks=False)
        self.process = subprocess.Popen([self.program, "-c", self.etc], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True, **who)
        for line in self.process.stdout:
            if "running (pid" in line:
                return self
            print("#", line.rstrip())
        raise AssertionError("does not start")

    def ask(self, words):
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as s:
            s.sendall(words.encode() + b"\n")
            return s.makefile().readline().strip()

    def log(self):
        return self.log_file.read_text() if self.log_file.exists() else ""

    def wait_log(self, text, seconds=60):
        """Until the text, or something that fits the expression, is in the log."""
        end = time.monotonic() + seconds
        while not (text in self.log() if isinstance(text, str) else text.search(self.log())):
            if time.monotonic() > end:
                raise AssertionError(f"not in the log: {text}")
            time.sleep(0.05)

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            try:
                return self.process.wait(timeout=60)
            finally:
                self.process.kill()
                self.process.stdout.close()
                self.process = None
        return 0

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()
        if exc[0]:
            print("".join(f"# {line}\n" for line in self.log().splitlines()[-40:]))
        shutil.rmtree(self.folder, ignore_errors=True)

    def remove(self):
        self.__exit__(None)


def expect(have, want):
    if have != want:
        raise AssertionError(f"have {have!r}, want {want!r}")


def run(tests):
    """Runs each and prints TAP; a test answers why it was skipped, or None. The exit status."""
    print(f"1..{len(tests)}")
    failed = 0
    for number, test in enumerate(tests, 1):
        name = test.__name__.replace("_", " ")
        try:
            skipped = test()
            print(f"ok {number} - {name}" + (f" # SKIP {skipped}" if skipped else ""), flush=True)
        except (AssertionError, OSError, subprocess.SubprocessError) as e:
            failed += 1
            print("".join(f"# {line}\n" for line in str(e).splitlines()), end="")
            print(f"not ok {number} - {name}", flush=True)
    return 1 if failed else 0
