# SPDX-License-Identifier: Apache-2.0
"""Lists in the DNS, with a name server of the test: refusals, permissions, failures, and how long many lists take."""

import time

import pytest
from dns import Dns, Zone
from instance import Dialogue

MAIN_CF = """
mydestination = localhost
mynetworks = 127.0.0.9/32
virtual_mailbox_domains = virt.example
virtual_mailbox_maps = inline:{ {a@virt.example=a} }
virtual_uid_maps = static:5000
virtual_gid_maps = static:5000
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
rbl_reply_maps = inline:{ {dbl.test = 521 5.7.9 $$sender_domain is not welcome: $$rbl_reason} }
"""
RECORDS = {
    ("1.0.0.127.bl.test", "A"): ["127.0.0.2"], ("1.0.0.127.bl.test", "TXT"): ["see http://bl.test/?ip=127.0.0.1", "x" * 400],
    ("1.0.0.127.other.test", "A"): ["127.0.0.4"], ("1.0.0.127.gone.test", "A"): ["203.0.113.80"],
    ("bad.example.dbl.test", "A"): ["127.0.1.2"], ("bad.example.dbl.test", "TXT"): ["spammer\r\n250 ok"],
    ("1.0.0.127.short.test", "A"): [b"\x7f\x00"], ("1.0.0.127.alias.test", "CNAME"): ["1.0.0.127.bl.test"],
    ("1.0.0.127.bomb.test", "A"): ["127.0.0.1"] * 1000,
}
TRICKS = {f"1.0.0.127.silent{n}.test": "silent" for n in range(5)} | {
    "1.0.0.127.sick.test": "servfail", "1.0.0.127.loop.test": "loop", "1.0.0.127.cut.test": "short", "1.0.0.127.fake.test": "question"}


@pytest.fixture(scope="module")
def dns():
    with Dns(Zone(RECORDS, TRICKS)) as server:
        yield server


def ask(i, sender="x@good.example"):
    with Dialogue(i.port) as d:
        d.reply()
        d.ask("EHLO client.example")
        d.ask(f"MAIL FROM:<{sender}>")
        answer = d.ask("RCPT TO:<a@virt.example>")
        d.ask("QUIT")
        return answer


BLOCKED = "554 5.7.1 Service unavailable; Client host [127.0.0.1] blocked using "
CASES = {
    "reject_rbl_client bl.test": BLOCKED + "bl.test; see http",
    "reject_rbl_client bl.test=127.0.0.[2..4]": BLOCKED + "bl.test=127.0.0.[2..4]; see http",
    "reject_rbl_client bl.test=127.0.0.[3;4]": "250 ",
    "reject_rbl_client alias.test": BLOCKED + "alias.test",
    "reject_rbl_client gone.test": "250 ",
    "reject_rbl_client clean.test, reject_rbl_client other.test": BLOCKED + "other.test",
    "reject_rbl_client sick.test, reject_rbl_client short.test, reject_rbl_client cut.test": "250 ",
    "reject_rbl_client fake.test": "250 ",
    "reject_rbl_client loop.test": "250 ",
    "reject_rbl_client bomb.test=127.0.0.2": "250 ",
    "permit_dnswl_client bl.test, reject": "250 ",
    "permit_dnswl_client clean.test, reject": "554 5.7.1 <a@virt.example>: Recipient address rejected: Access denied",
    "permit_dnswl_client sick.test, reject": "450 4.7.1 ",
    "reject_dnsbl_score { bl.test*2 other.test threshold=4 }": "250 ",
    "reject_dnsbl_score { bl.test*2 other.test threshold=3 }": BLOCKED + "bl.test",
}


def configured(make, dns, more):
    i = make()
    resolver = dns.resolv_conf(i.path("resolv.conf"))
    i.write("main.cf", f"{i.base_main_cf()}{MAIN_CF}ostler_resolver_file = {resolver}\n{more}")
    return i.start()


def test_lists(make, dns):
    names = {f"case{n}": (text, reply) for n, (text, reply) in enumerate(CASES.items())}
    classes = "".join(f"{name} = {text}\n" for name, (text, _) in names.items())
    table = " ".join(f"{{{name}@good.example = {name}}}" for name in names)
    i = configured(make, dns, f"""smtpd_restriction_classes = {", ".join(names)}
{classes}
smtpd_recipient_restrictions = check_sender_access inline:{{ {table} }}, reject_rhsbl_sender dbl.test
""")
    for name, (text, reply) in names.items():
        assert ask(i, f"{name}@good.example").startswith(reply), text
    assert ask(i, "x@bad.example") == "521 5.7.9 bad.example is not welcome: spammer__250 ok"
    assert "1.0.0.127.gone.test: ignored, as no list answers so: 203.0.113.80" in i.log()
    assert "1.0.0.127.sick.test: RBL lookup error" in i.log()


def test_many_that_are_silent_take_as_long_as_one(make, dns):
    lists = ", ".join(f"reject_rbl_client silent{n}.test" for n in range(5))
    i = configured(make, dns, f"smtpd_recipient_restrictions = {lists}, reject_rbl_client bl.test\n")
    start = time.monotonic()
    assert ask(i).startswith(BLOCKED + "bl.test")
    assert time.monotonic() - start < 20  # each alone is given ten seconds
