# SPDX-License-Identifier: Apache-2.0
"""maildrop/: every user may write there, so nothing in it is believed."""

import os
import pathlib
import pwd
import socket
import stat
import subprocess
import time

import pytest
from instance import PREFIX, wait_for

MESSAGE = "From: me@example.test\nTo: later@far.test\nSubject: wait\n\nhello\n"


def down(make, sink, rootless=True):
    """A system that has run once (so that its folders are there) and is down."""
    i = make(f"relayhost = [127.0.0.1]:{sink.port}\n", rootless=rootless).start()
    i.stop()
    return i


def dropped(i):
    return [p for p in (i.queue / "maildrop").iterdir() if not p.name.startswith(".")]


def test_what_sendmail_leaves(make, sink):
    i = down(make, sink)
    assert stat.S_IMODE((i.queue / "maildrop").stat().st_mode) == 0o1733
    i.sendmail("-t", message=MESSAGE)
    [file] = dropped(i)
    st = file.stat()
    assert stat.S_IMODE(st.st_mode) == 0o444 and st.st_nlink == 1
    digits = "".join(c for c in file.name if c in "0123456789abcdefABCDEF")
    assert len(digits) >= 32, "128 random bits"


def test_cut_and_special_files_are_not_mail(make, sink):
    i = down(make, sink)
    i.sendmail("-t", message=MESSAGE)
    [good] = dropped(i)
    drop, whole = i.queue / "maildrop", good.read_bytes()
    name = good.name

    def other(n):
        return drop / (f"{n:02x}" + name[2:])

    for n, cut in enumerate((0, 1, 10, len(whole) // 2, len(whole) - 1)):
        other(n).write_bytes(whole[:cut])
    os.mkfifo(other(0x20))
    os.symlink(good, other(0x21))
    os.link(good, other(0x22))  # is set aside; what is left has one link and is mail
    other(0x23).mkdir()
    s = socket.socket(socket.AF_UNIX)
    os.chdir(drop)
    s.bind(other(0x24).name)
    os.chdir("/")
    other(0x25).write_bytes(b"\0" * 4096)
    other(0x26).write_bytes(whole[: len(whole) // 2] + b"\xff" * 64 + whole[len(whole) // 2:])
    for p in drop.iterdir():
        if os.geteuid() == 0:
            ids = pwd.getpwnam(i.user)
            os.chown(p, ids.pw_uid, ids.pw_gid, follow_symlinks=False)
    i.start()
    i.sendmail("-f", "me@example.test", "now@far.test", message=MESSAGE)
    wait_for(lambda: sink.to("now@far.test"))
    wait_for(lambda: sink.to("later@far.test"))
    wait_for(lambda: i.log().count("warning: maildrop/") >= 5)
    s.close()
    i.wait_empty()
    assert len(sink.messages) == 2, "each once, and nothing of the others"


def test_taken_once_though_the_file_stays(make, sink):
    """A crash between storing and removing: the same name again is no second message."""
    i = down(make, sink)
    i.sendmail("-t", message=MESSAGE)
    [file] = dropped(i)
    name, text, st = file.name, file.read_bytes(), file.stat()
    i.start()
    wait_for(lambda: sink.to("later@far.test"), 70)
    i.wait_empty()
    i.stop()
    again = i.queue / "maildrop" / name
    again.write_bytes(text)
    os.chmod(again, 0o444)
    os.chown(again, st.st_uid, st.st_gid)
    i.start()
    wait_for(lambda: not again.exists(), 70)
    i.wait_empty()
    assert len(sink.to("later@far.test")) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: two users")
def test_the_submitter_is_the_files_owner(make, sink):
    i = down(make, sink, rootless=False)
    nobody = pwd.getpwnam("nobody")
    subprocess.run(["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", "--",
                    str(PREFIX / "sbin/sendmail"), "-C", str(i.etc), "-t"], input=MESSAGE, text=True, check=True, cwd="/")
    [file] = dropped(i)
    assert file.stat().st_uid == nobody.pw_uid
    i.start()
    wait_for(lambda: sink.to("later@far.test"), 70)
    i.wait_log(f"uid={nobody.pw_uid} from=<")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: two users")
def test_the_kernel_says_who_submits(make, sink):
    i = make(f"relayhost = [127.0.0.1]:{sink.port}\n", rootless=False).start()
    nobody = pwd.getpwnam("nobody")
    subprocess.run(["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", "--",
                    str(PREFIX / "sbin/sendmail"), "-C", str(i.etc), "x@far.test"], input="Subject: x\n\nx\n", text=True,
                   check=True, cwd="/")
    [got] = wait_for(lambda: sink.to("x@far.test"))
    assert got.sender.startswith("nobody@")
    assert f"(Ostler, from userid {nobody.pw_uid})" in got.text
    assert not pathlib.Path(i.queue / "maildrop").is_symlink() and not dropped(i)
