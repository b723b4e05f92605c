# SPDX-License-Identifier: Apache-2.0
"""The same dialogues with Debian's Postfix and with Ostler: every reply and every line of the smtpd log must be the same.

Where Ostler differs on purpose the step says so: `ours(step, reply)`.
"""

import difflib
import re
import socket

import pytest
from instance import Dialogue, Instance, wait_for
from postfix import Postfix, available

pytestmark = pytest.mark.skipif(not available(), reason="needs root and Debian's postfix")

BASE = """
myhostname = mail.example.org
mydomain = example.org
mail_name = Mailer
mydestination = $myhostname, localhost
mynetworks = 127.0.0.9/32
virtual_mailbox_domains = virt.example
virtual_mailbox_maps = inline:{ {a@virt.example=a} {b@virt.example=b} }
virtual_alias_domains = alias.example
virtual_alias_maps = inline:{ {x@alias.example=a@virt.example} }
relay_domains = relay.example
local_recipient_maps = inline:{root=x}
smtpd_forbid_bare_newline = normalize
smtpd_forbid_unauth_pipelining = yes
smtpd_discard_ehlo_keywords = silent-discard, chunking, smtputf8, etrn
smtpd_client_connection_count_limit = 0
virtual_mailbox_base = /nonexistent
virtual_uid_maps = static:5000
virtual_gid_maps = static:5000
defer_transports = virtual, smtp, relay, local
"""


class Ours:
    """A step whose reply differs from Postfix's on purpose."""

    def __init__(self, step, reply):
        self.step, self.reply = step, reply


START = ["EHLO client.example", "MAIL FROM:<a@b.example>"]
TO = [*START, "RCPT TO:<b@virt.example>"]
DATA = [*TO, "DATA"]


def crlf(text):
    return text.replace("\n", "\r\n").encode("latin-1")


DIALOGUES = {
    "nothing": [],
    "quit": ["QUIT"],
    "whole message": [*DATA, crlf("Subject: x\n\nhello\n..dot\n.\n"), "QUIT"],
    "two messages": [*DATA, crlf("Subject: x\n\nhello\n.\n"), *START[1:], "RCPT TO:<a@virt.example>", "DATA", crlf("\nx\n.\n"), "QUIT"],
    "message without quit": [*DATA, crlf("Subject: x\n\nhello\n.\n")],
    "empty message": [*DATA, crlf(".\n"), "QUIT"],
    "helo message": ["HELO x", "MAIL FROM:<>", "RCPT TO:<b@virt.example>", "DATA", crlf("Subject: y\n\n.\n"), "QUIT"],
    "no hello": ["MAIL FROM:<a@b>", "RCPT TO:<a@virt.example>", "QUIT"],
    "out of order": ["DATA", "RCPT TO:<a@b>", "HELO", "EHLO", "EHLO a b", "HELO x", "HELO a@b"],
    "unknown": ["FOO", "FOO BAR", "HELP", ""],
    "noop rset": ["NOOP", "NOOP x", "RSET x", "RSET", "rset"],
    "vrfy": ["VRFY", "VRFY a@virt.example", "VRFY <a@virt.example>",
             "VRFY zz@virt.example", "VRFY root"],
    "quit with words": ["EHLO x", "QUIT x"],
    "mail syntax": ["EHLO x", "MAIL", "MAIL FROM", "MAIL FROM:", "MAIL FROM: ", "MAIL TO:<x@y>", "MAIL FROM:a b"],
    "mail addresses": ["EHLO x", "MAIL FROM:<a b@c>", "MAIL FROM:<a@b", "MAIL FROM:<a@b>x", "MAIL FROM:<a@b..c>", "MAIL FROM:<a@-b.c>"],
    "mail options": ["EHLO x", "MAIL FROM:<a@b> FOO", "MAIL FROM:<a@b> FOO=1", "MAIL FROM:<a@b> SIZE=x", "MAIL FROM:<a@b> SIZE=",
                     "MAIL FROM:<a@b> SIZE=-1", "MAIL FROM:<a@b> BODY=FOO"],
    "mail dsn": ["EHLO x", "MAIL FROM:<a@b> RET=X", "MAIL FROM:<a@b> ENVID=+ZZ", "MAIL FROM:<a@b> ENVID=",
                 "MAIL FROM:<a@b> RET=FULL ENVID=a+2Bb BODY=8BITMIME SIZE=100", "RSET", "MAIL FROM:<a@b> RET=hdrs"],
    "size": ["EHLO x", "MAIL FROM:<a@b> SIZE=99999999", "MAIL FROM:<a@b> SIZE=99999999999999999999", "MAIL FROM:<a@b> SIZE=1000"],
    "spaces": ["EHLO x", "MAIL FROM: <a@b>", "MAIL FROM:<x@y>", "RSET", "mail  from:<a@b>", "rcpt  to:<a@virt.example>"],
    "rcpt syntax": [*START, "RCPT", "RCPT TO", "RCPT TO:", "RCPT TO:<>", "RCPT FROM:<a@virt.example>"],
    "rcpt unknown": [*START, "RCPT TO:<zz@virt.example>", "RCPT TO:<q@alias.example>", "RCPT TO:<nobody@localhost>",
                     "RCPT TO:<nobody@mail.example.org>"],
    "rcpt relay": [*START, "RCPT TO:<x@other.example>", "RCPT TO:<x@relay.example>", "RCPT TO:<x@sub.relay.example>"],
    "rcpt known": [*START, "RCPT TO:<x@alias.example>", "RCPT TO:<root@localhost>", "RCPT TO:<root>", "RCPT TO:<postmaster>",
                   "RCPT TO:<a@virt.example.>", "RCPT TO:a@virt.example", "RCPT TO:<A@VIRT.example>"],
    "rcpt routes": [*START, "RCPT TO:<@x,@y:b@virt.example>", "RCPT TO:<u%r@virt.example>", "RCPT TO:<u@r@virt.example>",
                    "RCPT TO:<r!u@localhost>", 'RCPT TO:<"a b"@virt.example>', 'RCPT TO:<""@virt.example>'],
    "rcpt literals": [*START, "RCPT TO:<a@[]>", "RCPT TO:<a@[127.0.0.1]>", "RCPT TO:<a@[1.2.3.4]>"],
    "rcpt bad": [*START, "RCPT TO:<a@b..c>", "RCPT TO:<-oQ@virt.example>", "RCPT TO:<a@-b.c>"],
    "rcpt dsn": [*START, "RCPT TO:<a@virt.example> NOTIFY=NEVER", "RCPT TO:<a@virt.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb",
                 "RCPT TO:<a@virt.example> FOO", "RCPT TO:<a@virt.example> ORCPT=foo"],
    "data": [*START, "DATA", "RCPT TO:<b@virt.example>", "DATA x", "EHLO y", "DATA"],
    "helo resets": [*TO, "HELO x", "RCPT TO:<b@virt.example>"],
    "http": ["GET / HTTP/1.0"],
    "connect": ["CONNECT x:25 HTTP/1.0"],
    "header": ["From: x"],
    "bad utf-8": [b"NOOP \xff\r\n", "NOOP"],
    "early data": [b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<b@virt.example>\r\nDATA\r\n"],
    "helo pipelined": [b"HELO x\r\nMAIL FROM:<a@b>\r\n"],
    "long line": [b"A" * 3000 + b"\r\n", "NOOP"],
    "bare lf command": [b"EHLO x\n", b"MAIL FROM:<a@b>\n", "QUIT"],
    "too many errors": ["FOO"] * 20,
    "hops": [*DATA, b"Received: x\r\n" * 50 + b"\r\n.\r\n", "QUIT"],
    "lost in data": [*DATA, crlf("Subject: x\n")],
}

STRICT = """
smtpd_helo_required = yes
strict_rfc821_envelopes = yes
disable_vrfy_command = yes
smtpd_recipient_limit = 2
smtpd_recipient_overshoot_limit = 1
message_size_limit = 2000
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
"""
STRICT_DIALOGUES = {
    "helo first": ["MAIL FROM:<a@b>", "HELO x", "MAIL FROM:<a@b>"],
    "strict": ["HELO x", "MAIL FROM:a@b", "MAIL FROM: <a@b>", "MAIL FROM:<a@b>"],
    "vrfy off": ["VRFY a", "EHLO x"],
    "too many rcpts": [*TO, "RCPT TO:<a@virt.example>", "RCPT TO:<a@virt.example>", "RCPT TO:<a@virt.example>", "RCPT TO:<a@virt.example>"],
    "too big": [*DATA, b"x" * 2001 + b"\r\n.\r\n", "QUIT"],
    "one too many": [*DATA, b"x" * 1999 + b"\r\n.\r\n", "QUIT"],
}

CHECKS = """
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
smtpd_restriction_classes = strict_ones
strict_ones = reject_non_fqdn_sender, check_recipient_access inline:{ {a@virt.example = reject class says no} }
smtpd_client_restrictions = check_client_access inline:{ {127.0.0.77=reject} }
smtpd_helo_restrictions = reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname,
  check_helo_access inline:{ {bad.example = reject bad helo} {deferred.example=defer_if_permit} {hold.example=hold} }
smtpd_sender_restrictions = check_sender_access inline:{ {no@sender.example=reject} {later@sender.example = defer not now}
  {code@sender.example = 550 5.7.9 no such luck} {text@sender.example = 450 slow down} {class@sender.example=strict_ones}
  {ok@sender.example=ok} {dunno@sender.example=dunno} {warn@sender.example = warn watch it} {sub.example = reject domain}
  {if@sender.example = defer_if_reject because} {info@sender.example = info hm} {disc@sender.example = discard quiet}
  {class2@sender.example = reject_non_fqdn_sender, reject} {421@sender.example = 421 4.3.2 go away} },
  warn_if_reject reject_non_fqdn_sender
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_recipient_restrictions = reject_non_fqdn_recipient, check_recipient_access inline:{ {root@localhost = reject go away}
  {mail.example.org = 554 5.7.1 whole domain} }
smtpd_data_restrictions = check_sender_access inline:{ {data@sender.example = reject at data} }, reject_multi_recipient_bounce
smtpd_end_of_data_restrictions = check_sender_access inline:{ {eod@sender.example = reject at the end} }
"""


def sender(who, *rest):
    return ["EHLO good.example.com", f"MAIL FROM:<{who}@sender.example>", "RCPT TO:<b@virt.example>", *rest]


CHECK_DIALOGUES = {
    **{f"sender {who}": sender(who) for who in ("no", "later", "code", "text", "class", "ok", "dunno", "warn", "if", "info", "class2")},
    "sender 421": sender("421"),
    "sender subdomain": ["EHLO good.example.com", "MAIL FROM:<x@a.sub.example>", "RCPT TO:<b@virt.example>"],
    "class recipient": [*sender("class"), "RCPT TO:<a@virt.example>"],
    "class unqualified": ["EHLO good.example.com", "MAIL FROM:<x@y>", "RCPT TO:<b@virt.example>"],
    "defer_if_reject": ["EHLO good.example.com", "MAIL FROM:<if@sender.example>", "RCPT TO:<x@other.example>"],
    "helo names": ["EHLO bad.example", "MAIL FROM:<a@b.example>", "RCPT TO:<b@virt.example>", "RSET", "HELO x", "MAIL FROM:<a@b.example>",
                   "RCPT TO:<b@virt.example>", "RSET", "HELO a..b", "MAIL FROM:<a@b.example>", "RCPT TO:<b@virt.example>"],
    "helo literal": ["EHLO [127.0.0.1]", "MAIL FROM:<a@b.example>", "RCPT TO:<b@virt.example>", "RSET", "EHLO [1.2.3]",
                     "MAIL FROM:<a@b.example>", "RCPT TO:<b@virt.example>"],
    "defer if permit": ["EHLO deferred.example", "MAIL FROM:<a@b.example>", "RCPT TO:<b@virt.example>", "RCPT TO:<x@other.example>"],
    "hold": ["EHLO hold.example", "MAIL FROM:<a@b.example>", "RCPT TO:<b@virt.example>"],
    "recipients": ["EHLO good.example.com", "MAIL FROM:<a@b.example>", "RCPT TO:<root@localhost>", "RCPT TO:<x>", "RCPT TO:<x@y>",
                   "RCPT TO:<u@mail.example.org>", "RCPT TO:<x@other.example>", "RCPT TO:<zz@virt.example>"],
    "at data": [*sender("data"), "DATA", "RCPT TO:<a@virt.example>", "DATA"],
    "at the end": [*sender("eod"), "DATA", crlf("\nx\n.\n")],
    "multi bounce": ["EHLO good.example.com", "MAIL FROM:<>", "RCPT TO:<a@virt.example>", "RCPT TO:<b@virt.example>", "DATA"],
    "discard": [*sender("disc"), "DATA", crlf("\nx\n.\n"), "QUIT"],
    "vrfy": ["EHLO x", "VRFY b@virt.example"],
}

EARLY = CHECKS + "smtpd_delay_reject = no\n"
EARLY_DIALOGUES = {
    "helo": ["EHLO bad.example", "EHLO x", "HELO a..b", "EHLO good.example.com", "MAIL FROM:<a@b.example>"],
    "sender": ["EHLO good.example.com", "MAIL FROM:<no@sender.example>", "RCPT TO:<b@virt.example>", "MAIL FROM:<ok@sender.example>",
               "RCPT TO:<b@virt.example>", "RCPT TO:<x@other.example>"],
}
CLOSED = "smtpd_client_restrictions = reject\nsmtpd_delay_reject = no\n"
CLOSED_DIALOGUES = {"closed": ["EHLO x", "MAIL FROM:<a@b>", "NOOP", "QUIT"]}


def utf8(text):
    return text.encode() + b"\r\n"


UTF8 = """
smtpd_discard_ehlo_keywords = silent-discard, chunking, etrn
relay_domains = relay.example, bücher.example
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
"""
# Without SMTPUTF8 our replies are ASCII (RFC 6531 3.7.4.2); the log is as Postfix's.
NOBODY = "550 5.1.1 <??@virt.example>: Recipient address rejected: User unknown in virtual mailbox table"
UTF8_DIALOGUES = {
    "not asked for": ["EHLO x", utf8("MAIL FROM:<a@bücher.example>"), utf8("MAIL FROM:<a@bücher.example> SMTPUTF8X"),
                      utf8("MAIL FROM:<a@bücher.example> SMTPUTF8=1"), "MAIL FROM:<a@b.example> SMTPUTF8=1", utf8("MAIL FROM:<ü@b.example>"),
                      Ours(utf8("RCPT TO:<ä@virt.example>"), NOBODY), utf8("RCPT TO:<x@bücher.example>"), utf8("RCPT TO:<ü@relay.example>"), "RSET"],
    "asked for": ["EHLO x", utf8("MAIL FROM:<ü@bücher.example> BODY=8BITMIME smtputf8"), "RCPT TO:<b@virt.example>", utf8("RCPT TO:<ä@bücher.example>"),
                  "RCPT TO:<x@xn--bcher-kva.example>", utf8("RCPT TO:<ü@virt.example>"), "DATA", crlf("Subject: x\n\nhi\n.\n"), "QUIT"],
    "domains": ["EHLO x", utf8("MAIL FROM:<ü@-ü.example> SMTPUTF8"), utf8("MAIL FROM:<ü@a..ü> SMTPUTF8"), "MAIL FROM:<> SMTPUTF8",
                *[utf8(f"RCPT TO:<x@{d}.relay.example>") for d in ("xn--a", "ü", "☃", "ß", "A_Ü", "ü" * 63, "ü" * 30)]],
    "helo": [utf8("HELO bücher.example"), "MAIL FROM:<a@b.example> SMTPUTF8", utf8("RCPT TO:<ü@virt.example>"), utf8("EHLO bücher.example")],
    "vrfy": ["EHLO x", "VRFY", "VRFY SMTPUTF8", "VRFY SMTPUTF8 SMTPUTF8", Ours(utf8("VRFY ü@virt.example"), NOBODY), utf8("VRFY x@bücher.example"),
             utf8("VRFY x@bücher.example SMTPUTF8"), utf8("VRFY <ü@virt.example> smtputf8"), "VRFY <zz@virt.example> SMTPUTF8", "QUIT"],
    "etrn": ["EHLO x", utf8("ETRN bücher.example"), utf8("ETRN @bücher.example")],
}
NO_UTF8 = "smtputf8_enable = no\n"
NO_UTF8_DIALOGUES = {
    "off": ["EHLO x", "MAIL FROM:<a@b.example> SMTPUTF8", "VRFY", "VRFY SMTPUTF8", "VRFY <b@virt.example> SMTPUTF8", "QUIT"],
}
HIDDEN = "smtpd_discard_ehlo_keywords = xforward, chunking, xclient, dsn, 8BITMIME, starttls, foo, auth, etrn, vrfy, size, verp, pipelining\n"
HIDDEN_DIALOGUES = {
    "told": ["HELO x", "EHLO x", "EHLO y", "MAIL FROM:<a@b.example> RET=FULL", "MAIL FROM:<a@b.example> SIZE=99999999999",
             "MAIL FROM:<a@b.example> SIZE=1 BODY=8BITMIME", "RCPT TO:<b@virt.example> NOTIFY=NEVER", "RCPT TO:<b@virt.example> ORCPT=rfc822;x", "QUIT"],
}
BY_ADDRESS = "smtpd_discard_ehlo_keyword_address_maps = inline:{ {127.0.0.1 = etrn, chunking} }\n"
BY_ADDRESS_DIALOGUES = {"table": ["EHLO x", "MAIL FROM:<a@b.example> RET=FULL SMTPUTF8", "QUIT"]}
UNSURE = "smtpd_discard_ehlo_keyword_address_maps = fail:x\n"
UNSURE_DIALOGUES = {"table fails": ["HELO x", "MAIL FROM:<a@b.example> SMTPUTF8", "RSET", "EHLO y"]}

SUITES = {
    "plain": ("", DIALOGUES),
    "strict": (STRICT, STRICT_DIALOGUES),
    "checks": (CHECKS, CHECK_DIALOGUES),
    "early": (EARLY, EARLY_DIALOGUES),
    "closed": (CLOSED, CLOSED_DIALOGUES),
    "utf8": (UTF8, UTF8_DIALOGUES),
    "no utf8": (NO_UTF8, NO_UTF8_DIALOGUES),
    "hidden": (HIDDEN, HIDDEN_DIALOGUES),
    "by address": (BY_ADDRESS, BY_ADDRESS_DIALOGUES),
    "unsure": (UNSURE, UNSURE_DIALOGUES),
}


def same(text):
    """What is the same for both, whatever the message is called."""
    text = re.sub(r"queued as \w+", "queued as ID", text)
    return text


def play(port, steps):
    """The replies of one dialogue."""
    got = []
    with Dialogue(port) as d:
        got.append(same(d.reply()))
        for step in steps:
            step = step.step if isinstance(step, Ours) else step
            try:
                d.say(step if isinstance(step, bytes) else step + "\r\n")
                d.sock.settimeout(1 if step == crlf("Subject: x\n") else 20)
                got.append(same(d.reply()))
            except socket.timeout:
                got.append("(nothing)")
            except OSError:
                got.append("")
            if got[-1] == "":
                break
    return got


# What Postfix says in the log of another process, or does not say at all.
ELSEWHERE = ("message-id=", "statistics:", "hopcount exceeded", "overriding earlier entry")


def log_lines(text):
    """The smtpd lines of a log, without what differs from run to run."""
    lines = []
    for line in text.splitlines():
        m = re.search(r"(?:postfix|ostler)/smtpd\[\d+\]: (.*)", line)
        if not m or any(word in m[1] for word in ELSEWHERE):
            continue
        lines.append(re.sub(r"^((?:warning: )?)[0-9A-F]{8,}: ", r"\1ID: ", m[1]))
    return lines


class Pair:
    """Both, with the same configuration."""

    def __init__(self, main_cf):
        self.postfix = Postfix(BASE + main_cf)
        self.ostler = Instance(BASE + "ostler_announce_limits = no\n" + main_cf, rootless=True)

    def __enter__(self):
        self.postfix.__enter__()
        self.ostler.start()
        return self

    def __exit__(self, *exc):
        self.postfix.__exit__(*exc)
        self.ostler.remove()

    def both(self, steps):
        out = []
        for system in (self.postfix, self.ostler):
            before = len(system.log())
            replies = play(system.port, steps)

            def ended(system=system, before=before):
                return "disconnect from" in system.log()[before:]
            wait_for(ended)
            out.append((replies, log_lines(system.log()[before:])))
        return out


@pytest.fixture(scope="module")
def pairs():
    made = {}
    yield lambda name: made.setdefault(name, None) or made.__setitem__(name, Pair(SUITES[name][0]).__enter__()) or made[name]
    for pair in made.values():
        pair.__exit__(None, None, None)


@pytest.mark.parametrize("suite,name", [(s, n) for s, (_, dialogues) in SUITES.items() for n in dialogues])
def test_same_as_postfix(pairs, suite, name):
    steps = SUITES[suite][1][name]
    (theirs, their_log), (ours, our_log) = pairs(suite).both(steps)
    for i, step in enumerate(steps):
        if isinstance(step, Ours):
            theirs[i + 1] = step.reply
    assert "\n".join(difflib.unified_diff(theirs + their_log, ours + our_log, "Postfix", "Ostler", lineterm="")) == ""
