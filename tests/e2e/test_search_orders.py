# SPDX-License-Identifier: Apache-2.0
"""Which keys are looked up, and in which order: the same questions to Debian's Postfix and to Ostler, with the same configuration."""

import smtplib

import pytest
from instance import Instance
from postfix import Postfix, available

pytestmark = pytest.mark.skipif(not available(), reason="needs root and Debian's postfix")

BASE = """
myhostname = mx.example.test
mydomain = example.test
myorigin = origin.test
mynetworks = 192.0.2.0/24
local_recipient_maps =
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
smtpd_helo_required = no
recipient_delimiter = +
smtpd_delay_reject = yes
"""
OSTLER = "default_transport = discard:\nlocal_transport = discard:\nvirtual_transport = discard:\nrelay_transport = discard:\n"
DOMAINS = """
mydestination = plain.test, .dot.test, !not.in.test, in.test, inline:{{tab.test=x,.tabdot.test=x}}, regexp:{patterns}
relay_domains = relay.test, .rdot.test, inline:{{rtab.test=x,.rtabdot.test=x}}
virtual_alias_domains = va.test, .vadot.test, inline:{{vatab.test=x,.vatabdot.test=x}}
virtual_alias_maps = regexp:{everybody}
virtual_mailbox_domains = vm.test, .vmdot.test, inline:{{vmtab.test=x,.vmtabdot.test=x}}
virtual_mailbox_maps =
smtpd_recipient_restrictions = reject_unauth_destination
smtpd_relay_restrictions =
"""
NAMES = ["plain", "dot", "not.in", "in", "tab", "tabdot", "pattern", "relay", "rdot", "rtab", "rtabdot", "va", "vadot", "vatab", "vatabdot",
         "vm", "vmdot", "vmtab", "vmtabdot", "other"]
FILES = {
    "patterns": "/^pattern\\.test$/ x\n/^test$/ x\n",
    "everybody": "/^.*@(va|vatab)\\.test$/ somebody@in.test\n",
    # Each key answers with itself, so that the reply says which one was found.
    "rcpt": "".join(f"{k} REJECT {k}\n" for k in (
        "user+ext@one.test", "user@one.test", "one.test", "user+ext@", "user@",
        "plus@two.test", "two.test", "plus+ext@", "plus@",
        ".three.test", "deep.three.test", "four.test", "ext+x@", "only@", ".five.test", "test", "UP@six.test", "origin+e", "origin",
        "@seven.test", "[192.0.2.9]", "eight", "dots.nine.test.",
    )),
    "helo": "".join(f"{k} REJECT helo {k}\n" for k in (
        "a.b.helo.test", "b.helo.test", ".helo2.test", "helo3.test", "test4", "[192.0.2.1]", "0.2.1]", "192.0.2.5", "192.0.2", ".5", "helo6.test.",
    )),
    "sender": "<> REJECT null\nuser@s.test REJECT base\nsub.s2.test REJECT sub\n.s3.test REJECT dot\nwho@ REJECT who\n",
}
# Names of the two forms in which an internationalized domain is written: neither stands for the other.
IDN_KEYS = ["bücher.test", "xn--mller-kva.test", "user@straße.test", "üser@", ".deep.bücher.test", "xn--u-ccb.bücher.test", "jürgen+liste@one.test",
            "jürgen@one.test", "größe@xn--mller-kva.test", "例え.test", "@例え.test"]
FILES["idn"] = "".join(f"{k} REJECT key{n}\n" for n, k in enumerate(IDN_KEYS))
IDN_RCPTS = ["x@bücher.test", "x@xn--bcher-kva.test", "x@sub.bücher.test", "x@müller.test", "x@xn--mller-kva.test", "größe@xn--mller-kva.test",
             "user@straße.test", "user+e@straße.test", "user@xn--strae-oqa.test", "üser@far.test", "üser+e@far.test", "x@a.deep.bücher.test",
             "x@xn--u-ccb.bücher.test", "jürgen+liste@one.test", "jürgen+andere@one.test", "x@例え.test", "x@xn--r8jz45g.test", "x@BücHER.test"]
IDN_LISTS = """
mydestination = käse.test, .dot.käse.test, xn--ku-fka.test, inline:{{täb.test=x,.täbdot.test=x}}, regexp:{patterns}
relay_domains = rübe.test, xn--rbe-hoa.alt.test
virtual_alias_domains = vä.test
virtual_alias_maps = regexp:{everybody}
virtual_mailbox_domains = vüm.test
virtual_mailbox_maps =
smtpd_recipient_restrictions = reject_unauth_destination
smtpd_relay_restrictions =
"""
IDN_NAMES = ["käse", "xn--kse-qla", "dot.käse", "kü", "xn--ku-fka", "täb", "täbdot", "rübe", "xn--rbe-hoa", "xn--rbe-hoa.alt", "rübe.alt", "vä", "vüm", "ü"]
RCPTS = [
    "user+ext@one.test", "user+other@one.test", "user@one.test", "nobody@one.test", "plus+ext@two.test", "plus+ext@far.test",
    "plus+other@far.test", "x@three.test", "x@sub.three.test", "x@deep.three.test", "x@more.deep.three.test", "x@sub.four.test",
    "ext+x@far.test", "only+y@far.test", "x@a.b.five.test", "up@six.test", "Up+E@SIX.test", "origin+e@origin.test", "x@seven.test",
    "x@[192.0.2.9]", "+lead@one.test", "owner-x+y@one.test", "user+a+ext@one.test", "user+@one.test", '"user+ext"@one.test', "eight",
    "x@dots.nine.test.",
]
HELOS = ["a.b.helo.test", "x.b.helo.test", "x.y.b.helo.test", "helo.test", "x.helo2.test", "x.y.helo2.test", "helo2.test", "x.helo3.test", "a.test4",
         "[192.0.2.1]", "192.0.2.5", "helo6.test."]
SENDERS = ["", "user+x@s.test", "a@sub.s2.test", "a@x.sub.s2.test", "a@x.s3.test", "who@any.test", "who+e@any.test"]
OPEN = "smtpd_relay_restrictions = check_client_access static:permit, reject_unauth_destination\n"
PARENTS = {"parents": "", "dots": "parent_domain_matches_subdomains =\n"}


def configured(tmp_path, main_cf):
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if "pytest" in parent.name:
            parent.chmod(0o755)
    paths = {}
    for name, text in FILES.items():
        paths[name] = tmp_path / name
        paths[name].write_text(text)
    return BASE + main_cf.format(**paths)


def answers(port, dialogues, utf8=False):
    """The reply to the last command of each: (helo, sender, recipient)."""
    found = []
    for helo, sender, recipient in dialogues:
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as s:
            s.command_encoding = "utf-8"
            s.docmd("EHLO" if utf8 else "HELO", helo)
            s.docmd("MAIL", f"FROM:<{sender}>{' SMTPUTF8' if utf8 else ''}")
            code, text = s.docmd("RCPT", f"TO:<{recipient}>")
            found.append((helo, sender, recipient, code, text.decode(errors="replace")))
    return found


def announces_utf8(port):
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as s:
        s.ehlo("client.test")
        return s.has_extn("smtputf8")


def both(main_cf, dialogues, utf8=False):
    with Postfix(main_cf) as p:
        theirs = answers(p.port, dialogues, utf8)
    with Instance(OSTLER + main_cf, rootless=False) as i:
        if utf8 and not announces_utf8(i.port):
            pytest.skip("no SMTPUTF8 in this build")
        ours = answers(i.port, dialogues, utf8)
    return theirs, ours


@pytest.mark.parametrize("style", PARENTS)
def test_lists_of_domains(style, tmp_path):
    main_cf = configured(tmp_path, DOMAINS + PARENTS[style])
    dialogues = [("client.test", "a@b.test", f"x@{prefix}{name}.test") for name in NAMES for prefix in ("", "sub.", "a.sub.")]
    theirs, ours = both(main_cf, dialogues)
    assert "\n".join(f"{t}\n  not {o}" for t, o in zip(theirs, ours) if t != o) == ""
    assert {code for *_, code, _ in theirs} >= {250, 454} or {code for *_, code, _ in theirs} >= {250, 554}


@pytest.mark.parametrize("style", PARENTS)
@pytest.mark.parametrize("what", ["recipient", "helo", "sender"])
def test_access_tables(style, what, tmp_path):
    tables = {"recipient": "check_recipient_access texthash:{rcpt}", "helo": "check_helo_access texthash:{helo}",
              "sender": "check_sender_access texthash:{sender}"}
    main_cf = configured(tmp_path, f"smtpd_recipient_restrictions = {tables[what]}, permit\n" + OPEN + PARENTS[style])
    dialogues = {
        "recipient": [("client.test", "a@b.test", r) for r in RCPTS],
        "helo": [(h, "a@b.test", "x@y.test") for h in HELOS],
        "sender": [("client.test", s, "x@y.test") for s in SENDERS],
    }[what]
    theirs, ours = both(main_cf, dialogues)
    assert "\n".join(f"{t}\n  not {o}" for t, o in zip(theirs, ours) if t != o) == ""
    assert len({text for *_, text in theirs}) > 3


UTF8 = "smtputf8_enable = yes\n"


@pytest.mark.parametrize("style", PARENTS)
def test_internationalized_domains_in_lists(style, tmp_path):
    main_cf = configured(tmp_path, IDN_LISTS + UTF8 + PARENTS[style])
    dialogues = [("client.test", "a@b.test", f"x@{prefix}{name}.test") for name in IDN_NAMES for prefix in ("", "sub.", "süb.")]
    theirs, ours = both(main_cf, dialogues, utf8=True)
    assert "\n".join(f"{t}\n  not {o}" for t, o in zip(theirs, ours) if t != o) == ""
    assert len({code for *_, code, _ in theirs}) > 1


@pytest.mark.parametrize("style", PARENTS)
def test_internationalized_addresses_in_tables(style, tmp_path):
    main_cf = configured(tmp_path, "smtpd_recipient_restrictions = check_recipient_access texthash:{idn}, permit\n" + OPEN + UTF8 + PARENTS[style])
    theirs, ours = both(main_cf, [("client.test", "a@b.test", r) for r in IDN_RCPTS], utf8=True)
    assert "\n".join(f"{t}\n  not {o}" for t, o in zip(theirs, ours) if t != o) == ""
    assert len({text for *_, text in theirs}) > 5
