# SPDX-License-Identifier: Apache-2.0
"""AUTH with Debian's Dovecot behind it, and Debian's Postfix beside it: the same dialogues, replies and log lines."""

import base64
import difflib
import os
import re
import shutil
import smtplib
import subprocess
import threading
import time

import pytest
from dovecot import PASSWORD, USER, Dovecot
from dovecot import available as dovecot_available
from instance import Instance, wait_for
from postfix import Postfix, available
from test_smtp_dialogues import BASE, START, crlf, log_lines, play

pytestmark = pytest.mark.skipif(not (available() and dovecot_available()), reason="needs root, and Debian's postfix and dovecot-core")

SASL = """
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {path}
broken_sasl_auth_clients = yes
smtpd_sasl_authenticated_header = yes
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_sender_login_maps = inline:{{ {{own@b.example=%s}} {{boss@b.example=boss}} }}
smtpd_sender_restrictions = reject_sender_login_mismatch
""" % USER


def b64(text):
    return base64.b64encode(text.encode()).decode()


RIGHT, WRONG = b64(f"\0{USER}\0{PASSWORD}"), b64(f"\0{USER}\0wrong")
EHLO, LOGIN = "EHLO client.example", f"AUTH PLAIN {RIGHT}"

DIALOGUES = {
    "announced": [EHLO, "QUIT"],
    "plain": [EHLO, LOGIN, LOGIN, "MAIL FROM:<own@b.example>", "RCPT TO:<x@far.example>", "QUIT"],
    "plain later": [EHLO, "AUTH PLAIN", RIGHT, "QUIT"],
    "login": [EHLO, "AUTH LOGIN", b64(USER), b64(PASSWORD), "QUIT"],
    "login at once": [EHLO, f"AUTH LOGIN {b64(USER)}", b64(PASSWORD), "QUIT"],
    "small letters": [EHLO, f"auth plain {RIGHT}", "QUIT"],
    "wrong": [EHLO, f"AUTH PLAIN {WRONG}", "AUTH LOGIN", b64(USER), b64("wrong"), "QUIT"],
    "syntax": [EHLO, "AUTH", "AUTH PLAIN a b", "AUTH FOO", "AUTH PLAIN !", "AUTH PLAIN", "!!", "AUTH PLAIN", "*", "QUIT"],
    "empty": [EHLO, "AUTH PLAIN", "", "", "QUIT"],
    "no hello": [LOGIN, "QUIT"],
    "in a transaction": [*START, LOGIN, "QUIT"],
    "mail parameter": [EHLO, "MAIL FROM:<x@b.example> AUTH=<>", "RCPT TO:<b@virt.example>", "RSET",
                       "MAIL FROM:<x@b.example> AUTH=e+3Dmc2@example.com", "RCPT TO:<b@virt.example>", "RSET",
                       "MAIL FROM:<x@b.example> AUTH=", "RSET", "MAIL FROM:<x@b.example> AUTH=a AUTH=b", "QUIT"],
    "senders": [EHLO, "MAIL FROM:<own@b.example>", "RCPT TO:<b@virt.example>", "RSET", LOGIN, "MAIL FROM:<own@b.example>",
                "RCPT TO:<b@virt.example>", "RSET", "MAIL FROM:<boss@b.example>", "RCPT TO:<b@virt.example>", "RSET",
                "MAIL FROM:<nobody@b.example>", "RCPT TO:<b@virt.example>", "RSET", "MAIL FROM:<>", "RCPT TO:<b@virt.example>", "QUIT"],
    "hello again": [EHLO, LOGIN, EHLO, LOGIN, "QUIT"],
    "message": [EHLO, LOGIN, "MAIL FROM:<own@b.example>", "RCPT TO:<b@virt.example>", "DATA", crlf("Subject: x\n\nx\n.\n"), "QUIT"],
}


@pytest.fixture(scope="module")
def dovecot():
    with Dovecot() as d:
        yield d


class Both:
    """Postfix and Ostler, with the same configuration but for the socket."""

    def __init__(self, dovecot, more=""):
        self.postfix = Postfix(BASE + SASL.format(path=f"inet:127.0.0.1:{dovecot.port}") + more)
        self.ostler = Instance(BASE + SASL.format(path=f"unix:{dovecot.socket}") + more, rootless=True)

    def __enter__(self):
        self.postfix.__enter__()
        self.ostler.start()
        for system in (self.postfix, self.ostler):
            told(system, ["QUIT"])  # what was asked to see whether it runs is behind us
        return self

    def __exit__(self, *exc):
        self.postfix.__exit__(*exc)
        self.ostler.remove()

    def differ(self, steps):
        theirs, ours = (told(system, steps) for system in (self.postfix, self.ostler))
        return "\n".join(difflib.unified_diff(theirs, ours, "Postfix", "Ostler", lineterm=""))


def told(system, steps):
    """The replies, and the lines of the log. The last step is QUIT."""
    before = len(system.log())
    replies = play(system.port, steps)
    wait_for(lambda: "quit=1" in system.log()[before:])
    return replies + log_lines(system.log()[before:])


@pytest.fixture(scope="module")
def both(dovecot):
    with Both(dovecot) as pair:
        yield pair


@pytest.mark.parametrize("name", DIALOGUES)
def test_same_as_postfix(both, name):
    assert both.differ(DIALOGUES[name]) == ""


@pytest.mark.parametrize("more", ["smtpd_tls_auth_only = yes\n", "smtpd_sasl_exceptions_networks = 127.0.0.0/8\n",
                                  "smtpd_sasl_security_options = noplaintext, noanonymous\nsmtpd_sasl_mechanism_filter = !scram-sha-256, static:rest\n"])
def test_same_where_it_is_restricted(dovecot, more):
    with Both(dovecot, more) as pair:
        assert pair.differ([EHLO, LOGIN, LOGIN, "MAIL FROM:<x@b.example> AUTH=<>", "RCPT TO:<b@virt.example>", "QUIT"]) == ""


def test_too_long(both):
    """The log is another: a response may hold a password, of which Postfix shows the beginning."""
    steps = [EHLO, "AUTH PLAIN", "A" * 12289, "NOOP", "QUIT"]
    theirs, ours = (play(system.port, steps) for system in (both.postfix, both.ostler))
    assert theirs == ours
    assert "AAAA" not in both.ostler.log()


def test_real_clients(both):
    """PLAIN, LOGIN and CRAM-MD5 of smtplib, CRAM-MD5 of swaks."""
    ours = both.ostler
    for mechanism in ("auth_plain", "auth_login", "auth_cram_md5"):
        with smtplib.SMTP("127.0.0.1", ours.port, timeout=20) as client:
            client.ehlo("client.example")
            client.user, client.password = USER, PASSWORD
            assert client.auth(mechanism[5:].upper().replace("_", "-"), getattr(client, mechanism))[0] == 235
    if shutil.which("swaks"):
        out = subprocess.run(["swaks", "--server", f"127.0.0.1:{ours.port}", "--auth", "CRAM-MD5", "--auth-user", USER, "--auth-password", PASSWORD,
                              "--from", "own@b.example", "--to", "b@virt.example", "--quit-after", "RCPT"], capture_output=True, text=True,
                             timeout=60, check=False)
        assert "235 2.7.0" in out.stdout, out.stdout + out.stderr


def queued(port):
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
        client.ehlo("client.example")
        client.login(USER, PASSWORD)
        client.mail("own@b.example")
        client.rcpt("b@virt.example")
        return client.data(b"Subject: kept\r\n\r\nx\r\n")[1].decode().split()[-1]


def trace(shown, queue_id):
    """The lines about logins, and the Received header without its date."""
    lines = re.findall(r"(?m)^named_attribute: sasl_\S+$", shown)
    return lines + re.search(r"(?ms)^(Received: .*?);", shown)[1].replace(queue_id, "ID").splitlines()


def test_the_login_is_kept(both):
    queue_id = queued(both.postfix.port)
    theirs = trace(subprocess.run(["/usr/sbin/postcat", "-c", str(both.postfix.etc), "-q", queue_id], capture_output=True, text=True,
                                  check=True).stdout, queue_id)
    queue_id = queued(both.ostler.port)
    ours = trace(both.ostler.run("postcat", "-q", queue_id).stdout, queue_id)
    assert f"\t(Authenticated sender: {USER})" in ours
    assert theirs == ours


def test_killed_and_started_again(dovecot, both):
    """Meanwhile clients are told to come again, and nothing else."""
    ours = both.ostler
    seen, stop = set(), threading.Event()

    def log_in_often():
        while not stop.is_set():
            with smtplib.SMTP("127.0.0.1", ours.port, timeout=30) as client:
                client.ehlo("client.example")
                seen.add(client.docmd(LOGIN)[0])
            time.sleep(0.02)

    threads = [threading.Thread(target=log_in_often) for _ in range(8)]
    for t in threads:
        t.start()
    for _ in range(2):
        time.sleep(0.7)
        dovecot.kill()
        time.sleep(0.7)
        dovecot.start()
    time.sleep(2.5)
    stop.set()
    for t in threads:
        t.join()
    assert seen == {235, 454}
    with smtplib.SMTP("127.0.0.1", ours.port, timeout=30) as client:
        client.ehlo("client.example")
        assert client.docmd(LOGIN)[0] == 235


FILTER = "/etc/fail2ban/filter.d/postfix.conf"


@pytest.mark.skipif(not os.path.exists(FILTER), reason="needs Debian's fail2ban")
def test_fail2ban_reads_the_log(both):
    ours = both.ostler
    before = len(ours.log())
    play(ours.port, [EHLO, f"AUTH PLAIN {WRONG}", "AUTH LOGIN", b64(USER), b64("wrong"), "QUIT"])
    ours.wait_log("SASL LOGIN authentication failed")
    lines = [line for line in ours.log()[before:].splitlines() if "authentication failed" in line]
    assert len(lines) == 2
    # The filter wants the log's tag to be Postfix's, as syslog_name has it there.
    path = ours.folder / "fail2ban.log"
    path.write_text("\n".join(line.replace("ostler/smtpd", "postfix/smtpd") for line in lines) + "\n")
    out = subprocess.run(["fail2ban-regex", str(path), FILTER + "[mode=auth]"], capture_output=True, text=True, timeout=60, check=False)
    assert re.search(r"\b2 matched\b", out.stdout), out.stdout + out.stderr
