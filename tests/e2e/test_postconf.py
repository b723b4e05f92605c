# SPDX-License-Identifier: Apache-2.0
"""postconf: byte for byte what Debian's prints for the same files, in the manner of set-ups that people run; and what is Ostler's own."""

import json
import os
import pathlib
import re
import shutil
import stat
import subprocess

import pytest
from instance import PREFIX

ORACLE = "/usr/sbin/postconf"
OURS = str(PREFIX / "sbin/postconf")
SAMPLES = pathlib.Path(__file__).with_name("postconf")
DIST = pathlib.Path("/usr/share/postfix")
NAMES = ["debian"] + sorted(p.name for p in SAMPLES.iterdir())

# Names whose default is another by intent, or that are Ostler's own (docs/differences.md).
INTENDED = re.compile(
    r"ostler_\w+|smtpd_session_limit|alias_maps|biff|mail_name|mail_version|mail_release_date|process_id|process_name|"
    r"smtpd_forbid_bare_newline|smtpd_forbid_unauth_pipelining|config_directory"
)

# Other names use these, so that they have the same value here.
SAME = "mail_name = Some Mailer\nmail_version = 0\n"


def run(program, folder, *options):
    r = subprocess.run([program, "-c", str(folder), *options], text=True, capture_output=True, env={"PATH": "/usr/bin", "LC_ALL": "C"},
                       stdin=subprocess.DEVNULL)
    return r.returncode, r.stdout, r.stderr


def oracle_version():
    try:
        return run(ORACLE, "/etc/postfix", "-hd", "mail_version")[1]
    except OSError:
        return ""


needs_oracle = pytest.mark.skipif(not oracle_version().startswith("3.7."), reason="no Postfix 3.7 to compare with")


def builtin(program):
    return set(run(program, "/etc/postfix", "-d", "-H", "-C", "builtin")[1].split())


@pytest.fixture(scope="module")
def later():
    """Parameters of releases after the one to compare with."""
    return builtin(OURS) - builtin(ORACLE)


@pytest.fixture
def sample(tmp_path):
    def make(name, where="x"):
        folder = tmp_path / where
        shutil.rmtree(folder, ignore_errors=True)
        if name != "debian":
            shutil.copytree(SAMPLES / name, folder)
        else:
            folder.mkdir()
            (folder / "main.cf").write_text((DIST / "main.cf.debian").read_text() + (DIST / "main.cf.tls").read_text())
            shutil.copy(DIST / "master.cf.dist", folder / "master.cf")
        main = (folder / "main.cf").read_text()
        with (folder / "main.cf").open("a") as f:
            f.write(SAME)
            if "alias_maps =" not in main:
                f.write("alias_maps = hash:/etc/aliases\n")
        return folder

    return make


def filtered(text, later):
    """Without the parameters that differ by intent, continuation lines included."""
    out, skip = [], False
    for line in text.splitlines():
        if not line.startswith("    "):
            name = line.split(" =")[0]
            skip = bool(INTENDED.fullmatch(name)) or name in later
        if not skip:
            out.append(line)
    return out


def complaints(text, program):
    """What was said, each once, without the program's path; Postfix says some things several times, and in the order of a hash."""
    lines = sorted({line.replace(f"{program}: ", "postconf: ") for line in text.splitlines()})
    return [line for line in lines if not line.startswith("postconf: fatal: usage:") and " overriding earlier entry: " not in line]


def overridings(text):
    return {line.split(": ", 1)[1] for line in text.splitlines() if " overriding earlier entry: " in line}


SHOW = [
    [], ["-n"], ["-nx"], ["-x"], ["-nf"], ["-f"], ["-Hn"], ["-hn"], ["-d"], ["-dH"], ["-p", "-n"], ["-n", "-C", "user"], ["-C", "user"],
    ["-C", "service"], ["-C", "builtin"], ["-n", "-C", "all"], ["-d", "-C", "service"], ["-C", "user,service"], ["-C", "bogus"],
    ["myhostname", "mydestination", "smtpd_relay_restrictions", "nosuch_name", "relay_destination_rate_delay"],
    ["-h", "myhostname", "smtpd_timeout", "nosuch_name"], ["-d", "smtpd_banner", "nosuch_name", "used_a"],
    ["-x", "smtpd_timeout", "smtp_helo_name", "default_transport", "virtual_mailbox_maps", "smtpd_sender_restrictions"],
    ["-n", "-o", "myhostname=other.example.com", "-o", "used_b=y"], ["-x", "-o", "myhostname=o.example.com", "myorigin"], ["-o", "x", "-n"],
    ["-M"], ["-Mf"], ["-Mx"], ["-M", "smtp/inet"], ["-M", "smtp"], ["-M", "*/unix"], ["-M", "nosuch", "smtp/inet"], ["-Mf", "submission"],
    ["-F"], ["-Ff"], ["-Fx"], ["-hF"], ["-HF"], ["-F", "smtp/inet"], ["-F", "*/*/command"], ["-F", "smtp/unix/chroot", "*/inet/wakeup"],
    ["-F", "smtp/inet/nosuch"], ["-P"], ["-xP"], ["-hP"], ["-HP"], ["-fP"], ["-P", "submission/inet"], ["-P", "smtps"],
    ["-P", "*/inet/smtpd_client_restrictions"], ["-P", "nosuch/inet/x"], ["-l"], ["-z"],
]  # fmt: skip


@needs_oracle
@pytest.mark.parametrize("name", NAMES)
def test_shows_what_postfix_shows(name, sample, later):
    folder = sample(name)
    for options in SHOW:
        wanted, got = (run(p, folder, *options) for p in (ORACLE, OURS))
        if "-hF" in options:  # Postfix puts no space between a command and its first word here
            wanted, got = ((r[0], r[1].replace(" ", ""), r[2]) for r in (wanted, got))
        assert filtered(got[1], later) == filtered(wanted[1], later), options
        # Postfix reads the file again and again, and finds each time that it overrides what was read before.
        assert overridings(got[2]) <= overridings(wanted[2]), options
        assert complaints(got[2], OURS) == complaints(wanted[2], ORACLE), options
        assert got[0] == wanted[0], options


EDITS = [
    ["-e", "relayhost = [x]", "smtpd_banner=a  b", "compatibility_level=3"], ["relayhost=y"], ["-e", "a=1", "a=2"], ["-e", "nosuch"],
    ["-e", "a b=1"], ["-e", "#a=1"], ["-e", "a=x\ny"], ["-e", "=4"], ["-e"], ["-X"], ["-X", "relayhost", "used_a", "nosuch"], ["-X", "a=b"],
    ["-#", "relayhost", "mynetworks", "smtpd_recipient_restrictions"], ["-#", "a=b"], ["-ne", "a=5"], ["-nX", "a"], ["-eX", "a"], ["-de", "a=b"],
    ["-fe", "a=3"], ["-M", "-m"], ["-e", "relayhost="], ["-X", "smtpd_recipient_restrictions", "mydestination"],
    ["-Me", "smtp/inet=smtp inet n - n - 5 smtpd -o a=b"], ["-M", "new/unix=new unix - - n - - pipe flags=R user=nobody argv=/bin/cat"],
    ["-M#", "submission/inet"], ["-MX", "smtp/inet", "smtp/unix"], ["-MX", "nosuch/inet"], ["-M#", "smtp"], ["-M", "smtp=x"],
    ["-Me", "a/inet=x"], ["-Me", "a/inet=a inet q - - - - smtpd"], ["-Me", "smtp/*=smtp inet n - - - - smtpd"], ["-MX", "*/inet"],
    ["-M", "a/inet=a inet n - - - - smtpd -o {a = b c}"], ["-M", "a/inet=\nb"], ["-M#"], ["-Me"],
    ["-Fe", "smtp/inet/chroot=y"], ["-F", "pickup/unix/command=pickup -v"], ["-F", "*/inet/chroot=y"], ["-F", "*/*/chroot=n"],
    ["-F", "smtp/unix/nosuch=1"], ["-F", "nosuch/unix/chroot=1"], ["-Fe", "smtp/inet/chroot=q"], ["-Fe", "smtp/inet/wakeup=5?"],
    ["-Fe", "smtp/inet/wakeup=zz"], ["-Fe", "smtp/inet/type=unix"], ["-Fe", "smtp/inet/service=a b"], ["-F", "smtp/inet=5"],
    ["-FX", "smtp/inet/chroot"], ["-Fe", "smtp/inet/process_limit=7", "smtp/unix/chroot=n"],
    ["-Pe", "submission/inet/zork=2 3"], ["-P", "smtp/inet/newone=2"], ["-P", "*/*/x=y"], ["-PX", "submission/inet/syslog_name"],
    ["-PX", "*/inet/syslog_name", "*/inet/smtpd_banner"], ["-PX", "smtp/inet/nosuch"], ["-P#", "smtp/inet/zork"], ["-P", "smtp/inet=5"],
    ["-Pe", "smtp/inet/a=1", "smtp/inet/b=2", "smtp/inet/a=3"], ["-P", "smtp/inet/a="], ["-P", "nosuch/inet/a=1"], ["-PX", "smtp/inet"],
    ["-Pe", "submission/inet/syslog_name=other", "slow/unix/syslog_name=one"],
]  # fmt: skip


@needs_oracle
@pytest.mark.parametrize("name", [n for n in NAMES if not n.startswith("broken")])
def test_edits_as_postfix_does(name, sample):
    for options in EDITS:
        results = []
        for program in (ORACLE, OURS):
            folder = sample(name, "edited")
            code, out, err = run(program, folder, *options)
            results.append((code, out, complaints(err, program), *((folder / f).read_text() for f in ("main.cf", "master.cf"))))
        for wanted, got in zip(*results):
            assert got == wanted, options


@needs_oracle
def test_options_that_do_not_go_together(sample):
    folder = sample("postfixadmin")
    letters = "aAbdefFhHlmMnpPtxX#"
    for a in letters:
        for b in letters:
            if a == b:
                continue
            wanted, got = (run(p, folder, f"-{a}{b}")[2] for p in (ORACLE, OURS))
            said = [re.findall(r"fatal: (.*specify .*)", text) for text in (wanted, got)]
            assert said[1] == said[0], (a, b)
