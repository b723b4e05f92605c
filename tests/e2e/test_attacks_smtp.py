# SPDX-License-Identifier: Apache-2.0
"""Clients that mean no good: smuggled messages, commands out of turn, floods, and slow ones. What comes out is looked at where it
arrives, at a receiving server."""

import concurrent.futures
import contextlib
import os
import pathlib
import re
import socket
import time

import pytest
from instance import Dialogue, wait_for
from sink import Sink

QUICK = """
smtpd_error_sleep_time = 0
smtpd_forbid_bare_newline_exclusions =
local_header_rewrite_clients =
"""
START = ("EHLO client.test", "MAIL FROM:<a@b.test>", "RCPT TO:<c@far.test>")
SMUGGLED = b"MAIL FROM:<evil@b.test>\r\nRCPT TO:<evil@far.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nsmuggled text\r\n.\r\n"


class Target:
    """An instance that relays all to a sink; what it accepted can be counted."""

    def __init__(self, make, main_cf=QUICK):
        self.sink = Sink(ehlo=("8BITMIME", "SIZE 100000000")).__enter__()
        self.instance = make(main_cf + f"relayhost = [127.0.0.1]:{self.sink.port}\n", rootless=True).start()
        self.port = self.instance.port

    def close(self):
        self.sink.__exit__(None, None, None)

    def talk(self):
        d = Dialogue(self.port)
        assert d.reply().startswith("220 ")
        return d

    def begin(self, data=True):
        d = self.talk()
        for line in START + (("DATA",) if data else ()):
            assert d.ask(line)[0] in "23", line
        return d

    def whole(self):
        """What has arrived, once everything accepted is through."""
        self.instance.wait_empty()
        return self.sink.messages

    def still_serves(self):
        began = time.monotonic()
        with self.talk() as d:
            assert d.ask("QUIT").startswith("221")
        assert time.monotonic() - began < 2

    def clean_log(self):
        log = self.instance.log()
        assert not re.search(r"panic|fatal|signal|assert", log, re.I), log
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", log)


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    from instance import Instance
    made = []

    def make(*args, **kw):
        made.append(Instance(*args, **kw))
        return made[-1]
    t = Target(make)
    yield t
    t.still_serves()
    t.clean_log()
    t.close()
    for i in made:
        i.remove()


@pytest.fixture
def own(make):
    """A target of the test's own, with other parameters."""
    made = []

    def start(main_cf):
        made.append(Target(make, QUICK + main_cf))
        return made[-1]
    yield start
    for t in made:
        t.close()


# ---- framing ---------------------------------------------------------------------------------------------------------

# What is not CRLF "." CRLF and must not end a message, and what is left of it in the text.
FALSE_ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\r.\r", b"\r.\n", b"\n.\r", b"\r\n.\r", b"\r\n\0.\r\n", b"\r\n.\0\r\n",
              b"\r\n.\r\r\n", b"\r\r\n.\r\r\n"]


@pytest.mark.parametrize("end", FALSE_ENDS, ids=[e.decode("latin-1").encode("unicode_escape").decode() for e in FALSE_ENDS])
def test_only_crlf_dot_crlf_ends_a_message(target, end):
    before = len(target.whole())
    with target.begin() as d:
        d.say(b"Subject: outer\r\n\r\nfirst" + end + SMUGGLED)
        assert d.reply().startswith("250 2.0.0 Ok: queued as ")
        assert d.ask("QUIT").startswith("221")
    arrived = target.whole()[before:]
    assert len(arrived) == 1
    assert arrived[0].sender == "a@b.test"
    assert b"MAIL FROM:<evil@b.test>" in arrived[0].data
    assert b"\n" not in arrived[0].data.replace(b"\r\n", b"") and b"\r" not in arrived[0].data.replace(b"\r\n", b"")


def test_bare_newline_reject(own):
    t = own("smtpd_forbid_bare_newline = reject\n")
    for text in (b"Subject: x\n\r\n.\r\n", b"Subject: x\r\n\r\n\n.\n"):
        with t.begin() as d:
            d.say(text)
            assert d.reply() == "550 5.5.2 mx.example.test Error: bare <LF> received"
            assert d.at_end()
    with t.talk() as d:
        d.say(b"EHLO x\nMAIL FROM:<a@b>\n")
        assert d.reply() == "550 5.5.2 mx.example.test Error: bare <LF> received"
    assert t.whole() == []


def test_bare_newline_allowed_for_the_excluded(own):
    t = own("smtpd_forbid_bare_newline_exclusions = 127.0.0.0/8\n")
    with t.begin() as d:
        d.say(b"Subject: x\n\ntext\n.\n")
        assert d.reply().startswith("250 ")
    assert t.whole()[0].text.endswith("\r\n\r\ntext\r\n")


def test_an_end_in_pieces_ends_once(target):
    end = b"\r\n.\r\n"
    before = len(target.whole())
    sent = 0
    for mask in range(16):
        cuts = [i + 1 for i in range(4) if mask >> i & 1]
        with target.begin() as d:
            d.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            d.say(b"Subject: pieces\r\n\r\ntext")
            for a, b in zip([0, *cuts], [*cuts, 5]):
                time.sleep(0.05)
                d.say(end[a:b])
            assert d.reply().startswith("250 ")
            assert d.ask("QUIT").startswith("221")
            sent += 1
    arrived = target.whole()[before:]
    assert len(arrived) == sent
    assert all(m.text.endswith("\r\n\r\ntext\r\n") for m in arrived)


@pytest.mark.parametrize("length", [2047, 2048, 2049, 4095, 4096, 4097, 65535, 65536, 65537, 100000])
def test_long_lines_and_dots(target, length):
    before = len(target.whole())
    with target.begin() as d:
        d.say(b"Subject: long\r\n\r\n" + b"x" * length)
        time.sleep(0.05)
        d.say(b".\r\n" + b"y" * (length - 1) + b"\r")
        time.sleep(0.05)
        d.say(b"\n..dot\r\n.\r\n")
        assert d.reply().startswith("250 ")
    body = target.whole()[before:][0].data.partition(b"\r\n\r\n")[2]
    assert body.replace(b"\r\n ", b"").replace(b"\r\n", b"") == b"x" * length + b"." + b"y" * (length - 1) + b".dot"


def test_first_lines_that_look_like_a_mailbox(target):
    before = len(target.whole())
    with target.begin() as d:
        d.say(b"From a@b Thu\r\n>>From c\r\nSubject: after\r\n\r\nFrom here on\r\n.\r\n")
        assert d.reply().startswith("250 ")
    text = target.whole()[before:][0].text
    assert "\r\nX-Mailbox-Line: From a@b Thu\r\nX-Mailbox-Line: >>From c\r\nSubject: after\r\n" in text
    assert text.endswith("\r\n\r\nFrom here on\r\n")


def test_endless_first_line_meets_the_limit(own):
    t = own("message_size_limit = 100000\n")
    with t.begin() as d:
        d.say(b"From " + b"x" * 300000 + b"\r\n.\r\n")
        assert d.reply() == "552 5.3.4 Error: message file too big"
        assert d.ask("NOOP").startswith("250")


@pytest.mark.parametrize("more,ok", [(-1, True), (0, True), (1, False)])
def test_size_edge(own, more, ok):
    t = own("message_size_limit = 5000\n")
    head = b"Subject: x\r\n\r\n"
    body = b"..dot\r\n" + b"x" * (5000 + more - len(head) - len(b".dot\r\n") - 2) + b"\r\n"
    with t.begin() as d:
        d.say(head + body + b".\r\n")
        assert d.reply().startswith("250 " if ok else "552 5.3.4 ")


# ---- session state ---------------------------------------------------------------------------------------------------

def test_early_talker(target):
    with socket.create_connection(("127.0.0.1", target.port)) as s:
        s.sendall(b"EHLO early\r\n")
        got = s.makefile("rb").readline()
    assert got.startswith((b"554 5.5.0 ", b"220 "))  # the greeting may have been under way
    if got.startswith(b"554"):
        target.instance.wait_log("improper command pipelining after CONNECT")


def test_pipelining_without_esmtp(target):
    with target.talk() as d:
        d.say(b"HELO x\r\nMAIL FROM:<a@b.test>\r\n")
        assert d.reply() == "554 5.5.0 Error: SMTP protocol synchronization"
        assert d.at_end()


def test_body_after_refused_data(own):
    t = own("smtpd_recipient_restrictions = reject\n")
    with t.talk() as d:
        d.say(b"EHLO x\r\n")
        d.reply()
        d.say(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@far.test>\r\nDATA\r\n")
        assert d.reply().startswith("250") and d.reply().startswith("554")
        assert d.reply() == "554 5.5.1 Error: no valid recipients"
        d.say(b"Subject: x\r\nQUIT\r\n")
        assert d.reply().startswith("221 2.7.0")
        assert d.at_end()


def test_refused_message_leaves_no_transaction(own):
    t = own("smtpd_end_of_data_restrictions = reject\n")
    with t.begin() as d:
        d.say(b"\r\nx\r\n.\r\n")
        assert d.reply().startswith("554 5.7.1 ")
        assert d.ask("RCPT TO:<c@far.test>") == "503 5.5.1 Error: need MAIL command"
        assert d.ask("DATA") == "503 5.5.1 Error: need RCPT command"


def test_vrfy_in_a_transaction(target):
    with target.begin(data=False) as d:
        d.say("VRFY é@far.test\r\n".encode("latin-1"))
        assert d.reply().startswith("500 ")
        assert d.ask("DATA").startswith("354")
        d.say(b"\r\nx\r\n.\r\n")
        assert d.reply().startswith("250")


def test_order_errors(target):
    with target.talk() as d:
        assert d.ask("RCPT TO:<c@far.test>").startswith("503 ")
        assert d.ask("DATA").startswith("503 ")
        assert d.ask("EHLO x").startswith("250")
        assert d.ask("MAIL FROM:<a@b.test>").startswith("250")
        assert d.ask("MAIL FROM:<a@b.test>").startswith("503 ")
        assert d.ask("RCPT TO:<c@far.test>").startswith("250")
        assert d.ask("EHLO x").startswith("250")
        assert d.ask("DATA").startswith("503 ")
        assert d.ask("MAIL FROM:<a@b.test>").startswith("250")
        assert d.ask("RSET").startswith("250")
        assert d.ask("RCPT TO:<c@far.test>").startswith("503 ")


def resident(instance):
    """The memory of the instance's smtpd processes, in KiB."""
    total = 0
    for pid, what in instance.processes().items():
        if what.startswith("smtpd"):
            text = pathlib.Path(f"/proc/{pid}/status").read_text()
            total += int(re.search(r"VmRSS:\s+(\d+)", text)[1])
    return total


def test_command_line_without_end(target):
    before = resident(target.instance)
    with target.talk() as d:
        with contextlib.suppress(OSError):
            for _ in range(64):
                d.say(b"x" * (1 << 20))
        assert resident(target.instance) - before < 4096
        with contextlib.suppress(OSError):
            d.say(b"\r\n")
            assert d.reply().startswith("500 ")


def test_nul_in_an_address(target):
    with target.talk() as d:
        assert d.ask("EHLO x").startswith("250")
        d.say(b"MAIL FROM:<a\0b@x>\r\n")
        assert d.reply().startswith("501 ")
        d.say(b"MAIL FROM:<\xc0\x80@x>\r\n")
        assert d.reply().startswith("500 ")


def test_junk_flood(own):
    t = own("smtpd_junk_command_limit = 100\nsmtpd_hard_error_limit = 20\n")
    with t.talk() as d:
        assert d.ask("EHLO x").startswith("250")
        d.say(b"RSET\r\n" * 130)
        # EHLO and a hundred are free; then each counts as an error
        assert [d.reply() for _ in range(120)] == ["250 2.0.0 Ok"] * 120
        assert d.reply() == "421 4.7.0 mx.example.test Error: too many errors"
    t.instance.wait_log("too many errors after RSET from")


def test_errors_slow_a_client_down_without_a_thread(own):
    t = own("smtpd_error_sleep_time = 1s\nsmtpd_soft_error_limit = 2\n")
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(t.talk()) for _ in range(150 // 5)]
        for c in clients:
            for _ in range(4):
                c.say("BOGUS\r\n")
        for c in clients:
            for _ in range(4):
                assert c.reply().startswith("500")
        assert 2.5 < time.monotonic() - began < 10  # each waits three times, all at once
        t.still_serves()


def test_too_many_recipients(own):
    t = own("smtpd_recipient_limit = 1000\nsmtpd_recipient_overshoot_limit = 1000\n")
    with t.talk() as d:
        d.ask("EHLO x")
        assert d.ask("MAIL FROM:<a@b.test>").startswith("250")
        codes = []
        for n in range(2100):
            codes.append(d.ask(f"RCPT TO:<u{n}@far.test>"))
            if not codes[-1].startswith(("250", "452")):
                break
        assert sum(c.startswith("250") for c in codes) == 1000
        assert codes[1000] == "452 4.5.3 Error: too many recipients"
        assert codes[-1].startswith("421 4.7.0")
        assert len(codes) >= 2000


def drip(port, prefix, seconds):
    """A byte now and then; answers when the server had enough of it."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as s:
        s.recv(1000)
        try:
            for line in prefix:
                s.sendall(line)
                s.recv(1000)
            while time.monotonic() - began < seconds:
                s.sendall(b"x")
                s.settimeout(0.9)
                try:
                    if s.recv(1000) is not None:
                        return time.monotonic() - began
                except socket.timeout:
                    pass
        except OSError:
            return time.monotonic() - began
    return None


@pytest.mark.parametrize("prefix", [[], [b"EHLO x\r\n", b"MAIL FROM:<a@b.test>\r\n", b"RCPT TO:<c@far.test>\r\n", b"DATA\r\n"]],
                         ids=["command", "data"])
def test_slow_clients_end(own, prefix):
    t = own("smtpd_timeout = 3s\nsmtpd_per_request_deadline = yes\nsmtpd_client_connection_count_limit = 0\n")
    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        slow = [pool.submit(drip, t.port, prefix, 30) for _ in range(60)]
        time.sleep(1)
        t.still_serves()
        ended = [f.result() for f in slow]
    assert all(e is not None and 2 < e < 15 for e in ended), ended
    t.instance.wait_log("timeout after")


def test_clients_that_never_read(own):
    t = own("smtpd_timeout = 3s\nsmtpd_junk_command_limit = 1000000\nsmtpd_client_connection_count_limit = 0\n")
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(("127.0.0.1", t.port))
            s.recv(200)
            s.sendall(b"EHLO x\r\n")
            s.recv(2000)
            s.setblocking(False)
            with contextlib.suppress(BlockingIOError, ConnectionError):
                for _ in range(400):
                    s.send(b"RSET\r\n" * 10000)
            stack.callback(s.close)
        t.still_serves()
        assert resident(t.instance) < 60000

        def they_are_gone():
            return t.instance.log().count("disconnect from") >= 30
        wait_for(they_are_gone, 30)


# ---- injection -------------------------------------------------------------------------------------------------------

def test_log_injection(target):
    with target.talk() as d:
        d.say(b"EHLO x\x1b[2J\x07%n%s\x7f" + b"y" * 1500 + b"\r\n")
        assert d.reply().startswith("250")
        d.say(b"MAIL FROM:<a@b.test>\r\n")
        d.reply()
        d.say(b"RCPT TO:<" + b"z" * 1000 + b"@far..test>\r\n")
        assert d.reply().startswith("501")
    target.clean_log()


@pytest.mark.parametrize("address,code", [
    ("<;for i in 0;do touch /tmp/pwn;done;@x>", "501"), ("<${run{/bin/touch /tmp/p}}@localhost>", "501"),
    ("<-oQ/tmp@x.test>", "501"), ("<a@[1.2.3.4>", "501"), ("<a@[]>", "501"), ("<a@[IPv6::::::]>", "501"), ("<a@[999.1.1.1]>", "501"),
    ('<"a\\>', "501"), ('<a"b@c>', "501"), ("<" + "a" * 5000 + "@x.test>", "50"), ("<a@" + "b" * 64 + ".test>", "501"),
    ("<a@" + "b." * 130 + "test>", "501"), ("<a@b.test> ORCPT=rfc822;a+0D+0ABcc:x", "501"), ("<a@b.test> ORCPT=rfc822;a+00", "501"),
    ("<a@b.test> ORCPT=rfc822;a+4", "501"), ("<a@b.test> ORCPT=x ORCPT=rfc822;x", "501"), ("<a@b.test> NOTIFY=NEVER,SUCCESS", "501"),
    ("<a@b.test> NOTIFY=NEVER NOTIFY=DELAY", "501"), ("<a@b.test> ORCPT=rfc822;" + "x" * 900, "501"),
])
def test_hostile_recipients(target, address, code):
    with target.talk() as d:
        d.ask("EHLO x")
        assert d.ask("MAIL FROM:<a@b.test>").startswith("250")
        d.say(b"RCPT TO:" + address.encode() + b"\r\n")
        assert d.reply().startswith(code)
    assert not os.path.exists("/tmp/pwn") and not os.path.exists("/tmp/p")


@pytest.mark.parametrize("words", ["SIZE=100000000000000000000", "SIZE=-1", "SIZE=", "BODY=FOO", "RET=X", "ENVID=+ZZ", "ENVID=a+0Ab", "XX"])
def test_hostile_mail_parameters(target, words):
    with target.talk() as d:
        d.ask("EHLO x")
        assert d.ask(f"MAIL FROM:<a@b.test> {words}").startswith(("501", "552", "555"))
        assert d.ask("RCPT TO:<c@far.test>").startswith("503")


def test_forged_headers(target):
    before = len(target.whole())
    with target.begin() as d:
        d.say(b"Return-Path: <x@y>\r\nBcc: secret@far.test\r\nReceived: from nowhere\r\nSubject: forged\r\n\r\nx\r\n.\r\n")
        assert d.reply().startswith("250")
    text = target.whole()[before:][0].text
    assert "secret" not in text and "Return-Path" not in text
    assert text.count("Received: from ") == 2 and text.startswith("Received: from client.test (")
    with target.begin() as d:
        d.say(b"Received: x\r\n" * 60 + b"\r\nx\r\n.\r\n")
        assert d.reply() == "554 5.4.0 Error: too many hops"


def test_headers_beyond_all_measure(target):
    before = len(target.whole())
    memory = resident(target.instance)
    with target.begin() as d:
        d.say(b"X-Long: " + b"y" * 1000000 + b"\r\n" + b"To: a@b\r\n" * 20000 + b"X-Folded: z\r\n" + b" z\r\n" * 100000 + b"\r\nbody\r\n.\r\n")
        assert d.reply().startswith("250")
    assert resident(target.instance) - memory < 20000
    text = target.whole()[before:][0].text
    assert text.endswith("\r\n\r\nbody\r\n") and text.count("To: a@b\r\n") == 20000
    assert text.count("y") < 103000 and text.count(" z\r\n") < 103000


@pytest.mark.parametrize("head,begins", [
    (b"no colon here\r\n", "\r\n\r\nno colon here\r\n"), (b" leading blank\r\nSubject: x\r\n", "\r\n\r\n leading blank\r\nSubject: x\r\n"),
    (b"\r\nSubject: body\r\n", "\r\n\r\nSubject: body\r\n"), (b"Subject : odd\r\n\r\nx\r\n", "\r\nSubject : odd\r\n\r\nx\r\n"),
    (b"Subject: x\r\nnot a header\r\nmore\r\n", "\r\nSubject: x\r\n\r\nnot a header\r\nmore\r\n"), (b"Subject: only\r\n", "\r\nSubject: only\r\n"),
])
def test_headers_that_are_none(target, head, begins):
    before = len(target.whole())
    with target.begin() as d:
        d.say(head + b".\r\n")
        assert d.reply().startswith("250")
    text = target.whole()[before:][0].text
    assert text.startswith("Received: from client.test")
    assert begins in text and text.rstrip("\r\n").endswith(begins.rstrip("\r\n"))
