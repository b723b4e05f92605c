# SPDX-License-Identifier: Apache-2.0
"""Each configuration of conf/examples is started, with its own tables, and does what its README says."""

import os
import pathlib
import pwd

from instance import wait_for

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "conf/examples"
TEXT = "From: <a@example.test>\r\nTo: <info@example.com>\r\nSubject: hello\r\n\r\nbody\r\n"


def test_virtual_users(make):
    example = EXAMPLES / "virtual-users"
    i = make((example / "main.cf").read_text())
    ids = pwd.getpwnam(i.user)
    uid, gid = (ids.pw_uid, ids.pw_gid) if i.rootless else (5000, 5000)
    os.chown(i.vmail, uid, gid)
    for name in ("vmailbox", "virtual"):
        i.postmap(name, (example / name).read_text())
    # What a test cannot use as it stands: the places, the public address, and the users of the machine.
    i.write("main.cf", i.path("main.cf").read_text() + f"""
virtual_mailbox_base = {i.vmail}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
inet_interfaces = loopback-only
alias_maps =
""")
    check = i.run("ostler", "check", check=False)
    assert check.returncode == 0, check.stderr
    i.start()
    i.send("sender@example.test", "everybody@example.com", TEXT)
    for box in ("example.com/info", "example.com/sales"):
        new = i.vmail / box / "new"
        message = wait_for(lambda d=new: d.is_dir() and list(d.iterdir()))[0]
        assert "Subject: hello" in message.read_text()
    with i.smtp() as s:
        s.helo("client.example.test")
        s.mail("sender@example.test")
        assert s.rcpt("nobody@example.com")[0] == 550
        assert s.rcpt("info+list@example.org")[0] == 250
    i.wait_empty()
