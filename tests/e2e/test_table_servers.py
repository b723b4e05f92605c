# SPDX-License-Identifier: Apache-2.0
"""tcp: and socketmap: in sealed processes of a running system, and beside Debian's postmap."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest
from instance import MASTER_CF, PREFIX, wait_for
from mapserver import SocketMap, TcpTable, netstring

MODES = ["rootless", "root", "chroot"] if os.geteuid() == 0 else ["rootless"]
DISCARD = "default_transport = discard:\nlocal_transport = discard:\n"

pytestmark = pytest.mark.skipif(not (PREFIX / "lib/ostler/tcp.so").exists() or not (PREFIX / "lib/ostler/socketmap.so").exists(),
                                reason="tcp or socketmap is not installed as a module")


@pytest.fixture(params=MODES)
def start(request, make):
    def start_one(main_cf):
        master = MASTER_CF
        if request.param == "chroot":
            master = re.sub(r"(?m)^(\{port\}\s+inet\s+\S+\s+\S+\s+)n", r"\1y", master)
            master = re.sub(r"(?m)^(rewrite\s+unix\s+\S+\s+\S+\s+)n", r"\1y", master)
        return make(DISCARD + main_cf, master, rootless=request.param == "rootless").start()
    return start_one


def answer(i, recipient):
    """The reply to RCPT."""
    with i.smtp() as s:
        s.ehlo("client.test")
        s.mail("a@example.test")
        code, text = s.rcpt(recipient)
        return f"{code} {text.decode()}"


def restriction(*tables):
    return "smtpd_recipient_restrictions = " + ", ".join(f"check_recipient_access {t}" for t in tables) + ", permit\n"


TCP_REPLIES = {"bad@far.test": b"200 REJECT%20not%20this%20one\n", "soft@far.test": b"400 come back\n",
               "odd@far.test": b"what?\n"}
MAP_REPLIES = {"rcpt bad@far.test": netstring("OK REJECT not this one"), "rcpt soft@far.test": netstring("TEMP come back"),
               "rcpt broken@far.test": netstring("PERM no such table"), "transport far.test": netstring("OK discard:by map")}


def expect_answers(i, broken):
    assert answer(i, "bad@far.test").startswith("554 5.7.1 <bad@far.test>: Recipient address rejected: not this one")
    assert answer(i, "good@far.test").startswith("250 ")
    assert answer(i, "soft@far.test").startswith("451 4.3.")
    assert answer(i, "good@far.test").startswith("250 ")
    assert answer(i, broken).startswith("451 4.3.")

    def answers_again():
        return answer(i, "good@far.test").startswith("250 ")
    wait_for(answers_again, 5)


# Names are resolved after the seal: from the hosts file here.
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_tcp_in_a_sealed_smtpd(start, host):
    with TcpTable(TCP_REPLIES, b"500 no\n") as server:
        i = start(restriction(f"tcp:{host}:{server.port}"))
        expect_answers(i, "odd@far.test")
        i.wait_log("malformed reply: what?")


def test_ipv6(start):
    with TcpTable(TCP_REPLIES, b"500 no\n", host="::1") as server:
        i = start(restriction(f"tcp:[::1]:{server.port}"))
        assert answer(i, "bad@far.test").startswith("554 ")
        assert answer(i, "good@far.test").startswith("250 ")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_socketmap_in_sealed_smtpd_and_resolve(start, host):
    with SocketMap(MAP_REPLIES, netstring("NOTFOUND ")) as server:
        where = f"socketmap:inet:{host}:{server.port}"
        i = start(restriction(f"{where}:rcpt") + f"transport_maps = {where}:transport\ndefault_transport = error:5.0.0 not by map\n")
        expect_answers(i, "broken@far.test")
        i.send("a@example.test", ["good@far.test"], "Subject: x\r\n\r\nx\r\n")
        i.wait_log("to=<good@far.test>, relay=none, ")
        i.wait_log("status=sent")


def test_socketmap_over_a_socket_of_the_file_system(make):
    for rootless in {True, os.geteuid() != 0}:
        i = make(DISCARD, rootless=rootless)
        path = i.folder / "map.socket"
        with SocketMap(MAP_REPLIES, netstring("NOTFOUND "), path=path):
            path.chmod(0o777)
            i.write("main.cf", i.path("main.cf").read_text() + restriction(f"socketmap:unix:{path}:rcpt"))
            i.start()
            expect_answers(i, "broken@far.test")


# A name that no service knows is looked up in a sealed process, too: the reason is the name service's, not the sandbox's.
def test_a_host_without_an_address(start):
    i = start(restriction("tcp:no.such.host.invalid:25"))
    assert answer(i, "good@far.test").startswith("451 4.3.")

    def is_told():
        return re.search(r"host no\.such\.host\.invalid: (Name or service not known|Temporary failure in name resolution|its address was "
                         r"not found in time)", i.log())
    wait_for(is_told)


def test_a_server_that_restarts(start):
    server = TcpTable(TCP_REPLIES, b"500 no\n")
    i = start(restriction(f"tcp:127.0.0.1:{server.port}"))
    assert answer(i, "bad@far.test").startswith("554 ")
    server.close()
    for _ in range(5):
        assert answer(i, "bad@far.test").startswith("451 4.3.")
        assert answer(i, "good@far.test").startswith("451 4.3.")
    with TcpTable(TCP_REPLIES, b"500 no\n", port=server.port):
        def rejects_again():
            return answer(i, "bad@far.test").startswith("554 ")
        wait_for(rejects_again, 5)
        assert answer(i, "good@far.test").startswith("250 ")
        i.wait_log("is back")


def test_tcp_decides_on_no_local_user(make):
    i = make(DISCARD + "virtual_uid_maps = tcp:127.0.0.1:9\nvirtual_mailbox_domains = v.test\n", rootless=True)
    r = i.run("ostler", "check", check=False)
    assert r.returncode != 0
    assert "virtual_uid_maps: tcp:127.0.0.1:9 map is not allowed for security-sensitive data" in r.stderr


# ---- the same questions to Debian's postmap ---------------------------------------------------------------------------------

POSTMAP = pathlib.Path("/usr/sbin/postmap")
needs_postfix = pytest.mark.skipif(not POSTMAP.exists(), reason="needs Postfix")
KEYS = ["plain", "UPPER", "a b", "100%", "two\nlines", "tab\t", "ü", "~^`{}|\\\"'", "user+ext@example.org", "x" * 900]


def both(i, tmp_path, server, key, table, main_cf=""):
    """(standard output, exit status, bytes of the request) of Ostler's postmap, and of Postfix's."""
    answers = []
    i.write("main.cf", i.base_main_cf() + main_cf)
    mine = i.run("postmap", "-q", key, table, check=False)
    answers.append((mine.stdout, mine.returncode, server.take_seen()))
    etc = tmp_path / "postfix"
    if not etc.exists():
        etc.mkdir()
        (etc / "main.cf").write_text("compatibility_level = 3.6\n" + main_cf)
        shutil.copy("/etc/postfix/dynamicmaps.cf", etc)
    theirs = subprocess.run([POSTMAP, "-c", etc, "-q", key, table], capture_output=True, text=True, check=False, timeout=60)
    answers.append((theirs.stdout, theirs.returncode, server.take_seen()))
    return answers


@needs_postfix
@pytest.mark.parametrize("reply", [b"200 value\n", b"200 a%20b%25%C3%BC\n", b"299 v\n", b"500 no\n", b"599 no\n", b"400 later\n", b"451 later\n",
                                   b"300 x\n", b"hello\n", b"200\n", b"200 %\n", b"200 %zz\n", b"20 x\n"])
def test_tcp_like_postfix(make, tmp_path, reply):
    i = make(rootless=True)
    with TcpTable({}, reply) as server:
        for key in KEYS if reply == b"200 value\n" else KEYS[:1]:
            mine, theirs = both(i, tmp_path, server, key, f"tcp:127.0.0.1:{server.port}")
            assert mine == theirs, key


@needs_postfix
@pytest.mark.parametrize("reply", [netstring("OK value"), netstring("OK two words"), netstring("OK  x"), netstring("NOTFOUND "), netstring("NOTFOUND"),
                                   netstring("NOTFOUND x"), netstring("TEMP x"), netstring("TIMEOUT x"), netstring("PERM x"),
                                   netstring("WHAT x"), netstring("ok x"), b"x", b"8:OK value;", netstring("OK " + "v" * 50000),
                                   netstring("OK " + "v" * 99997), netstring("OK " + "v" * 99998)],
                         ids=lambda reply: reply[:12].decode())
def test_socketmap_like_postfix(make, tmp_path, reply):
    i = make(rootless=True)
    with SocketMap({}, reply) as server:
        for key in KEYS if reply == netstring("OK value") else KEYS[:1]:
            mine, theirs = both(i, tmp_path, server, key, f"socketmap:inet:127.0.0.1:{server.port}:map")
            assert mine == theirs, key
