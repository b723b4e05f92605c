# SPDX-License-Identifier: Apache-2.0
"""A module that is wrong on purpose: it harms its own session or delivery, the log names it, and the rest goes on."""

import os
import pathlib
import shutil
import smtplib
import socket

import pytest
from instance import MASTER_CF, wait_for

BUILT = pathlib.Path(os.environ.get("OST_BUILDDIR", ".")) / "tests/modules/bad/.libs/bad.so"
pytestmark = pytest.mark.skipif(not BUILT.exists(), reason="tests/modules/bad is not built (make check builds it)")
TEXT = "From: <a@example.test>\r\nSubject: hello\r\n\r\nbody\r\n"
LOST = (smtplib.SMTPServerDisconnected, ConnectionError)


@pytest.fixture
def bad(make, tmp_path_factory):
    """Makes instances that know the bad module as table, check and transport."""

    def make_one(main_cf="", **kw):
        i = make(main_cf, master_cf=MASTER_CF + "bad       unix  -       -       n       -       -       bad\n", **kw)
        so = i.etc / "bad.so"  # like the folder, it belongs to whom modules may belong to
        shutil.copyfile(BUILT, so)
        so.chmod(0o644)
        lines = "".join(f"{kind} bad {so}\n" for kind in ("table", "check", "transport"))
        (i.etc / "modules.cf").write_text((i.etc / "modules.cf").read_text() + lines)
        i.give_to_user()
        return i.start()

    return make_one


def works(i):
    """A new connection is served."""
    with i.smtp() as s:
        assert s.ehlo("client.test")[0] == 250
        assert s.mail("good@example.test")[0] == 250


def dialogue(i, helo, *commands):
    """The replies to EHLO and what follows; None where the connection was lost."""
    replies = []
    with socket.create_connection(("127.0.0.1", i.port), timeout=30) as c:
        f = c.makefile("rwb")
        try:
            f.readline()
            for line in (f"EHLO {helo}", *commands):
                f.write(line.encode() + b"\r\n")
                f.flush()
                reply = [f.readline()]
                while reply[-1][3:4] == b"-":
                    reply.append(f.readline())
                if not reply[-1]:
                    raise ConnectionError
                replies.append(b"".join(reply))
        except ConnectionError:
            replies.append(None)
    return replies


@pytest.mark.parametrize("word,end", [
    ("crash", "killed by signal 11 in module bad, run"),
    ("abort", "killed by signal 6 in module bad, run"),
    ("overflow", "in module bad, run"),
    ("thread", "in module bad, run"),
    ("exit", "exit status 0 in module bad, run"),
])
def test_a_check_that_kills_its_process(bad, word, end):
    i = bad("smtpd_delay_reject = no\nsmtpd_helo_restrictions = bad_helo\n")
    works(i)
    assert dialogue(i, f"{word}.example.test")[-1] is None
    wait_for(lambda: end in i.log())
    works(i)


def test_a_table_that_kills_its_process(bad, sink):
    i = bad(f"relayhost = [127.0.0.1]:{sink.port}\nsmtpd_delay_reject = no\nsmtpd_sender_restrictions = check_sender_access bad:x\n")
    assert dialogue(i, "client.test", "MAIL FROM:<crash@example.test>")[-1] is None
    wait_for(lambda: "killed by signal 11 in module bad, lookup" in i.log())
    i.send("sender@example.test", ["one@far.test"], TEXT)
    wait_for(lambda: sink.to("one@far.test"))


@pytest.mark.parametrize("word", ["noreply", "badcode", "bigcode", "baddsn", "newline", "control", "rubbish", "failed"])
def test_a_verdict_that_makes_no_sense_is_a_plain_refusal(bad, word):
    i = bad("smtpd_delay_reject = no\nsmtpd_helo_restrictions = bad_helo\n")
    replies = dialogue(i, f"{word}.example.test", "NOOP")
    assert replies[0][:1] in b"45" and replies[0].count(b"\n") == 1, replies
    assert not any(c < 32 for c in replies[0].rstrip(b"\r\n")), replies
    assert replies[1].startswith(b"250 "), replies


@pytest.mark.parametrize("word", ["novalue", "rubbish", "minus", "tempfail", "badtable", "empty"])
def test_an_answer_that_makes_no_sense_is_try_again(bad, word):
    i = bad("smtpd_delay_reject = no\nsmtpd_sender_restrictions = check_sender_access bad:x\n")
    replies = dialogue(i, "client.test", f"MAIL FROM:<{word}@example.test>", "NOOP")
    assert replies[1].startswith(b"451 4.3.5 "), replies
    assert replies[2].startswith(b"250 "), replies


def test_a_value_full_of_control_characters_stays_one_reply(bad):
    i = bad("smtpd_delay_reject = no\nsmtpd_sender_restrictions = check_sender_access bad:x\n")
    replies = dialogue(i, "client.test", "MAIL FROM:<control@example.test>", "NOOP")
    assert not any(c < 32 for c in replies[1].rstrip(b"\r\n")), replies
    assert replies[2].startswith(b"250 "), replies


def test_a_transport_that_reports_nonsense(bad):
    i = bad("transport_maps = inline:{bad.test=bad:}\nrelay_domains = bad.test\n")
    expected = {
        "silent": "status=deferred", "foreign": "status=deferred", "status": "status=deferred", "nulls": "status=deferred",
        "control": "status=bounced", "bounce": "status=bounced", "defer": "status=deferred", "good": "status=sent",
    }
    for word in expected:
        i.send("sender@example.test", [f"{word}@bad.test"], TEXT)
    for word, status in expected.items():
        line = wait_for(lambda: [x for x in i.log().splitlines() if f"to=<{word}@bad.test>" in x])
        assert status in line[0], line
        assert len(line) == 1, line
    assert "\x1b" not in i.log() and "\nwarning: forged" not in i.log()


def test_a_transport_that_kills_its_process(bad, sink):
    i = bad(f"transport_maps = inline:{{bad.test=bad:}}\nrelay_domains = bad.test\nrelayhost = [127.0.0.1]:{sink.port}\n")
    i.send("sender@example.test", ["crash@bad.test"], TEXT)
    wait_for(lambda: "killed by signal 11 in module bad, deliver" in i.log(), seconds=30)
    i.send("sender@example.test", ["one@far.test"], TEXT)  # other services go on
    wait_for(lambda: sink.to("one@far.test"))
    assert "crash@bad.test" in i.run("postqueue", "-p").stdout  # nothing is lost


def test_a_table_that_fails_to_open_is_named_and_never_says_not_found(bad):
    i = bad("smtpd_delay_reject = no\nsmtpd_sender_restrictions = check_sender_access bad:open-fails\n")
    check = i.run("ostler", "check", check=False)
    assert "bad:open-fails: asked to fail" in check.stdout + check.stderr
    assert dialogue(i, "client.test", "MAIL FROM:<good@example.test>")[1].startswith(b"451 4.3.5 ")
