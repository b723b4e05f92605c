# SPDX-License-Identifier: Apache-2.0
"""Mail for system users: mailboxes, Maildirs in their homes, aliases."""

import mailbox
import os
import pwd

import pytest
from instance import wait_for

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="other users' mailboxes need root")
USER = "games"  # a system user of every Debian that is not Ostler's own
TEXT = "From: <a@example.test>\r\nTo: <b@example.test>\r\nSubject: hello\r\n\r\nbody line\r\nFrom the start\r\n"
HERE = "localhost.example.test"


def spool(i):
    """A mail spool as /var/mail is: the group's, sticky, setgid."""
    folder = i.folder / "mail"
    folder.mkdir()
    os.chown(folder, 0, 8)
    folder.chmod(0o3775)
    return folder


def local(make, main_cf, aliases=""):
    i = make(rootless=False)
    table = ""
    if aliases:
        table = f"hash:{i.write('aliases', aliases)}"
        i.run("postalias", table)
    folder = spool(i)
    i.write("main.cf", i.path("main.cf").read_text() + f"alias_maps = {table}\nmail_spool_directory = {folder}\n{main_cf}")
    return i.start(), folder


def messages(path):
    if not path.exists():
        return []
    return list(mailbox.mbox(path, create=False))


@needs_root
def test_mailbox_of_a_system_user(make):
    i, folder = local(make, "")
    i.send("sender@example.test", [f"{USER}@{HERE}"], TEXT)
    wait_for(lambda: len(messages(folder / USER)) == 1)
    i.send("", [f"{USER}@{HERE}"], TEXT)
    wait_for(lambda: len(messages(folder / USER)) == 2)
    first = messages(folder / USER)[0]
    assert first["Return-Path"] == "<sender@example.test>"
    assert first["Delivered-To"] == f"{USER}@{HERE}"
    assert first["X-Original-To"] == f"{USER}@{HERE}"
    assert first.get_from().startswith("sender@example.test ")
    assert first.get_payload().endswith("body line\n>From the start\n")
    st = (folder / USER).stat()
    assert st.st_uid == pwd.getpwnam(USER).pw_uid
    assert st.st_mode & 0o7777 == 0o600
    i.wait_empty()
    wait_for(lambda: not (folder / f"{USER}.lock").exists())
    i.wait_log("status=sent (delivered to mailbox)")


@needs_root
def test_unknown_user_bounces(make, sink):
    i, _ = local(make, f"relayhost = [127.0.0.1]:{sink.port}\n")
    i.send("sender@example.test", [f"nosuchuser@{HERE}"], TEXT)
    notice = wait_for(lambda: sink.to("sender@example.test"))[0]
    assert 'unknown user: "nosuchuser"' in notice.text
    i.wait_log("dsn=5.1.1, status=bounced")


@needs_root
def test_a_mailbox_that_is_a_link_is_not_written(make):
    i, folder = local(make, "")
    target = i.folder / "target"
    target.write_text("precious")
    target.chmod(0o666)
    (folder / USER).symlink_to(target)
    i.send("sender@example.test", [f"{USER}@{HERE}"], TEXT)
    wait_for(lambda: "status=deferred" in i.log() or "status=bounced" in i.log())
    assert target.read_text() == "precious"


@needs_root
def test_aliases(make, sink):
    i, folder = local(make, f"relayhost = [127.0.0.1]:{sink.port}\nrecipient_delimiter = +\n", aliases=f"""
team: {USER}, far@far.test, "quoted <x>" <other@far.test>, team2
team2: team, last@far.test
self: {USER}@{HERE}, self2
self2: self
loop: loop2
loop2: loop
command: "|/bin/true"
include: :include:/etc/passwd
owner-team: {USER}
""")
    i.send("sender@example.test", [f"team+x@{HERE}"], TEXT)
    for who in ("far@far.test", "other@far.test", "last@far.test"):
        got = wait_for(lambda who=who: sink.to(who))
        assert len(got) == 1
        assert got[0].sender == "owner-team@mx.example.test"
        assert f"Delivered-To: team+x@{HERE}\r\n" in got[0].text
    wait_for(lambda: len(messages(folder / USER)) == 1)
    i.send("sender@example.test", [f"command@{HERE}", f"include@{HERE}"], TEXT)
    wait_for(lambda: i.log().count("commands, files and includes are not supported yet") >= 2)
    i.send("sender@example.test", [f"loop@{HERE}"], TEXT)
    wait_for(lambda: "alias database loop for loop" in i.log())
    assert len(messages(folder / USER)) == 1


@needs_root
def test_mail_that_was_here_bounces(make, sink):
    i, _ = local(make, f"relayhost = [127.0.0.1]:{sink.port}\n")
    i.send("sender@example.test", [f"{USER}@{HERE}"], f"Delivered-To: {USER.upper()}@{HERE}\r\n" + TEXT)
    wait_for(lambda: f"mail forwarding loop for {USER}@{HERE}" in i.log())


def test_home_mailbox_of_the_own_user(make):
    """Rootless, there is one user to deliver to."""
    i = make(rootless=True)
    home = pwd.getpwnam(i.user).pw_dir
    if not os.access(home, os.W_OK) or os.geteuid() == 0:
        pytest.skip("the user has no home to write to")
    i.write("main.cf", i.path("main.cf").read_text() + f"home_mailbox = {i.folder.name}/\n")
    i.start()
    i.send("sender@example.test", [f"{i.user}@{HERE}"], TEXT)
    wait_for(lambda: "status=sent (delivered to maildir)" in i.log())
