# SPDX-License-Identifier: Apache-2.0
"""Every restriction in every list, and every action of an access table, with Debian's Postfix and with Ostler: replies and log lines
must be the same.

Both ask a name server of the test, on a loopback address of its own; a private mount of resolv.conf names it. Which restriction a
dialogue meets is chosen by its sender: X@client.choose meets X in the client list, and so on (X.etrn.choose for ETRN)."""

import difflib
import errno
import pathlib
import random
import re
import subprocess

import pytest
from dns import Dns, Zone
from instance import Dialogue, Instance, wait_for
from postfix import Postfix, available
from test_smtp_dialogues import BASE, log_lines, same

pytestmark = pytest.mark.skipif(not available(), reason="needs root and Debian's postfix")

LISTS = ("client", "helo", "sender", "relay", "recipient", "data", "end_of_data")


def ptr(address):
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa"


ZONE = Zone(
    {
        ("mx.test", "MX"): ["10 server.mx.test"], ("server.mx.test", "A"): ["127.0.0.50"],
        ("address.test", "A"): ["127.0.0.51"],
        ("null.test", "MX"): ["0 ."],
        ("empty.test", "TXT"): ["nothing else"],
        ("evilmx.test", "MX"): ["10 mail.evil.test", "20 other.evil.test"], ("mail.evil.test", "A"): ["127.0.0.66"],
        ("other.evil.test", "A"): ["127.0.0.67"], ("evilmx.test", "NS"): ["ns.good.test"], ("ns.good.test", "A"): ["127.0.0.50"],
        ("evilns.test", "NS"): ["ns.evil.test"], ("ns.evil.test", "A"): ["127.0.0.68"], ("evilns.test", "A"): ["127.0.0.50"],
        ("sub.evilns.test", "A"): ["127.0.0.50"],
        ("evila.test", "A"): ["127.0.0.66"],
        ("strangemx.test", "MX"): ["10 nowhere.test"],
        ("backup.test", "MX"): ["10 primary.test", "20 mail.example.org"], ("primary.test", "A"): ["127.0.0.70"],
        ("byaddress.test", "MX"): ["10 primary.test", "20 alias.test"], ("alias.test", "A"): ["127.0.0.1"],
        ("mine.test", "MX"): ["10 mail.example.org", "20 primary.test"],
        ("others.test", "MX"): ["10 primary.test", "20 server.mx.test"],
        ("outside.test", "MX"): ["10 server.mx.test", "20 mail.example.org"],
        ("lost.test", "MX"): ["10 nowhere.test", "20 mail.example.org"],
        (ptr("127.0.0.9"), "PTR"): ["client.test"], ("client.test", "A"): ["127.0.0.9"],
        (ptr("127.0.0.10"), "PTR"): ["forged.test"], ("forged.test", "A"): ["127.0.0.50"],
        (ptr("127.0.0.11"), "PTR"): ["sub.evilns.test"],
        (ptr("127.0.0.13"), "PTR"): ["evil.client.test"], ("evil.client.test", "A"): ["127.0.0.13"],
        ("evil.client.test", "MX"): ["10 mail.evil.test"], ("client.test", "NS"): ["ns.evil.test"],
    },
    {"broken.test": "servfail"},
)

# The right-hand sides of access tables.
ACTIONS = [
    "ok", "ok with text", "relay", "reject", "reject no thanks", "reject 5.1.1 no thanks", "reject 4.2.2 no thanks", "reject 5.1.8 x",
    "reject 5.1.3 x", "reject 5.1.6 x", "reject 5.1.9 x", "reject 5.1.10 x", "reject 2.1.1 x", "reject 5.7.1", "REJECT Case",
    "defer", "defer later", "defer 4.1.2 later", "defer 5.1.7 later", "defer_if_permit", "defer_if_permit 4.1.8 hm", "defer_if_reject",
    "defer_if_reject 4.1.4 hm", "450 slow down", "550 5.1.2 no", "599 strange", "550 4.3.2 mixed", "550 no code", "450", "550", "12345", "350 no", "600 no",
    "55 short", "5500 long", "bcc a@virt.example", "bcc nobody", "dunno", "dunno with text", "filter smtp:[127.0.0.1]:9", "filter",
    "filter smtp", "hold", "hold for a while", "info", "info text", "prepend X-Test: value", "prepend nonsense", "prepend",
    "redirect a@virt.example", "redirect nobody", "warn", "warn text", "permit", "defer_if_reject, reject", "warn_if_reject reject",
    "reject_unlisted_sender, reject", "warn_if_reject reject, permit", "no_such_thing", "reject_unlisted_sender no_such_thing", "say_no",
    "say_no_twice", "endless", "sleep 0, reject", "inline:x", "discard", "discard quietly",
]
END_SESSION = ["421 4.3.2 go away", "521 5.7.1 never again", "reject 421", "defer 4.7.0 x"]

# Restrictions without and with arguments; those with tables hide in classes, since an access table may not name tables.
TABLES = {
    f"t_{who}_{kind}": f"check_{name}_{kind}_access inline:{{ {{127.0.0.66 = reject evil address}} {{127.0.0.68=reject evil server address}} "
                       f"{{mail.evil.test = reject evil name}} {{ns.evil.test=450 evil server}} {{127.0.0.51=ok}} {{127.0.0.50 = dunno}} "
                       f"{{server.mx.test = ok}} }}"
    for who, name in (("client", "client"), ("reverse", "reverse_client_hostname"), ("helo", "helo"), ("sender", "sender"), ("rcpt", "recipient"))
    for kind in ("a", "mx", "ns")
}
TABLES["t_reverse"] = "check_reverse_client_hostname_access inline:{ {forged.test=reject forged} {client.test=ok} {127.0.0.11=dunno} }"
TABLES["t_client"] = "check_client_access inline:{ {client.test=reject by name} {127.0.0.10 = reject by address} {unknown = reject nameless} }"
TABLES["t_null"] = "check_sender_access inline:{ {<> = reject null sender} }"
TABLES["t_rcpt"] = "check_recipient_access inline:{ {virt.example=ok} {a@ = reject local part} {other.example = ok} }"
NAMES = [
    "reject", "defer", "permit", "defer_if_permit", "defer_if_reject", "defer_if_permit, defer_if_reject, reject", "reject_unauth_pipelining",
    "reject_unknown_client_hostname", "reject_unknown_client", "reject_unknown_reverse_client_hostname",
    "permit_inet_interfaces, reject", "permit_mynetworks, reject", "permit_sasl_authenticated, reject", "reject_invalid_helo_hostname",
    "reject_invalid_hostname", "reject_non_fqdn_helo_hostname", "reject_non_fqdn_hostname", "reject_unknown_helo_hostname",
    "reject_unknown_hostname", "permit_naked_ip_address, reject", "reject_non_fqdn_sender", "reject_unknown_sender_domain", "reject_unknown_address",
    "reject_unlisted_sender", "reject_unauth_destination", "defer_unauth_destination", "permit_auth_destination, reject",
    "check_relay_domains", "reject_non_fqdn_recipient", "reject_unknown_recipient_domain", "reject_unlisted_recipient", "check_recipient_maps",
    "reject_multi_recipient_bounce", "permit_mx_backup, reject", "warn_if_reject reject_unlisted_recipient, permit",
    "warn_if_reject defer_if_permit, permit", "warn_if_reject t_helo_mx, reject", *TABLES,
]


FILES = []  # the texts of tables: log lines name them, and are cut when the name is long


def access(pairs):
    FILES.append("".join(f"{key} {value}\n" for key, value in pairs))
    return f"texthash:@FOLDER@/table{len(FILES) - 1}"


def key(text):
    """A local part that stands for a right-hand side."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"


def choose(what, stage):
    return f"{key(what)}@{stage}.choose"


def lists(whats):
    """Each list chooses by the sender."""
    return "".join(f"smtpd_{stage}_restrictions = check_sender_access {access((choose(w, stage), w) for w in whats)}"
                   f"{', reject_unauth_destination' if stage == 'relay' else ''}\n" for stage in LISTS)


COMMON = BASE + """
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
smtpd_junk_command_limit = 10000
permit_mx_backup_networks = 127.0.0.70
smtpd_discard_ehlo_keywords = silent-discard, chunking, smtputf8
fast_flush_domains = $relay_domains
smtpd_delay_open_until_valid_rcpt = yes
smtpd_restriction_classes = say_no, say_no_twice, endless, """ + ", ".join(TABLES) + """
say_no = reject_non_fqdn_sender, reject
say_no_twice = warn_if_reject say_no, say_no
endless = check_sender_access static:endless
""" + "".join(f"{name} = {value}\n" for name, value in TABLES.items())

ETRN = "smtpd_etrn_restrictions = check_etrn_access " + access((f"{key(a)}.etrn.choose", a) for a in ACTIONS + END_SESSION) + "\n"
CODES = """
smtpd_etrn_restrictions = permit_mynetworks, reject
smtpd_log_access_permit_actions = static:all
reject_code = 571
defer_code = 471
access_map_reject_code = 572
access_map_defer_code = 472
invalid_hostname_reject_code = 573
non_fqdn_reject_code = 574
unknown_hostname_reject_code = 575
unknown_address_reject_code = 576
unknown_client_reject_code = 577
relay_domains_reject_code = 578
multi_recipient_bounce_reject_code = 579
unknown_address_tempfail_action = defer
unknown_helo_hostname_tempfail_action = defer
smtpd_reject_unlisted_sender = yes
"""
SOFT = "soft_bounce = yes\nsmtpd_reject_unlisted_sender = yes\nsmtpd_relay_before_recipient_restrictions = no\n"


def transaction(sender, rcpts=("b@virt.example",), body=False):
    message = ["DATA", b"Subject: x\r\n\r\nhello\r\n.\r\n"] if body else []
    return [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{r}>" for r in rcpts), *message, "RSET"]


def session(senders, helo="mx.test", **more):
    steps = [f"EHLO {helo}"]
    for sender in senders:
        steps += transaction(sender, **more)
    return steps


def chosen(whats, stage, **more):
    return session((choose(w, stage) for w in whats), body=stage in ("data", "end_of_data"), **more)


def names_session(stage, helo, rcpts):
    return chosen(NAMES, stage, helo=helo, rcpts=rcpts)


OTHERS = ["x@other.example", "root@localhost", "zz@virt.example", "x", "postmaster", "u%r.example@virt.example"]
SENDERS = ["a@mx.test", "a@address.test", "a@null.test", "a@empty.test", "a@nowhere.test", "a@broken.test", "a@b..c", "a", "a@b", "a@[127.0.0.1]",
           "a@[1.2.3.4]", "nobody@virt.example", "a@virt.example", "q@alias.example", "a@mx.test.", ""]
SENDER_LIST = "smtpd_sender_restrictions = check_helo_access " + access(
    (f"{kind}.choose", f"t_sender_{kind}") for kind in ("a", "mx", "ns")) + ", reject_non_fqdn_sender, reject_unknown_sender_domain, reject_unlisted_sender\n"
RCPTS = ["a@mx.test", "a@null.test", "a@nowhere.test", "a@broken.test", "a@b", "a", "a@[1.2.3.4]", "u%x.example@virt.example", "u%a@virt.example",
         *(f"a@{d}.test" for d in ("backup", "byaddress", "mine", "others", "outside", "lost"))]
HELOS = ["mx.test", "address.test", "null.test", "empty.test", "nowhere.test", "broken.test", "a..b", "x", "x.y.", "[127.0.0.1]", "[1.2]", "1.2.3.4", "1.2.3",
         "evilmx.test", "evila.test", "evilns.test", "sub.evilns.test", "strangemx.test", "a_b.test", "[IPv6:::1]", "[IPv6:x]", "::1"]
EVIL = ["evilmx.test", "evila.test", "evilns.test", "sub.evilns.test", "strangemx.test", "mx.test", "address.test", "null.test", "broken.test",
        "nowhere.test", "[127.0.0.66]", "[127.0.0.51]", "b"]


def helo_steps(name):
    steps = []
    for helo in HELOS:
        steps += [f"HELO {helo}", *transaction(choose(name, "helo"))]
    return steps


ACTION_DIALOGUES = {
    **{f"actions {stage}": chosen(ACTIONS, stage) for stage in LISTS},
    **{f"actions {stage} relayed": chosen(ACTIONS, stage, rcpts=["x@other.example"]) for stage in ("client", "sender", "relay")},
    **{f"{what} {stage}": chosen([what], stage) for what in END_SESSION for stage in ("client", "recipient", "data", "end_of_data")},
    "etrn": [f"ETRN {key(a)}.etrn.choose" for a in ACTIONS],
    "etrn ends": ["EHLO x", f"ETRN {key(END_SESSION[0])}.etrn.choose"],
    "discard": [*session([choose("discard", "sender")], body=True)],
}
NAME_DIALOGUES = {
    **{f"names {stage}": names_session(stage, "mx.test", ["b@virt.example"]) for stage in LISTS},
    **{f"names {stage} elsewhere": ("127.0.0.10", names_session(stage, "x", OTHERS[:2] + OTHERS[3:])) for stage in ("client", "recipient")},
    "names two recipients": names_session("data", "a..b", ["a@virt.example", "b@virt.example"]),
    **{f"helo {name}": helo_steps(name) for name in NAMES if "helo" in name or "hostname" in name and "client" not in name},
    **{f"client {address} {name}": (address, session([choose(name, "client")])) for address in ("127.0.0.9", "127.0.0.10", "127.0.0.11", "127.0.0.12", "127.0.0.13")
       for name in NAMES if "client" in name or "reverse" in name or "unknown_client" in name},
    **{f"sender {n}": session([choose(n, "sender")]) for n in NAMES},
    **{f"rcpt {n}": session([choose(n, "relay"), choose(n, "recipient")], rcpts=RCPTS + OTHERS) for n in NAMES
       if "mx_backup" in n or "recipient" in n or "dest" in n or "relay" in n or n == "t_rcpt"},
    "rcpt servers": [s for kind in ("a", "mx", "ns") for d in EVIL for s in
                     transaction(choose(f"t_rcpt_{kind}", "relay"), rcpts=[f"u@{d}"])],
}
FIXED_DIALOGUES = {
    "senders": session(SENDERS, helo="evilns.test"),
    "senders to nobody": session(SENDERS, helo="evilns.test", rcpts=["zz@virt.example"]),
    "rcpts": session(["a@mx.test"], helo="evilns.test", rcpts=RCPTS + OTHERS),
    "null multi": ["EHLO evilns.test", "MAIL FROM:<>", "RCPT TO:<a@virt.example>", "RCPT TO:<b@virt.example>", "DATA", "RSET"],
    "helo with ok": session(["a@mx.test"]),
    "etrn": ["EHLO x", "ETRN relay.example", "ETRN other.example", "ETRN a..b"],
    **{f"servers {kind}": session([f"u@{d}" for d in EVIL], helo=f"{kind}.choose") for kind in ("a", "mx", "ns")},
    "etrn from network": ("127.0.0.9", ["EHLO x", "ETRN other.example"]),
}
FIXED = SENDER_LIST + """
smtpd_client_restrictions = t_client_a, t_reverse_mx, permit_mynetworks, t_client
smtpd_helo_restrictions = t_helo_mx, permit
smtpd_relay_restrictions = permit_auth_destination, reject
smtpd_recipient_restrictions = permit_mynetworks, permit_inet_interfaces, reject_unlisted_recipient, permit_mx_backup, reject_unauth_destination
smtpd_data_restrictions = reject_multi_recipient_bounce, permit
"""
EARLY = """
smtpd_delay_reject = no
smtpd_client_restrictions = inline:{ {client.test=hold} {127.0.0.10 = defer_if_permit at connect} {127.0.0.11=discard} {127.0.0.12 = prepend X: y} }
smtpd_helo_restrictions = inline:{ {hold.test=hold} {redirect.test = redirect a@virt.example} {bcc.test = bcc a@virt.example} {filter.test = filter a:b}
  {prepend.test = prepend X: y} {later.test = defer_if_permit at helo} {no.test=reject} {discard.test=discard} }
smtpd_sender_restrictions = inline:{ {no@x.test=reject} {later@x.test = defer_if_permit at mail} {hold@x.test=hold} {ifreject@x.test=defer_if_reject} }
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_etrn_restrictions = permit
"""


def early(source, helo):
    return source, [*session(["no@x.test", "later@x.test", "hold@x.test", "ifreject@x.test", "a@x.test"], helo=helo,
                             rcpts=["b@virt.example", "x@other.example"]), "ETRN x.test"]


EARLY_DIALOGUES = {
    **{f"early {source} {helo}": early(source, f"{helo}.test") for source, helo in (
        ("127.0.0.9", "x"), ("127.0.0.10", "x"), ("127.0.0.11", "x"), ("127.0.0.12", "x"), *(
            ("127.0.0.1", h) for h in ("x", "hold", "redirect", "bcc", "filter", "prepend", "later", "no", "discard")))},
}

SUITES = {
    "actions": (lists(ACTIONS + END_SESSION) + ETRN, ACTION_DIALOGUES),
    "names": (lists(NAMES), NAME_DIALOGUES),
    "codes": (lists(NAMES) + CODES, {**{f"codes {n}": session([choose(n, "recipient"), choose(n, "helo")], helo="broken.test",
                                                             rcpts=["zz@virt.example", "a@broken.test", "a@nowhere.test", "b@virt.example"]) for n in NAMES},
                                     **{f"codes client {n}": ("127.0.0.12", session([choose(n, "client")], helo="x")) for n in NAMES},
                                     "etrn": FIXED_DIALOGUES["etrn"]}),
    "fixed": (FIXED, FIXED_DIALOGUES),
    "soft": (FIXED + SOFT, FIXED_DIALOGUES),
    "early": (EARLY, EARLY_DIALOGUES),
}

# What Postfix says whenever a restriction is used, and Ostler when it reads the list.
ADVICE = re.compile("main.cf, line|is deprecated. Use|support for restriction|after .* is ignored")
IN_PRIVATE = ("unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"')


class NamedPostfix(Postfix):
    """Postfix with a resolv.conf of its own."""

    def __init__(self, main_cf, resolv_conf):
        super().__init__(main_cf)
        self.resolv_conf = resolv_conf

    def postfix(self, word):
        return subprocess.run([*IN_PRIVATE, str(self.resolv_conf), "/usr/sbin/postfix", "-c", str(self.etc), word], capture_output=True, text=True,
                              check=False)


class NamedInstance(Instance):
    def __init__(self, main_cf, resolv_conf):
        self.resolv_conf = resolv_conf
        super().__init__(main_cf + f"ostler_resolver_file = {resolv_conf}\n", rootless=True)

    def as_user(self):
        return [*IN_PRIVATE, str(self.resolv_conf), *super().as_user()]


def play(port, source, steps):
    got = []
    with Dialogue(port, source=source) as d:
        got.append(same(d.reply()))
        for step in steps:
            try:
                d.say(step if isinstance(step, bytes) else step + "\r\n")
                got.append(same(d.reply()))
            except OSError:
                got.append("")
            if got[-1] == "":
                break
    return got


class Pair:
    """Both, with the same configuration and name server."""

    def __init__(self, main_cf, resolv_conf):
        for number, text in enumerate(FILES):
            table = resolv_conf.parent / f"table{number}"
            table.write_text(text)
            table.chmod(0o644)
        main_cf = main_cf.replace("@FOLDER@", str(resolv_conf.parent))
        self.systems = (NamedPostfix(COMMON + main_cf, resolv_conf), NamedInstance(COMMON + main_cf, resolv_conf))

    def __enter__(self):
        self.systems[0].__enter__()
        self.systems[1].start()
        return self

    def __exit__(self, *exc):
        self.systems[0].__exit__(*exc)
        self.systems[1].remove()

    def both(self, steps, source):
        out = []
        for system in self.systems:
            before = len(system.log())
            replies = play(system.port, source, steps)

            def ended(system=system, before=before):
                return "disconnect from" in system.log()[before:]
            wait_for(ended, step=0.01)
            out.append(replies + [line for line in log_lines(system.log()[before:]) if not ADVICE.search(line)])
        return out


@pytest.fixture(scope="module")
def name_server():
    """On port 53 of some loopback address, since Postfix can ask no other."""
    for number in random.sample(range(2, 250), 20):
        try:
            with Dns(ZONE, f"127.0.53.{number}", 53) as dns:
                yield dns
            return
        except OSError as e:
            if e.errno != errno.EADDRINUSE:
                raise


@pytest.fixture(scope="module")
def pair(name_server, tmp_path_factory, request):
    folder = tmp_path_factory.mktemp("resolv")
    folder.chmod(0o755)
    folder.parent.chmod(0o755)
    with Pair(SUITES[request.param][0], name_server.resolv_conf(pathlib.Path(folder) / "resolv.conf")) as made:
        yield made


@pytest.mark.parametrize("pair,name", [(s, n) for s, (_, dialogues) in SUITES.items() for n in dialogues], indirect=["pair"])
def test_same_as_postfix(pair, name, request):
    steps = SUITES[request.node.callspec.params["pair"]][1][name]
    source, steps = steps if isinstance(steps, tuple) else ("127.0.0.1", steps)
    theirs, ours = pair.both(steps, source)
    assert "\n".join(difflib.unified_diff(theirs, ours, "Postfix", "Ostler", lineterm="")) == ""
