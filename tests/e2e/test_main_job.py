# SPDX-License-Identifier: Apache-2.0
"""Mail comes in, is queued, and is delivered by modules."""

import os
import pwd
import smtplib

import pytest
from instance import wait_for

MODES = ["rootless", "root"] if os.geteuid() == 0 else ["rootless"]
TEXT = "From: <a@example.test>\r\nTo: <b@example.test>\r\nSubject: hello\r\n\r\nbody line\r\n.dot line\r\n\r\nlast\r\n"


@pytest.fixture(params=MODES)
def rootless(request):
    return request.param == "rootless"


def virtual(make, rootless, extra="", **kw):
    """An instance with virtual mailboxes that belong to its own user."""
    i = make(rootless=rootless, **kw)
    ids = pwd.getpwnam(i.user)
    uid, gid = (ids.pw_uid, ids.pw_gid) if rootless else (5000, 5000)
    os.chown(i.vmail, uid, gid)
    table = i.postmap("vmailbox", "joe@virtual.test joe/\nann@virtual.test box/ann/\nmbox@virtual.test flat\n")
    i.write("main.cf", i.path("main.cf").read_text() + f"""
virtual_mailbox_domains = virtual.test
virtual_mailbox_maps = {table}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
{extra}
""")
    return i.start()


def maildir(i, *parts):
    new = i.vmail.joinpath(*parts, "new")
    return sorted(new.iterdir()) if new.is_dir() else []


def test_relay(make, sink, rootless):
    i = make(f"relayhost = [127.0.0.1]:{sink.port}\n", rootless=rootless).start()
    i.send("sender@example.test", ["one@far.test", "two@far.test"], TEXT)
    wait_for(lambda: sink.to("one@far.test") and sink.to("two@far.test"))
    got = sink.to("one@far.test")[0]
    assert got.sender == "sender@example.test"
    assert got.text.endswith("\r\n\r\nbody line\r\n.dot line\r\n\r\nlast\r\n")
    assert got.text.startswith("Received: from ")
    i.wait_empty()
    i.wait_log("status=sent (250 2.0.0 Ok: queued)")
    i.wait_log(": removed")


def test_virtual_maildir(make, rootless):
    i = virtual(make, rootless)
    i.send("sender@example.test", ["joe@virtual.test", "ann@virtual.test"], TEXT)
    joe = wait_for(lambda: maildir(i, "joe"))
    ann = wait_for(lambda: maildir(i, "box", "ann"))
    text = joe[0].read_text()
    assert text.startswith("Return-Path: <sender@example.test>\n")
    assert "Delivered-To: joe@virtual.test\n" in text
    assert text.endswith("\n\nbody line\n.dot line\n\nlast\n")
    assert len(joe) == len(ann) == 1
    assert os.listdir(i.vmail / "joe/tmp") == []
    if not rootless:
        assert joe[0].stat().st_uid == 5000
    i.wait_empty()
    i.wait_log("status=sent (delivered to maildir)")


def test_unknown_recipient_is_refused_at_rcpt(make, rootless):
    i = virtual(make, rootless)
    with i.smtp() as s:
        s.ehlo("client.test")
        s.mail("a@example.test")
        code, text = s.rcpt("nobody@virtual.test")
        assert code == 550 and text.startswith(b"5.1.1 <nobody@virtual.test>: Recipient address rejected: User unknown")


def test_no_relaying_for_strangers(make, sink, rootless):
    i = make(f"relayhost = [127.0.0.1]:{sink.port}\nmynetworks = 192.0.2.0/24\n", rootless=rootless).start()
    with i.smtp() as s:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            s.sendmail("a@example.test", ["b@far.test"], TEXT)
    assert refused.value.recipients["b@far.test"] == (454, b"4.7.1 <b@far.test>: Relay access denied")


def test_sendmail_submits(make, sink, rootless):
    i = make(f"relayhost = [127.0.0.1]:{sink.port}\n", rootless=rootless).start()
    i.sendmail("-f", "me@example.test", "x@far.test", message="Subject: by hand\n\nhello\n")
    got = wait_for(lambda: sink.to("x@far.test"))[0]
    assert got.sender == "me@example.test"
    assert "\r\nMessage-Id: <" in got.text and "\r\nDate: " in got.text and "\r\nFrom: " in got.text


def test_sendmail_while_the_system_is_down(make, sink, rootless):
    i = make(f"relayhost = [127.0.0.1]:{sink.port}\n", rootless=rootless).start()
    i.stop()
    i.sendmail("-i", "-t", message="From: me@example.test\nTo: later@far.test\nSubject: wait\n\nhello\n.\nmore\n")
    i.start()
    got = wait_for(lambda: sink.to("later@far.test"), 70)[0]
    assert got.text.endswith("\r\n\r\nhello\r\n.\r\nmore\r\n")
    i.wait_empty()
    assert len(sink.messages) == 1


def test_deferred_is_listed_and_flushed(make, sink, rootless):
    sink.replies["rcpt"] = "450 4.2.0 come back"
    i = make(f"relayhost = [127.0.0.1]:{sink.port}\n", rootless=rootless).start()
    i.send("a@example.test", "b@far.test", TEXT)
    i.wait_log("status=deferred (host 127.0.0.1[127.0.0.1] said: 450 4.2.0 come back (in reply to RCPT TO command))")
    [entry] = wait_for(i.queue_list)
    wait_for(lambda: i.queue_list()[0]["queue_name"] == "deferred")
    assert entry["sender"] == "a@example.test"
    listing = i.run("mailq").stdout
    assert entry["queue_id"] in listing and "come back" in listing and "b@far.test" in listing
    assert listing.splitlines()[-1].startswith("-- ") and listing.rstrip().endswith("in 1 Request.")
    sink.replies.clear()
    i.run("postqueue", "-f")
    wait_for(lambda: sink.to("b@far.test"))
    i.wait_empty()
    assert "Mail queue is empty" in i.run("mailq").stdout


def test_hold_release_delete(make, sink, rootless):
    sink.replies["rcpt"] = "450 4.2.0 come back"
    i = make(f"relayhost = [127.0.0.1]:{sink.port}\n", rootless=rootless).start()
    i.send("a@example.test", "b@far.test", TEXT)
    i.send("a@example.test", "c@far.test", TEXT)
    wait_for(lambda: [e["queue_name"] for e in i.queue_list()] == ["deferred"] * 2)
    ids = {e["recipients"][0]["address"]: e["queue_id"] for e in i.queue_list()}
    i.run("postsuper", "-h", ids["b@far.test"])
    i.run("postsuper", "-d", ids["c@far.test"])
    [entry] = wait_for(lambda: [e for e in i.queue_list() if e["queue_name"] == "hold"])
    assert entry["queue_id"] == ids["b@far.test"] and len(i.queue_list()) == 1
    shown = i.run("postcat", "-q", entry["queue_id"]).stdout
    assert "sender: a@example.test" in shown and "body line" in shown
    sink.replies.clear()
    i.run("postqueue", "-f")
    i.stop()
    i.start()
    assert [e["queue_name"] for e in i.queue_list()] == ["hold"]
    i.run("postsuper", "-H", entry["queue_id"])
    i.run("postqueue", "-f")
    wait_for(lambda: sink.to("b@far.test"))
    i.wait_empty()
    assert not sink.to("c@far.test")


def test_permanent_failure_makes_one_notice(make, sink, rootless):
    sink.replies["rcpt"] = lambda line: "550 5.1.1 no such user here" if "bad@" in line else None
    i = make(f"relayhost = [127.0.0.1]:{sink.port}\n", rootless=rootless).start()
    i.send("sender@away.test", ["bad@far.test", "good@far.test"], TEXT)
    wait_for(lambda: sink.to("good@far.test"))
    notice = wait_for(lambda: sink.to("sender@away.test"))[0]
    assert notice.sender == ""
    assert "Content-Type: multipart/report; report-type=delivery-status" in notice.text
    for line in ("Final-Recipient: rfc822; bad@far.test", "Action: failed", "Status: 5.1.1",
                 "Diagnostic-Code: smtp; 550 5.1.1 no such user here", "Subject: hello"):
        assert line in notice.text
    assert "good@far.test" not in notice.text
    i.wait_empty()
    assert len(sink.to("sender@away.test")) == 1


def test_restart_forgets_nothing(make, sink, rootless):
    sink.replies["connect"] = "421 4.3.2 not now"
    i = make(f"relayhost = [127.0.0.1]:{sink.port}\nminimal_backoff_time = 2s\n", rootless=rootless).start()
    for n in range(20):
        i.send("a@example.test", f"user{n}@far.test", TEXT)
    i.stop()
    i.start()
    assert len(i.queue_list()) == 20
    sink.replies.clear()
    i.run("postqueue", "-f")
    wait_for(lambda: len(sink.messages) == 20)
    i.wait_empty()
    assert {m.recipients[0] for m in sink.messages} == {f"user{n}@far.test" for n in range(20)}


def test_virtual_alias_expansion(make, sink, rootless):
    i = make(f"relayhost = [127.0.0.1]:{sink.port}\n", rootless=rootless)
    table = i.postmap("valias", "team@alias.test one@far.test, two@far.test\n@all.test one@far.test\n")
    i.write("main.cf", i.path("main.cf").read_text() + f"virtual_alias_domains = alias.test all.test\nvirtual_alias_maps = {table}\n")
    i.start()
    i.send("a@example.test", ["team@alias.test", "who@all.test", "one@far.test"], TEXT)
    wait_for(lambda: sink.to("one@far.test") and sink.to("two@far.test"))
    i.wait_empty()
    assert sorted(r for m in sink.messages for r in m.recipients).count("two@far.test") == 1


def test_error_and_discard_transports(make, sink, rootless):
    i = make(f"relayhost = [127.0.0.1]:{sink.port}\n", rootless=rootless)
    table = i.postmap("transport", "gone.test error:5.1.6 has moved away\nhole.test discard:\n")
    i.write("main.cf", i.path("main.cf").read_text() + f"transport_maps = {table}\n")
    i.start()
    i.sendmail("-f", "me@example.test", "x@gone.test", "y@hole.test", message="Subject: x\n\nx\n")
    notice = wait_for(lambda: sink.to("me@example.test"))[0]
    assert "Status: 5.1.6" in notice.text and "has moved away" in notice.text
    i.wait_empty()
    wait_for(lambda: "relay=none" in i.log() and "status=sent" in i.log())


def test_check_access(make, sink, rootless):
    i = make(f"relayhost = [127.0.0.1]:{sink.port}\n", rootless=rootless)
    table = i.postmap("deny", "bad@example.test REJECT\nworse.test 554 5.7.9 go away\nslow.test DEFER not today\n")
    i.write("main.cf", i.path("main.cf").read_text() + f"smtpd_recipient_restrictions = check_sender_access {table}\n")
    i.start()
    answers = {}
    for sender in ("bad@example.test", "x@worse.test", "x@slow.test", "fine@example.test"):
        with i.smtp() as s:
            s.ehlo("client.test")
            s.mail(sender)
            answers[sender] = s.rcpt("b@far.test")
    assert answers["bad@example.test"] == (554, b"5.7.1 <bad@example.test>: Sender address rejected: Access denied")
    assert answers["x@worse.test"] == (554, b"5.7.9 <x@worse.test>: Sender address rejected: go away")
    assert answers["x@slow.test"][0] == 450
    assert answers["fine@example.test"][0] == 250
