# SPDX-License-Identifier: Apache-2.0
"""anvil's limits, counted over all workers, and limits of errors: the same dialogues with Debian's Postfix and with Ostler."""

import difflib
import re

import pytest
from instance import Dialogue, wait_for
from postfix import available
from test_smtp_dialogues import Pair, crlf

pytestmark = pytest.mark.skipif(not available(), reason="needs root and Debian's postfix")

LIMITS = """
anvil_rate_time_unit = 3600s
smtpd_client_connection_rate_limit = 7
smtpd_client_message_rate_limit = 3
smtpd_client_recipient_rate_limit = 4
smtpd_client_event_limit_exceptions = 127.0.0.99
smtpd_error_sleep_time = 0
smtpd_peername_lookup = no
"""
MAIL = "MAIL FROM:<a@b.example>"
SESSIONS = {  # each client's sessions, one behind the other
    "127.0.0.21": [["EHLO x", MAIL, "RSET", MAIL, "RSET", "QUIT"], ["EHLO x", MAIL, "RSET", MAIL, "RSET", MAIL, "MAIL FOO", "QUIT"]],
    "127.0.0.22": [["EHLO x", MAIL, *["RCPT TO:<b@virt.example>"] * 5, "RCPT TO:<zz@virt.example>", "RCPT FOO", "QUIT"],
                   ["EHLO x", MAIL, "RCPT TO:<b@virt.example>", "RCPT TO:<>", "QUIT"]],
    "127.0.0.23": [["EHLO x", "MAIL FROM:<a b@c>", "MAIL FROM:<a@b..c>", "MAIL", MAIL, "MAIL FROM:<a b@c>", MAIL, "QUIT"]],
    "127.0.0.24": [["QUIT"]] * 9,
    "127.0.0.99": [["EHLO x", *[MAIL, "RSET"] * 5, "QUIT"], *[["QUIT"]] * 8],
}
ABOUT = re.compile(r"(?:postfix|ostler)/smtpd\[\d+\]: (.*limit exceeded: .*)")


def talk(port, address, steps):
    with Dialogue(port, source=address) as d:
        got = [d.reply()]
        for step in steps if got[0].startswith("220") else []:
            got.append(d.ask(step))
        return got


def test_rates_are_postfixs():
    with Pair(LIMITS) as pair:
        seen = []
        for system in (pair.postfix, pair.ostler):
            replies = {address: [talk(system.port, address, steps) for steps in sessions] for address, sessions in SESSIONS.items()}
            count = sum(map(len, SESSIONS.values()))
            wait_for(lambda system=system: len(re.findall("disconnect from .*127.0.0.(?:2|9)", system.log())) >= count)
            told = [re.sub(r"for service \S+", "for service NAME", line) for line in ABOUT.findall(system.log())]
            seen.append((replies, told))
        (theirs, their_log), (ours, our_log) = seen
        assert ours == theirs
        assert our_log == their_log
        assert any("450 4.7.1 Error: too much mail from 127.0.0.21" in s for s in ours["127.0.0.21"])
        assert ours["127.0.0.24"][8] == ["421 4.7.0 mail.example.org Error: too many connections from 127.0.0.24"]
        assert not any(r.startswith(("4", "5")) for s in ours["127.0.0.99"] for r in s)


FLOODS = """
smtpd_junk_command_limit = 2
smtpd_hard_error_limit = 4
smtpd_soft_error_limit = 100
smtpd_recipient_limit = 1
smtpd_recipient_overshoot_limit = 1
"""
TO = [MAIL, "RCPT TO:<b@virt.example>"]
FLOOD_DIALOGUES = {
    "noop": ["EHLO x", *["NOOP"] * 9],
    "rset": ["HELO x", *["RSET"] * 9],
    "vrfy": ["EHLO x", *["VRFY b@virt.example"] * 9],
    "hello": ["EHLO x"] * 9,
    "mail and rset": ["EHLO x", *[MAIL, "RSET"] * 6],
    "errors and junk": ["EHLO x", "FOO", "NOOP", "FOO", "NOOP", "NOOP", "FOO", "NOOP", "NOOP"],
    "a message pardons junk": ["EHLO x", "NOOP", *TO, "DATA", crlf("\nx\n.\n"), "NOOP", "NOOP", "NOOP", "QUIT"],
    "a message pardons errors": ["EHLO x", "FOO", "FOO", "FOO", *TO, "DATA", crlf("\nx\n.\n"), "FOO", "NOOP"],
    "too many recipients": ["EHLO x", MAIL, *["RCPT TO:<b@virt.example>"] * 9],
    "unknown recipients": ["EHLO x", MAIL, *["RCPT TO:<zz@virt.example>"] * 9],
    "long lines": ["EHLO x", *[b"A" * 3000 + b"\r\n"] * 5],
    "quit at the limit": ["EHLO x", "FOO", "FOO", "FOO", "QUIT"],
}


def test_floods_end_as_with_postfix():
    with Pair(FLOODS) as pair:
        differences = []
        for name, steps in FLOOD_DIALOGUES.items():
            (theirs, their_log), (ours, our_log) = pair.both(steps)
            differences += difflib.unified_diff(theirs + their_log, ours + our_log, f"Postfix: {name}", "Ostler", lineterm="")
        print("\n".join(differences))
        assert differences == []
