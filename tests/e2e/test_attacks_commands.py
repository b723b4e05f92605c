# SPDX-License-Identifier: Apache-2.0
"""Clients that speak something else, and local users with hostile arguments."""

import os

import pytest
from instance import Instance
from test_attacks_smtp import QUICK, Target

MORE = """
relay_domains = relay.test
smtpd_junk_command_limit = 3
smtpd_hard_error_limit = 4
smtpd_soft_error_limit = 100
"""


@pytest.fixture(scope="module")
def target():
    made = []

    def make(*args, **kw):
        made.append(Instance(*args, **kw))
        return made[-1]
    t = Target(make, QUICK + MORE)
    yield t
    t.still_serves()
    t.clean_log()
    t.close()
    for i in made:
        i.remove()


CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(1, 194)) + b"\r\n"
SMTP_INSIDE = b"EHLO x\r\nMAIL FROM:<evil@b.test>\r\nRCPT TO:<c@far.test>\r\nDATA\r\nSubject: inside\r\n\r\n.\r\nQUIT\r\n"


TOO_MANY = "421 4.7.0 mx.example.test Error: too many errors"


def until_end(d):
    """All replies up to the end of the connection."""
    replies = []
    while not replies or replies[-1]:
        replies.append(d.reply())
    return replies[:-1]


def last_of(d, word):
    """What a client hears last that says one thing again and again; it is not allowed to say it often."""
    for _ in range(12):
        answer = d.ask(word)
        if answer.startswith("421"):
            assert d.at_end()
            break
    return answer


@pytest.mark.parametrize("first", [CLIENT_HELLO, b"GET / HTTP/1.0\r\n\r\n", b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
                                   b"CONNECT x:25 HTTP/1.0\r\n\r\n", b"\x03\x00\x00\x13\x0e\xe0\0\0\0\0\0\1\0\x08\0\3\0\0\0\r\n"],
                         ids=["tls", "get", "post", "connect", "rdp"])
def test_other_protocols_run_no_command(target, first):
    before = len(target.whole())
    with target.talk() as d:
        d.say(first + SMTP_INSIDE)
        replies = until_end(d)
    assert replies[0].startswith(("221 2.7.0 ", "500 5.5.2 "))
    assert not any(r.startswith(("250", "354")) for r in replies)
    assert len(target.whole()) == before


@pytest.mark.parametrize("words", ["#../../x", "@../../x", "../../etc/passwd", "$(id)", "x..y", "-x"])
def test_etrn_takes_domains_alone(target, words):
    with target.talk() as d:
        d.ask("EHLO x")
        assert d.ask(f"ETRN {words}").startswith(("501 ", "459 "))


def test_many_etrn_are_junk(target):
    with target.talk() as d:
        d.ask("EHLO x")
        assert last_of(d, "ETRN relay.test") == TOO_MANY


@pytest.mark.parametrize("word", ["NOOP", "VRFY c@far.test", "HELP", "RSET", "NOOP x"])
def test_junk_ends_a_session(target, word):
    with target.talk() as d:
        d.ask("EHLO x")
        assert last_of(d, word) == TOO_MANY


def test_encoded_line_breaks_stay_encoded(target):
    before = len(target.whole())
    with target.begin() as d:
        d.say(b"Subject: =?utf-8?Q?x=0D=0ABcc:_v@far.test?=\r\nFrom: =?utf-8?B?DQpCY2M6IHY=?= <a@b.test>\r\n\r\n.\r\n")
        assert d.reply().startswith("250 ")
    arrived = target.whole()[before:]
    assert [m.recipients for m in arrived] == [["c@far.test"]]
    assert "\r\nSubject: =?utf-8?Q?x=0D=0ABcc:_v@far.test?=\r\n" in arrived[0].text
    assert "\r\nBcc:" not in arrived[0].text


@pytest.mark.parametrize("argv", [
    ("postsuper", "-d", "../x"), ("postsuper", "-d", "A"), ("postsuper", "-h", "/etc/passwd"), ("postsuper", "-r", "AAAAAAAAAA/../x"),
    ("postqueue", "-i", "../../etc/passwd"), ("postqueue", "-i", "A"), ("postcat", "-q", "../../etc/passwd"), ("postcat", "-q", "x"),
], ids=" ".join)
def test_queue_ids_are_no_paths(target, argv):
    got = target.instance.run(*argv, check=False)
    assert "root:" not in got.stdout + got.stderr
    assert os.path.exists("/etc/passwd")
    if argv[0] != "postsuper":  # of which Postfix's, too, only warns
        assert got.returncode != 0


@pytest.mark.parametrize("argv", [["-f", "a@b.test\nBcc: v@far.test"], ["-F", "x\r\nBcc: v@far.test"], ["-f", "-oQ/tmp@b.test"],
                                  ["-F", "\x1b[2J" + "x" * 20000]], ids=["sender", "name", "dash", "long name"])
def test_arguments_of_sendmail_add_no_header(target, argv):
    before = len(target.whole())
    got = target.instance.sendmail(*argv, "--", "c@far.test", message="Subject: x\n\ntext\n", check=False)
    assert got.returncode == 0 or 64 <= got.returncode <= 78
    for m in target.whole()[before:]:
        assert m.recipients == ["c@far.test"]
        assert "\r\nBcc:" not in m.text
    target.clean_log()
