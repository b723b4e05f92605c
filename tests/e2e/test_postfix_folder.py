# SPDX-License-Identifier: Apache-2.0
"""A copy of Debian's own /etc/postfix: Ostler starts on it as it is, and takes mail.

Runs in mount and network namespaces of its own, so that port 25, /var/spool/postfix and /var/lib/postfix are this test's alone.
"""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from instance import PREFIX

DIST = pathlib.Path("/usr/share/postfix")

# What Debian's package writes into main.cf for "Local only", after the two files that it starts from.
LOCAL_ONLY = """
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
myhostname = debian.example.test
alias_maps = hash:/etc/aliases
alias_database = hash:/etc/aliases
mydestination = $myhostname, debian.example.test, localhost.example.test, localhost
relayhost =
mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128
mailbox_size_limit = 0
recipient_delimiter = +
inet_interfaces = loopback-only
default_transport = error
relay_transport = error
inet_protocols = all
"""

INSIDE = r"""
import os, pathlib, pwd, smtplib, socket, subprocess, sys, time
folder, ostler = sys.argv[1:3]
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
for d in ("/var/spool/postfix", "/var/lib/postfix", "/var/mail"):
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", d], check=True)
os.chmod("/var/mail", 0o2775)
os.chown("/var/mail", 0, 8)
postfix = pwd.getpwnam("postfix")
os.chown("/var/lib/postfix", postfix.pw_uid, postfix.pw_gid)
private = pathlib.Path("/var/spool/postfix/private")
private.mkdir(mode=0o700)
os.chown(private, postfix.pw_uid, 0)
lmtp = socket.socket(socket.AF_UNIX)
lmtp.bind(str(private / "dovecot-lmtp"))
os.chmod(private / "dovecot-lmtp", 0o600)
os.chown(private / "dovecot-lmtp", postfix.pw_uid, postfix.pw_gid)
pathlib.Path("/var/spool/postfix/deferred/A").mkdir(parents=True)
for name in ("AA11223344", "AB11223344"):
    pathlib.Path("/var/spool/postfix/deferred/A", name).write_text("left by Postfix")

def ostler_run(*a):
    r = subprocess.run([ostler, "-c", folder, *a], text=True, capture_output=True)
    print("$", *a, "->", r.returncode, r.stdout, r.stderr, flush=True)
    return r

# What newaliases makes lies in /etc, so that is this test's own as well.
own_etc = pathlib.Path(folder).with_name("etc")
subprocess.run(["cp", "-a", "/etc", own_etc], check=True)
subprocess.run(["mount", "--bind", own_etc, "/etc"], check=True)
pathlib.Path("/etc/aliases").write_text("postmaster: root\n")
subprocess.run([pathlib.Path(ostler).with_name("newaliases")], env={**os.environ, "MAIL_CONFIG": folder}, check=True)

r = ostler_run("start")
assert r.returncode == 0, "start failed"
try:
    with smtplib.SMTP("127.0.0.1", 25, timeout=30) as s:
        print("greeting", s.ehlo("client.test"), flush=True)
        s.sendmail("someone@example.test", ["games@localhost"], "Subject: hello\r\n\r\nto a system user\r\n")
    box = pathlib.Path("/var/mail/games")
    for _ in range(300):
        if box.exists() and b"to a system user" in box.read_bytes():
            break
        time.sleep(0.1)
    text = box.read_bytes()
    assert text.startswith(b"From someone@example.test "), text
    st = box.stat()
    assert pwd.getpwuid(st.st_uid).pw_name == "games", st
    assert not list(pathlib.Path("/var/spool/postfix/active").glob("*")) if pathlib.Path("/var/spool/postfix/active").exists() else True
    assert sorted(p.name for p in pathlib.Path("/var/spool/postfix/deferred/A").iterdir()) == ["AA11223344", "AB11223344"]
    assert pathlib.Path("/var/spool/postfix/ostler").is_dir()
    # The sockets of Postfix's neighbours keep working: a worker is the user who may open them.
    for p in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(p / "ns/net") != os.readlink("/proc/self/ns/net"):
                continue  # another system's
            line = (p / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"--worker" in line and b"smtpd" in line and os.readlink(p / "ns/mnt") == os.readlink("/proc/self/ns/mnt"):
            uid = [l for l in (p / "status").read_text().splitlines() if l.startswith("Uid:")][0].split()[1]
            assert int(uid) == postfix.pw_uid, uid
            root = os.readlink(p / "root")
            assert root == "/var/spool/postfix", root
            print("smtpd as", uid, "in", root)
            break
    else:
        raise AssertionError("no smtpd worker")
    r = subprocess.run(["setpriv", f"--reuid={postfix.pw_uid}", f"--regid={postfix.pw_gid}", "--clear-groups",
                        "test", "-w", str(private / "dovecot-lmtp")])
    assert r.returncode == 0
finally:
    print(ostler_run("stop"))
print("ALL IS WELL")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: port 25, chroot, mount namespaces")
@pytest.mark.skipif(not DIST.is_dir(), reason="Debian's postfix is not installed")
def test_debians_default_folder(tmp_path):
    folder = tmp_path / "postfix"
    shutil.copytree("/etc/postfix", folder, symlinks=True, ignore=shutil.ignore_patterns("*.proto"))
    shutil.copy(DIST / "master.cf.dist", folder / "master.cf")
    main = "".join((DIST / name).read_text() for name in ("main.cf.debian", "main.cf.tls"))
    (folder / "main.cf").write_text(main + LOCAL_ONLY + f"maillog_file = {tmp_path}/log\nmaillog_file_prefixes = {tmp_path}\n")
    os.chmod(tmp_path, 0o755)
    r = subprocess.run(["unshare", "-m", "-n", "--propagation", "private", sys.executable, "-B", "-c", INSIDE, str(folder),
                        str(PREFIX / "sbin/ostler")], text=True, capture_output=True, timeout=120)
    log = tmp_path / "log"
    print(r.stdout, r.stderr, log.read_text() if log.exists() else "")
    assert "ALL IS WELL" in r.stdout
    # Not one line about Postfix's own messages is missing: the administrator is told that they are there.
    assert "2 messages" in r.stdout or "2 messages" in log.read_text()
