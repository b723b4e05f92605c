# SPDX-License-Identifier: Apache-2.0
"""Address verification, with Debian's Postfix and with Ostler: the same replies, and the receiving server sees probes and no mail."""

import time

import pytest
from instance import Dialogue, Instance, wait_for
from postfix import Postfix, available
from sink import Sink

MAIN = """
myhostname = mail.example.org
mydomain = example.org
myorigin = example.org
mydestination = localhost
mynetworks = 127.0.0.0/8
local_recipient_maps =
virtual_mailbox_domains = virt.example
virtual_mailbox_maps = inline:{ {a@virt.example=a} }
virtual_mailbox_base = /nonexistent
virtual_uid_maps = static:5000
virtual_gid_maps = static:5000
virtual_alias_maps = inline:{ {alias@mine.example=good@far.test} {badalias@mine.example=bad@far.test} }
virtual_alias_domains = mine.example
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
smtpd_reject_unlisted_recipient = no
smtpd_relay_restrictions = permit
address_verify_poll_delay = 1s
address_verify_map = btree:$data_directory/verify
smtp_tls_security_level = none
"""
RECIPIENTS = MAIN + "smtpd_recipient_restrictions = reject_unverified_recipient\n"
CODES = MAIN + """
smtpd_sender_restrictions = reject_unverified_sender
smtpd_recipient_restrictions = reject_unverified_recipient
unverified_recipient_reject_code = 550
unverified_recipient_defer_code = 451
unverified_sender_reject_code = 551
unverified_sender_defer_code = 250
unverified_recipient_reject_reason = Ask somebody else
address_verify_transport_maps = inline:{ {nothere.test=error:5.1.2 no such place} }
unverified_recipient_tempfail_action = defer
address_verify_sender = prober@example.org
"""


def rcpt_reply(line):
    if "bad" in line:
        return "550 5.1.1 no such user"
    if "later" in line:
        return "450 4.2.1 not now"
    return None


def senders_and_rcpts(senders, rcpts):
    steps = ["EHLO client.example"]
    for sender in senders:
        steps += [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{r}>" for r in rcpts), "RSET"]
    return steps


SUITES = {
    "recipients": (RECIPIENTS, senders_and_rcpts(["", "a@b.example"], [
        "good@far.test", "bad@far.test", "later@far.test", "a@virt.example", "nobody@virt.example", "alias@mine.example", "badalias@mine.example",
        "none@mine.example", "GOOD@far.test"])),
    "codes": (CODES, senders_and_rcpts(["", "good@far.test", "bad@far.test", "later@far.test", "x@nothere.test"], [
        "good2@far.test", "bad2@far.test", "later2@far.test", "nobody@virt.example", "y@nothere.test"])),
}


def play(port, steps):
    with Dialogue(port) as d:
        d.reply()
        return [(step, d.ask(step)) for step in steps if step]


@pytest.mark.skipif(not available(), reason="needs root and Debian's postfix")
@pytest.mark.parametrize("suite", SUITES)
def test_same_as_postfix(suite):
    main_cf, steps = SUITES[suite]
    with Sink(replies={"rcpt": rcpt_reply}) as sink:
        main_cf += f"default_transport = smtp:[127.0.0.1]:{sink.port}\n"
        with Postfix(main_cf) as postfix:
            theirs = play(postfix.port, steps)
        with Instance(main_cf, rootless=True) as ours_at:
            ours = play(ours_at.port, steps)
            log = ours_at.log()
            assert not ours_at.queue_list()
        assert ours == theirs
        assert not sink.messages
    assert "status=deliverable (250 2.1.5 Ok)" in log and "status=undeliverable (host 127.0.0.1[127.0.0.1] said: 550 5.1.1 no such user" in log


def test_cache(make, sink):
    """A second question is answered from the cache, also by a system that was started anew; what was good stays good when the server is
    away; bad results that are not to be kept are asked for again."""
    sink.replies["rcpt"] = rcpt_reply
    i = make(RECIPIENTS + f"default_transport = smtp:[127.0.0.1]:{sink.port}\naddress_verify_positive_refresh_time = 1s\n"
             "address_verify_sender_ttl = 1h\n", rootless=True)
    i.start()
    ask = senders_and_rcpts([""], ["good@far.test", "bad@far.test"])
    first = [reply for _, reply in play(i.port, ask)]
    assert first[2].startswith("250 2.1.5") and first[3].startswith("450 4.1.1 <bad@far.test>: Recipient address rejected: unverified address: host")
    connections = sink.connections
    i.stop()
    i.start()
    started = time.monotonic()
    assert [reply for _, reply in play(i.port, ask)][1:] == first[1:]
    assert time.monotonic() - started < 2
    wait_for(lambda: "good@far.test" in i.log().rpartition("status=deliverable")[0][-400:])
    sink.replies["connect"] = "421 4.3.2 away"
    assert [reply for _, reply in play(i.port, ask)][2] == first[2]
    assert sink.connections >= connections
    assert not sink.messages
