# SPDX-License-Identifier: Apache-2.0
"""check_policy_service: beside Debian's Postfix (questions, replies), and with postgrey and postfwd as Debian has them."""

import contextlib
import os
import pathlib
import pwd
import signal
import socket
import subprocess

import pytest
from instance import Dialogue, free_port, wait_for
from policy import Policy
from postfix import Postfix, available

BASE = """
mydestination = localhost
mynetworks = 127.0.0.9/32
virtual_mailbox_domains = virt.example
virtual_mailbox_maps = inline:{ {a@virt.example=a} {b@virt.example=b} }
virtual_mailbox_base = /nonexistent
virtual_uid_maps = static:5000
virtual_gid_maps = static:5000
local_recipient_maps =
defer_transports = virtual, local
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
"""
ACTIONS = {
    "dunno": "DUNNO", "reject": "reject", "text": "REJECT no such luck", "code": "550 5.7.23 not from there", "defer": "DEFER later",
    "if": "DEFER_IF_PERMIT Greylisted, see http://x.example/", "ok": "OK", "warn": "WARN watch it", "prepend": "PREPEND X-Policy: seen",
    "421": "421 4.3.2 go away", "class": "reject_unauth_destination, reject_non_fqdn_sender", "odd": "what_is_this", "bad": b"nonsense\n\n",
    "none": b"\n", "closed": None, "utf8": b"action=550 5.7.1 gr\xfc\xdf\n\n",
}
DIFFERENT = {"instance", "client_port", "server_port", "queue_id"}  # from one system to the other; known in both, or in neither

SINCE_3_8 = {"compatibility_level", "mail_version"}


def decide(attributes):
    return ACTIONS.get(attributes["sender"].partition("@")[0], "DUNNO")


def main_cf(port):
    return BASE + f"""smtpd_recipient_restrictions =
  check_policy_service {{ inet:127.0.0.1:{port}, try_limit=1, policy_context=here }}
smtpd_end_of_data_restrictions = check_policy_service inet:127.0.0.1:{port}
"""


def dialogue(port, sender):
    with Dialogue(port) as d:
        d.reply()
        d.ask("EHLO client.example")
        replies = []
        for line in (f"MAIL FROM:<{sender}@sender.example>", "RCPT TO:<a@virt.example>", "RCPT TO:<b@virt.example>"):
            replies.append(d.ask(line))
            if replies[-1].startswith("421"):
                return replies
        if replies[-1].startswith("250"):
            d.ask("DATA")
            d.ask("Subject: x\r\n\r\nhello\r\n.")
        d.ask("QUIT")
    return replies


def shapes(policy):
    """What can be compared. Postfix writes to a connection that was closed, where Ostler makes a new one: those are left out."""
    return [[(name, bool(value) if name in DIFFERENT else value) for name, value in request if name not in SINCE_3_8]
            for request in policy.requests if not dict(request)["sender"].startswith("closed@")]


@pytest.mark.skipif(not available(), reason="needs root and Debian's postfix")
def test_questions_and_replies_are_postfix_s(make):
    with Policy(decide) as theirs, Policy(decide) as ours, Postfix(main_cf(theirs.port)) as postfix:
        i = make(main_cf(ours.port)).start()
        postfix_replies = {sender: dialogue(postfix.port, sender) for sender in ACTIONS}
        our_replies = {sender: dialogue(i.port, sender) for sender in ACTIONS}
        assert our_replies == postfix_replies
        assert shapes(ours) == shapes(theirs)
        assert [name for name, _ in ours.requests[0]][-3:] == ["policy_context", "compatibility_level", "mail_version"]
        by_message = [dict(r)["instance"] for r in ours.requests if dict(r)["sender"].startswith("dunno@")]
        assert len(by_message) == 3 and len(set(by_message)) == 1
        assert f"problem talking to server 127.0.0.1:{ours.port}: " in i.log()


def test_a_dead_service_is_451_and_comes_back(make):
    port = free_port()
    i = make(main_cf(port)).start()
    assert dialogue(i.port, "dunno")[1] == "451 4.3.5 <a@virt.example>: Recipient address rejected: Server configuration problem"
    with Policy(decide, port=port):
        wait_for(lambda: dialogue(i.port, "dunno")[1].startswith("250"), 10)


def test_the_system_s_own_socket(make):
    i = make(BASE + "smtpd_recipient_restrictions = check_policy_service unix:private/policy\n")
    private = i.queue / "private"
    private.mkdir(mode=0o755, exist_ok=True)
    with Policy(decide, private / "policy") as p:
        i.start()
        for _ in range(20):
            assert dialogue(i.port, "text")[1].endswith("no such luck")
        assert p.connections <= 4  # one for each process at most


# ---- Debian's servers ------------------------------------------------------------------------------------------------------


class Daemon:
    """A policy server that puts itself in the background, in a session of its own whose leader its pid file names. Ended with all of it."""

    def __init__(self, argv, pid_file, at):
        self.argv, self.pid_file, self.at, self.pid = [*argv, f"--pidfile={pid_file}"], pid_file, at, None

    def accepts(self):
        local = isinstance(self.at, pathlib.Path)
        with socket.socket(socket.AF_UNIX if local else socket.AF_INET) as s:
            return s.connect_ex(str(self.at) if local else ("127.0.0.1", self.at)) == 0

    def leader(self):
        text = self.pid_file.read_text().strip() if self.pid_file.exists() else ""
        return int(text) if text else None

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            if self.pid and os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, signal.SIGKILL)
                wait_for(lambda: not self.accepts())
        self.pid = None
        self.pid_file.unlink(missing_ok=True)

    def __enter__(self):
        subprocess.run(self.argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=True)
        self.pid = wait_for(self.leader)
        try:
            wait_for(self.accepts)
        except AssertionError:
            self.end()
            raise
        return self

    def __exit__(self, *exc):
        self.end()


def has_user(name):
    try:
        pwd.getpwnam(name)
        return True
    except KeyError:
        return False


def folder_for(instance, name, user):
    """A folder of that user's."""
    folder = instance.folder / name
    folder.mkdir()
    os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    return folder


POSTGREY, POSTFWD = pathlib.Path("/usr/sbin/postgrey"), pathlib.Path("/usr/sbin/postfwd")
GREYLISTED = "450 4.2.0 <a@virt.example>: Recipient address rejected: Greylisted for {} seconds"


@pytest.mark.skipif(os.geteuid() != 0 or not POSTGREY.exists() or not has_user("postgrey"), reason="needs root and postgrey")
def test_postgrey(make):
    port = free_port()
    i = make()
    inet, unix = folder_for(i, "inet", "postgrey"), folder_for(i, "unix", "postgrey")
    where = unix / "socket"

    def postgrey(at, *more):
        listen, data = (f"--unix={at}", unix) if at is where else (f"--inet=127.0.0.1:{at}", inet)
        return Daemon([str(POSTGREY), listen, "--group=postgrey", "--user=postgrey", "--daemonize",
                       "--greylist-text=Greylisted for %s seconds", "--auto-whitelist-clients", f"--dbdir={data}", *more],
                      i.folder / f"{data.name}.pid", at)

    def answer(sender):
        return dialogue(i.port, sender)[1]

    i.write("main.cf", i.base_main_cf() + BASE + f"""smtpd_recipient_restrictions =
  check_policy_service inet:127.0.0.1:{port}
smtpd_restriction_classes = by_unix
by_unix = check_policy_service unix:{where}
smtpd_sender_restrictions = check_sender_access inline:{{ {{local@sender.example = by_unix}} }}
""")
    with postgrey(port):
        i.start()
        assert answer("someone").startswith(GREYLISTED.format(300))
    assert answer("someone") == "451 4.3.5 <a@virt.example>: Recipient address rejected: Server configuration problem"
    i.wait_log(f"problem talking to server 127.0.0.1:{port}: ")
    with postgrey(port, "--delay=2"):
        wait_for(lambda: answer("other").startswith(GREYLISTED.format(2)))
        wait_for(lambda: answer("other").startswith("250 "), step=0.5)
        queue_id = wait_for(lambda: [m["queue_id"] for m in i.queue_list() if m["sender"].startswith("other@")])[0]
        assert "X-Greylist: delayed " in i.run("postcat", "-q", queue_id).stdout
        with postgrey(where):
            assert answer("local").startswith("450 4.2.0 <local@sender.example>: Sender address rejected: Greylisted for 300 seconds")
        allowed = i.write("whitelist_clients.local", "127.0.0.1\n")
        with postgrey(where, f"--whitelist-clients={allowed}"):
            wait_for(lambda: answer("local").startswith("250 "), step=0.5)


@pytest.mark.skipif(os.geteuid() != 0 or not POSTFWD.exists() or not has_user("postfw"), reason="needs root and postfwd")
def test_postfwd(make):
    port = free_port()
    i = make()
    run = folder_for(i, "run", "postfw")
    rules = i.write("postfwd.cf", "id=R1; sender=bad@sender.example; action=REJECT rule one\n"
                                  "id=R2; sender=late@sender.example; time=00:00:00-23:59:59; action=450 4.7.1 rule two\n")
    i.write("main.cf", i.base_main_cf() + BASE + f"""smtpd_recipient_restrictions =
 reject_unauth_destination
 check_policy_service unix:{run}/policyd.sock
 check_policy_service inet:127.0.0.1:{port}
""")
    argv = [str(POSTFWD), "--summary=600", "--cache=600", "--cache-rdomain-only", "--cache-no-size", "--daemon", "--interface=127.0.0.1",
            f"--port={port}", "--user=postfw", "--group=postfw", f"--file={rules}", f"--cache_socket=unix::{run}/cache"]
    with Daemon(argv, run / "pid", port), Policy(lambda _: "DUNNO", run / "policyd.sock") as policyd:
        i.start()
        assert dialogue(i.port, "bad")[1] == "554 5.7.1 <a@virt.example>: Recipient address rejected: rule one"
        assert dialogue(i.port, "late")[1] == "450 4.7.1 <a@virt.example>: Recipient address rejected: rule two"
        assert dialogue(i.port, "good")[1].startswith("250 ")
        assert len(policyd.requests) == 6  # it is asked first, each time
