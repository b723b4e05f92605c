# SPDX-License-Identifier: Apache-2.0
"""STARTTLS and smtpd_tls_wrappermode: the same dialogues with Debian's Postfix and with Ostler, replies and log lines; and keys that
come, change, or cannot be used."""

import contextlib
import difflib
import os
import pathlib
import pwd
import re
import shutil
import smtplib
import ssl
import subprocess
import tempfile

import pytest
from instance import SCRATCH, Dialogue, Instance, free_port, wait_for
from postfix import Postfix, available
from test_smtp_dialogues import BASE, log_lines, same

oracle = pytest.mark.skipif(not available(), reason="needs root and Debian's postfix")


def context(**wanted):
    """A client that takes any certificate and every version."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    c.set_ciphers(wanted.pop("ciphers", "ALL:@SECLEVEL=0"))
    for name, value in wanted.items():
        setattr(c, name, value)
    return c


def make_key(folder, name, *kind):
    """NAME.key, NAME.crt, and both in NAME.pem; answers the last one's path."""
    key, cert, both = (folder / f"{name}.{end}" for end in ("key", "crt", "pem"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", str(key),
                    "-out", str(cert)], check=True, capture_output=True)
    both.write_text(key.read_text() + cert.read_text())
    return both


EC = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
RSA = ("rsa:2048",)


@pytest.fixture(scope="module")
def keys():
    """A folder with keys that everybody may read."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ostler-keys-", dir=SCRATCH))
    make_key(folder, "ec", *EC)
    make_key(folder, "rsa", *RSA)
    (folder / "two.pem").write_text((folder / "rsa.pem").read_text() + (folder / "ec.pem").read_text())
    (folder / "bad.pem").write_text("garbage\n")
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)
    yield folder
    shutil.rmtree(folder)


# ---- beside Postfix --------------------------------------------------------------------------------------------------

EHLO = "EHLO client.example"
TLS = context()
TLS_1_2 = context(maximum_version=ssl.TLSVersion.TLSv1_2)
ONLY_RSA = context(ciphers="aRSA", maximum_version=ssl.TLSVersion.TLSv1_2)
MAIN_CF = BASE + "smtpd_tls_security_level = may\nsmtpd_tls_loglevel = 1\n"

# One line of master.cf each: its own parameters, and its dialogues.
SUITES = {
    "may": (["smtpd_tls_chain_files={keys}/ec.pem"], {
        "usual": [EHLO, "STARTTLS x", "STARTTLS", TLS, EHLO, "STARTTLS", "MAIL FROM:<a@b.example>", "QUIT"],
        "forgotten": [EHLO, "MAIL FROM:<a@b.example>", "STARTTLS", TLS_1_2, "MAIL FROM:<a@b.example>", "RCPT TO:<a@virt.example>", "QUIT"],
        "no hello": ["STARTTLS", TLS, "QUIT"],
        "text behind": [EHLO, b"STARTTLS\r\nRSET\r\n", TLS, EHLO, "QUIT"],
        "no handshake": [EHLO, "STARTTLS", b"EHLO in.clear\r\n"],
        "gone": [EHLO, "STARTTLS"],
        "no cipher": [EHLO, "STARTTLS", ONLY_RSA],
    }),
    "encrypt": (["smtpd_tls_security_level=encrypt", "smtpd_tls_cert_file={keys}/rsa.crt", "smtpd_tls_key_file={keys}/rsa.key",
                 "smtpd_tls_eccert_file={keys}/ec.pem"], {
        "in clear": [EHLO, "MAIL FROM:<a@b>", "VRFY a", "ETRN x", "RSET", "NOOP", "DATA", "FOO", "HELO x", "STARTTLS", TLS,
                     "MAIL FROM:<a@b>", "NOOP", EHLO, "RSET"],
        "other key": [EHLO, "STARTTLS", ONLY_RSA, "QUIT"],
    }),
    "two": (["smtpd_tls_chain_files={keys}/two.pem"], {
        "first": [EHLO, "STARTTLS", TLS_1_2, "QUIT"],
        "other": [EHLO, "STARTTLS", ONLY_RSA, "QUIT"],
    }),
    "bad": (["smtpd_tls_chain_files={keys}/bad.pem"], {
        "refused": [EHLO, "STARTTLS", "MAIL FROM:<a@b>", "QUIT"],
    }),
    "missing": (["smtpd_tls_security_level=encrypt", "smtpd_tls_cert_file={keys}/none.pem"], {
        "refused": [EHLO, "STARTTLS", "MAIL FROM:<a@b>", "QUIT"],
    }),
    "mismatch": (["smtpd_tls_cert_file={keys}/ec.crt", "smtpd_tls_key_file={keys}/rsa.key"], {
        "refused": [EHLO, "STARTTLS", "QUIT"],
    }),
    "no keys": ([], {
        "refused": [EHLO, "STARTTLS", "QUIT"],
    }),
    "none": (["smtpd_tls_security_level=none"], {
        "refused": [EHLO, "STARTTLS", "QUIT"],
    }),
    "wrapper": (["smtpd_tls_wrappermode=yes", "smtpd_tls_chain_files={keys}/ec.pem"], {
        "usual": [TLS, EHLO, "STARTTLS", "MAIL FROM:<a@b>", "QUIT"],
    }),
    "no wrapper": (["smtpd_tls_wrappermode=yes", "smtpd_tls_chain_files={keys}/bad.pem"], {
        "dropped": [],
    }),
}


class Both:
    """Postfix and Ostler with a service for each suite."""

    def __init__(self, keys):
        self.postfix, self.ostler = Postfix(MAIN_CF), Instance(MAIN_CF, rootless=True)
        self.ports = {}
        for system in (self.postfix, self.ostler):
            for suite, (parameters, _) in SUITES.items():
                self.ports[system, suite] = port = free_port()
                with (system.etc / "master.cf").open("a") as f:
                    f.write(f"127.0.0.1:{port} inet n - n - - smtpd\n")
                    f.writelines(f"  -o {p.format(keys=keys)}\n" for p in parameters)
        self.postfix.__enter__()
        self.ostler.start()

    def play(self, suite, steps):
        """What was said and logged, of each."""
        for system in (self.postfix, self.ostler):
            before = len(system.log())
            replies = play(self.ports[system, suite], steps)

            def ended(system=system, before=before):
                return "disconnect from" in system.log()[before:]
            wait_for(ended)
            yield replies + of_sessions(log_lines(system.log()[before:]))


@pytest.fixture(scope="module")
def both(keys):
    b = Both(keys)
    yield b
    b.postfix.__exit__(None, None, None)
    b.ostler.remove()


def encrypt(d, ctx):
    """The client's side of a handshake, as a word for what came of it."""
    try:
        d.sock = ctx.wrap_socket(d.sock)
    except OSError as e:
        return f"({'alert' if isinstance(e, ssl.SSLError) else 'closed'})"
    d.file = d.sock.makefile("rb")
    return f"({d.sock.version()} {d.sock.cipher()[0]})"


def play(port, steps):
    got = []
    with Dialogue(port) as d:
        if not steps or not isinstance(steps[0], ssl.SSLContext):
            got.append(same(d.reply()))
        for step in steps:
            if isinstance(step, ssl.SSLContext):
                got.append(encrypt(d, step))
                if step is steps[0] and got[0].startswith("(TLS"):  # wrapper mode: now it greets
                    got.append(d.reply())
                continue
            with contextlib.suppress(OSError):
                d.say(step if isinstance(step, bytes) else step + "\r\n")
            try:
                got.append(same(d.reply()))
            except OSError:
                got.append("")
    return got


STARTING = ("disabling TLS", "TLS won't be enabled", "No PEM data", "chain file:")


def of_sessions(lines):
    """Without what a process says when it starts (Postfix's do at other times), and without our ports."""
    return [re.sub(r"service \S+:\d+", "service PORT", line) for line in lines if not any(word in line for word in STARTING)]


@oracle
@pytest.mark.parametrize("suite,name", [(s, n) for s, (_, dialogues) in SUITES.items() for n in dialogues])
def test_same_as_postfix(both, suite, name):
    theirs, ours = both.play(suite, SUITES[suite][1][name])
    assert "\n".join(difflib.unified_diff(theirs, ours, "Postfix", "Ostler", lineterm="")) == ""


# ---- Ostler alone ----------------------------------------------------------------------------------------------------

KEYS = "smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {etc}/key.pem\nsmtpd_tls_received_header = yes\n"


def subject(system):
    """Whose certificate is shown."""
    with smtplib.SMTP("127.0.0.1", system.port, timeout=20) as s:
        if s.docmd("STARTTLS")[0] != 220:
            return None
        with context().wrap_socket(s.sock) as tls:
            der = tls.getpeercert(binary_form=True)
    text = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-subject"], input=der, capture_output=True, check=True).stdout
    return text.decode().strip().rpartition("= ")[2]


@pytest.fixture(params=[False, True], ids=["root", "rootless"])
def system(request, keys):
    if os.geteuid() != 0 and not request.param:
        pytest.skip("needs root")
    o = Instance(rootless=request.param)
    o.write("main.cf", o.path("main.cf").read_text() + KEYS.format(etc=o.etc) + "defer_transports = local\n")
    put_key(o, keys / "ec.pem")
    with o:
        yield o


def put_key(o, source):
    """As a tool for certificates does it: a file that only its owner may read, moved into its place."""
    new = o.write("new.pem", source.read_text())
    new.chmod(0o600)
    owner = pwd.getpwnam(o.user if o.rootless else "root")
    if os.geteuid() == 0:
        os.chown(new, owner.pw_uid, owner.pw_gid)
    new.rename(o.path("key.pem"))


def test_keys_of_their_owner_alone(system, keys):
    """They are read, shown, named in Received:, and taken up when they change; bad ones are not."""
    assert subject(system) == "ec"
    with smtplib.SMTP("127.0.0.1", system.port, timeout=20) as s:
        s.starttls(context=context())
        s.sendmail("a@b.example", ["root@localhost.example.test"], "Subject: x\r\n\r\nx\r\n")
    (message,) = wait_for(system.queue_list)
    received = system.run("postcat", "-q", message["queue_id"]).stdout
    assert "(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\n\t key-exchange X25519 server-signature ECDSA " \
           "(prime256v1) server-digest SHA256)\n\t(No client certificate requested)\n\tby " in received
    assert " with ESMTPS id " in received

    put_key(system, keys / "rsa.pem")
    wait_for(lambda: subject(system) == "rsa")
    put_key(system, keys / "bad.pem")
    system.wait_log("/etc/key.pem: the keys and certificates of before stay in use")
    assert subject(system) == "rsa"


def test_keys_that_come_later(keys):
    """There is no STARTTLS until they are there; `ostler check` names file and parameter."""
    o = Instance(KEYS.replace("{etc}", "{0}"), rootless=True)
    o.write("main.cf", o.path("main.cf").read_text().replace("{0}", str(o.etc)))
    said = o.run("ostler", "check", check=False)
    assert f": smtpd_tls_chain_files: error opening chain file: {o.etc}/key.pem: No such file or directory" in said.stdout + said.stderr
    with o:
        assert subject(o) is None
        put_key(o, keys / "ec.pem")
        wait_for(lambda: subject(o) == "ec")


def test_level_that_does_not_exist():
    o = Instance("smtpd_tls_security_level = bogus\n", rootless=True)
    said = o.run("ostler", "check", check=False)
    assert said.returncode != 0
    assert 'smtpd_tls_security_level: Invalid TLS level "bogus"' in said.stdout + said.stderr
    o.remove()
