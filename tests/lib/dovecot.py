# SPDX-License-Identifier: Apache-2.0
"""Debian's Dovecot as an authentication server: a private instance in a scratch folder, on two UNIX sockets and a port of loopback.
Needs root, as Dovecot's auth process does to change its user. It makes nobody wait: neither for a refusal, nor for having guessed often
(which it would do for 15 seconds, longer than Postfix has patience)."""

import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile

from instance import SCRATCH, TEST_USER, free_port, wait_for

PROGRAM = "/usr/sbin/dovecot"
USER, PASSWORD = "tester", "s3cret"


def available():
    return os.geteuid() == 0 and os.access(PROGRAM, os.X_OK)


class Dovecot:
    """`socket` and `port` are for clients (auth-client)."""

    def __init__(self, mechanisms="plain login cram-md5 scram-sha-256", more=""):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dovecot-test-", dir=SCRATCH))
        self.folder.chmod(0o755)
        self.socket = self.folder / "auth"
        self.port = free_port()
        self.process = None
        for name in ("run", "state"):
            (self.folder / name).mkdir()
        (self.folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\nother:{{PLAIN}}{PASSWORD}\n")
        (self.folder / "conf").write_text(f"""
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.folder}/log
protocols =
ssl = no
disable_plaintext_auth = no
listen = 127.0.0.1
default_internal_user = {TEST_USER}
default_internal_group = {self.group()}
default_login_user = {TEST_USER}
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = {self.folder}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
service auth {{
  unix_listener {self.socket} {{
    mode = 0666
  }}
  inet_listener {{
    address = 127.0.0.1
    port = {self.port}
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
{more}
""")

    @staticmethod
    def group():
        import grp
        return grp.getgrgid(pwd.getpwnam(TEST_USER).pw_gid).gr_name

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as s:
                s.settimeout(2)
                return s.recv(7) == b"VERSION"
        except OSError:
            return False

    def start(self):
        self.socket.unlink(missing_ok=True)
        with open(self.folder / "output", "ab") as out:
            self.process = subprocess.Popen([PROGRAM, "-F", "-c", str(self.folder / "conf")], stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=out, start_new_session=True)
        wait_for(self.answers, 30)
        return self

    def end(self, how):
        """Master and children, which are a process group of their own."""
        if self.process:
            os.killpg(self.process.pid, how)
            self.process.wait(30)
            self.process = None

    def kill(self):
        self.end(signal.SIGKILL)
        (self.folder / "run" / "master.pid").unlink(missing_ok=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        if exc[0] is not None:
            for name in ("output", "log"):
                path = self.folder / name
                print(path.read_text(errors="replace")[-3000:] if path.exists() else "")
        self.end(signal.SIGTERM)
        if not os.environ.get("OST_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)
