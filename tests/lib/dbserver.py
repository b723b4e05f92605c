# SPDX-License-Identifier: Apache-2.0
"""What the database servers of tests have in common: a scratch folder, an ordinary user, start, kill, stop."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile

from instance import SCRATCH, TEST_USER, free_port, parent_of, wait_for

MAIL_USER, MAIL_PASSWORD, DATABASE = "mail", "s3cret-of-the-test", "postfix"


class DatabaseServer:
    """One server on a unix socket and on 127.0.0.1, in a folder that goes when it is left."""

    name = ""  # for the folder

    def __init__(self, tls=False):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{self.name}-test-", dir=SCRATCH))
        self.folder.chmod(0o755)
        self.data, self.log_file = self.folder / "data", self.folder / "log"
        self.port = free_port()
        self.process = None
        self.user = TEST_USER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.ca = self.make_certificates() if tls else None
        self.give()

    def make_certificates(self):
        """ca.pem, and cert.pem with key.pem for 127.0.0.1, signed by it."""
        make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        ca = ["-subj", "/CN=test authority", "-keyout", self.folder / "ca.key", "-out", self.folder / "ca.pem"]
        own = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:db.example.test", "-addext", "basicConstraints=CA:FALSE",
               "-CA", self.folder / "ca.pem", "-CAkey", self.folder / "ca.key",
               "-keyout", self.folder / "key.pem", "-out", self.folder / "cert.pem"]
        for argv in (ca, own):
            subprocess.run([*make, *map(str, argv)], check=True, capture_output=True)
        (self.folder / "key.pem").chmod(0o600)
        return self.folder / "ca.pem"

    def give(self):
        """All of it belongs to the ordinary user."""
        if os.geteuid() != 0:
            return
        ids = pwd.getpwnam(self.user)
        for path in [self.folder, *self.folder.rglob("*")]:
            os.chown(path, ids.pw_uid, ids.pw_gid, follow_symlinks=False)

    def as_user(self):
        if os.geteuid() != 0:
            return []
        ids = pwd.getpwnam(self.user)
        return ["setpriv", f"--reuid={ids.pw_uid}", f"--regid={ids.pw_gid}", "--clear-groups", "--"]

    def command(self, *argv, input=None):
        """Runs a program as the user; its output."""
        result = subprocess.run([*self.as_user(), *map(str, argv)], input=input, text=True, capture_output=True, cwd=self.folder,
                                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}, check=False)
        if result.returncode != 0:
            raise AssertionError(f"{argv[0]} ended with {result.returncode}: {result.stdout[-2000:]}{result.stderr[-2000:]}")
        return result.stdout

    # ---- life ------------------------------------------------------------------------------------------------------

    def argv(self):
        """The server's command line."""
        raise NotImplementedError

    def answers(self):
        try:
            self.sql("SELECT 1", database=None)
            return True
        except AssertionError:
            return False

    def start(self):
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen([*self.as_user(), *map(str, self.argv())], stdout=log, stderr=log, cwd=self.folder,
                                            stdin=subprocess.DEVNULL)
        wait_for(self.answers, 60)
        return self

    def children(self):
        """The server's own processes: PostgreSQL has one for each connection, which outlives a killed parent for a moment."""
        found = []
        for p in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if parent_of(int(p.name)) == self.process.pid:
                    found.append(int(p.name))
        return found

    def kill(self):
        """As if the machine had lost it."""
        children = self.children()
        self.end(signal.SIGKILL)
        for pid in children:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def stop(self):
        self.end(signal.SIGINT)

    def end(self, how):
        if self.process:
            self.process.send_signal(how)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def remove(self):
        with contextlib.suppress(Exception):
            self.stop()
        if not os.environ.get("OST_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.remove()

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""
