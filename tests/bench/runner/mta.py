# SPDX-License-Identifier: Apache-2.0
"""The two mail systems, each as a private instance whose files all lie on the image."""

import glob
import os
import pwd
import shutil
import subprocess
import time

from .cpu import Group
from .pair import load
from .tools import Failure, command, free_port, greets, wait_until

CHUNK = 4 * 1024 * 1024
VIRTUAL_ID = 65534  # nobody: owns the Maildirs, and nothing else there

# The same for both. Limits that would slow a benchmark on one machine are out of the way.
MAIN_CF = """\
compatibility_level = 3.6
config_directory = {root}/conf
queue_directory = {root}/queue
data_directory = {root}/data
maillog_file = {root}/log/mail.log
maillog_file_prefixes = {root}/log
mail_owner = postfix
setgid_group = postdrop
myhostname = mta.example
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
smtpd_peername_lookup = no
disable_dns_lookups = yes
relayhost = [127.0.0.1]:{sink_port}
default_process_limit = 100
in_flow_delay = 0
initial_destination_concurrency = 100
default_destination_concurrency_limit = 100
virtual_mailbox_domains = virtual.example
virtual_mailbox_base = {root}/mail
virtual_mailbox_maps = hash:{root}/conf/mailboxes
virtual_uid_maps = static:{virtual_id}
virtual_gid_maps = static:{virtual_id}
virtual_minimum_uid = 100
"""

MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
local     unix  -       n       n       -       -       local
virtual   unix  -       n       n       -       -       virtual
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
"""


class LogCount:
    """How often a text has been logged since this was made."""

    def __init__(self, path, text):
        self.path, self.text, self.seen = path, text, 0
        self.at = os.path.getsize(path) if os.path.exists(path) else 0

    def count(self):
        with open(self.path, "rb") as f:
            f.seek(self.at)
            while chunk := f.read(CHUNK):
                whole = chunk.rfind(b"\n") + 1
                self.seen += chunk.count(self.text, 0, whole)
                self.at += whole
                if whole < len(chunk):
                    f.seek(self.at)
                if len(chunk) < CHUNK:
                    break
        return self.seen


class Mta:
    """What both have in common: folders, configuration, start and stop."""

    name = "?"
    extra_main_cf = ""

    def __init__(self):
        self.root = self.conf = None
        self.port = 0
        self.group = None

    def prepare(self, root, sink_port, mailboxes):
        """Writes the configuration onto the image."""
        self.root, self.conf, self.port = root, os.path.join(root, "conf"), free_port()
        for name in ("conf", "queue", "data", "log", "mail"):
            os.makedirs(os.path.join(root, name), mode=0o755)
        os.chown(os.path.join(root, "data"), pwd.getpwnam("postfix").pw_uid, -1)
        os.chown(os.path.join(root, "mail"), VIRTUAL_ID, VIRTUAL_ID)
        values = {"root": root, "sink_port": sink_port, "port": self.port, "virtual_id": VIRTUAL_ID}
        self.write("main.cf", MAIN_CF.format(**values) + self.extra_main_cf)
        self.write("master.cf", MASTER_CF.format(**values))
        self.write("mailboxes", "".join(f"user{i}@virtual.example user{i}/\n" for i in range(mailboxes)))
        self.prepare_own()

    def write(self, name, text):
        with open(os.path.join(self.conf, name), "w", encoding="ascii") as f:
            f.write(text)

    def prepare_own(self):
        """What only this one needs."""

    def launch(self):
        """Starts it, and waits for nothing."""
        self.group = Group()
        command(*self.start_words(), preexec_fn=self.group.enter)
        self.group.root_pid = self.master_pid()

    def start(self):
        self.launch()
        wait_until(f"{self.name}: a greeting", lambda: greets(self.port), 20)

    def stop(self):
        if not self.group:
            return
        subprocess.run(self.stop_words(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=60)
        self.group.end()
        self.group = None

    def master_pid(self):
        with open(os.path.join(self.root, "queue", "pid", "master.pid"), encoding="ascii") as f:
            return int(f.read())

    def fill(self, folder, count, size, recipient, _wait):
        """Deferred messages: sent to a host that is not there, until all have been tried. Answers the seconds."""
        begin = time.monotonic()
        self.start()
        tried = LogCount(self.log_path(), b" status=deferred ")
        load(folder, self.port, "-s", 50, "-m", count, "-l", size, "-k", count, "-t", recipient)
        wait_until(f"{self.name}: {count} deferred messages", lambda: tried.count() >= count, 600, 0.2)
        self.stop()
        return time.monotonic() - begin

    def postqueue_words(self, option):
        return ["postqueue", "-c", self.conf, option]

    def deferred(self):
        """How many messages wait, as far as it knows; None: it does not say."""
        return None

    def log_path(self):
        return os.path.join(self.root, "log", "mail.log")

    def log_tail(self, lines=20):
        try:
            with open(self.log_path(), encoding="utf-8", errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        except OSError:
            return "(no log)"


class Postfix(Mta):
    """Debian's package, with folders of its own."""

    name = "postfix"

    @classmethod
    def missing(cls):
        """Why it cannot be measured, or None."""
        if not shutil.which("postfix") or not os.path.exists("/usr/lib/postfix/sbin/master"):
            return "Postfix is not installed: tests/bench/run --install-postfix"
        return None

    def prepare_own(self):
        command("postmap", "-c", self.conf, f"hash:{self.conf}/mailboxes")

    def start_words(self):
        return ["postfix", "-c", self.conf, "start"]

    def stop_words(self):
        return ["postfix", "-c", self.conf, "stop"]


class Ostler(Mta):
    """The build tree's program and modules."""

    name = "ostler"
    builddir = "."
    kinds = {"tables": "table", "transports": "transport", "checks": "check"}

    @classmethod
    def program(cls):
        return os.path.join(cls.builddir, "ostler")

    @classmethod
    def missing(cls):
        if not os.access(cls.program(), os.X_OK):
            return f"{cls.program()} is not there: run make, or give --builddir"
        return None

    def prepare_own(self):
        """Program and modules are copied: their folders must be writable by their owner alone."""
        folder = os.path.join(self.root, "lib")
        os.makedirs(folder, mode=0o755)
        self.copied = shutil.copy(self.program(), os.path.join(folder, "ostler"))
        for name in ("postmap", "postqueue"):
            os.symlink("ostler", os.path.join(folder, name))
        lines = []
        for built in sorted(glob.glob(os.path.join(self.builddir, "modules", "*", "*", ".libs", "*.so"))):
            kind = self.kinds.get(built.split(os.sep)[-4])
            name = os.path.basename(built)[:-3]
            if kind:
                shutil.copy(built, folder)
                lines.append(f"{kind}  {name}  {folder}/{name}.so\n")
        self.write("modules.cf", "".join(lines))
        command(os.path.join(folder, "postmap"), "-c", self.conf, f"hash:{self.conf}/mailboxes")

    def fill(self, folder, count, size, recipient, wait):
        """The same by a program that writes message files with the spool's own code."""
        begin = time.monotonic()
        spool = os.path.join(self.root, "queue", "queue")
        command(os.path.join(folder, "spool-fill"), spool, count, size, recipient, wait)
        command("chown", "-R", "postfix:postfix", spool)
        return time.monotonic() - begin

    def postqueue_words(self, option):
        return [os.path.join(self.root, "lib", "postqueue"), "-c", self.conf, option]

    def deferred(self):
        for line in command(self.copied, "-c", self.conf, "status").splitlines():
            fields = line.split()
            if len(fields) >= 8 and fields[1] == "qmgr":
                return int(fields[7])
        return 0

    def start_words(self):
        return [self.copied, "-c", self.conf, "start"]

    def stop_words(self):
        return [self.copied, "-c", self.conf, "stop"]


BY_NAME = {"postfix": Postfix, "ostler": Ostler}
