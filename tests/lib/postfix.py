# SPDX-License-Identifier: Apache-2.0
"""Debian's Postfix as the reference: a private instance in a scratch folder, on a port of its own. Needs root, as Postfix does."""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile

from instance import free_port, wait_for

MASTER = pathlib.Path("/usr/share/postfix/master.cf.dist")
DAEMONS = pathlib.Path("/usr/lib/postfix/sbin")


def available():
    """Is there a Postfix that this user may start?"""
    return os.geteuid() == 0 and MASTER.exists() and (DAEMONS / "master").exists()


class Postfix:
    def __init__(self, main_cf):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postfix-test-"))
        self.folder.chmod(0o755)
        self.port = free_port()
        self.etc = self.folder / "etc"
        self.log_file = self.folder / "log"
        for name in ("etc", "spool", "data"):
            (self.folder / name).mkdir()
        shutil.chown(self.folder / "data", "postfix")
        master = re.sub(r"(?m)^smtp +inet.*$", f"127.0.0.1:{self.port} inet n - n - - smtpd", MASTER.read_text())
        (self.etc / "master.cf").write_text(re.sub(r"(?m)^(\S+\s+unix\s+\S+\s+\S+\s+)y", r"\1n", master))
        for extra in ("postfix-files", "dynamicmaps.cf"):
            shutil.copy(pathlib.Path("/etc/postfix") / extra, self.etc / extra)
        (self.etc / "main.cf").write_text(f"""compatibility_level = 3.6
queue_directory = {self.folder}/spool
data_directory = {self.folder}/data
command_directory = /usr/sbin
daemon_directory = {DAEMONS}
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
maillog_file = {self.log_file}
maillog_file_prefixes = {self.folder}
syslog_name = postfix
multi_instance_enable = yes
multi_instance_name = postfix-test-{self.port}
default_transport = smtp:[127.0.0.1]:9
relay_transport = smtp:[127.0.0.1]:9
""" + main_cf)

    def postfix(self, word):
        return subprocess.run(["/usr/sbin/postfix", "-c", str(self.etc), word], capture_output=True, text=True, check=False)

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        except OSError:
            return False

    def __enter__(self):
        self.postfix("start")
        wait_for(self.answers)
        return self

    def __exit__(self, *exc):
        self.postfix("stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        return self.log_file.read_text(errors="replace")
