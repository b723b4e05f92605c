# SPDX-License-Identifier: Apache-2.0
"""Tables that ask servers, in a running smtpd that is sealed: recipients are looked up in a directory, a memcached, a Redis."""

import os
import subprocess
import threading
import time

import pytest
from instance import wait_for
from servers import Memcached, Redis, Silent, Slapd

MODES = [pytest.param(False, marks=pytest.mark.skipif(os.geteuid() != 0, reason="needs root"), id="root"), pytest.param(True, id="rootless")]

MAIN_CF = """
relay_domains = crowd.test
relay_recipient_maps = {table}
smtpd_relay_restrictions = reject_unauth_destination
smtpd_error_sleep_time = 0
smtpd_hard_error_limit = 10000
smtpd_soft_error_limit = 10000
"""


def ask(dialogue, recipient):
    """The reply code for a recipient."""
    return int(dialogue.ask(f"RCPT TO:<{recipient}>")[:3])


def begin(instance):
    d = instance.raw()
    d.reply()
    d.ask("EHLO client.test")
    assert d.ask("MAIL FROM:<someone@client.test>").startswith("250")
    return d


def ldap(server, more=""):
    return f"server_host = ldap://localhost:{server.port}\nsearch_base = dc=test\nquery_filter = (mailacceptinggeneralid=%s)\n{more}"


def memcache(server, more=""):
    server.set("user7@crowd.test", "joe@mail.test")
    return f"memcache = unix:{server.socket}\n{more}"


def redis(server, more=""):
    server.cli("SET", "user7@crowd.test", "joe@mail.test")
    server.cli("SAVE")
    return f"hosts = inet:localhost:{server.port}\n{more}"


KINDS = {"ldap": (Slapd, ldap), "memcache": (Memcached, memcache), "redis": (Redis, redis)}


@pytest.fixture(params=KINDS)
def kind(request):
    if not KINDS[request.param][0].available():
        pytest.skip(f"no server for {request.param}")
    return request.param


@pytest.fixture
def server(kind):
    with KINDS[kind][0]() as s:
        yield s


def instance_with(make, kind, cf, rootless, private=True):
    """Its table's file is nobody's but the owner's."""
    i = make("", rootless=rootless)
    path = i.write(f"{kind}.cf", cf)
    i.give_to_user()
    if private:
        path.chmod(0o600)
    main = i.path("main.cf")
    main.write_text(main.read_text() + MAIN_CF.format(table=f"{kind}:{path}"))
    return i.start()


@pytest.mark.parametrize("rootless", MODES)
def test_recipients(make, kind, server, rootless):
    i = instance_with(make, kind, KINDS[kind][1](server), rootless)
    with begin(i) as d:
        assert ask(d, "user7@crowd.test") == 250
        assert ask(d, "nobody@crowd.test") == 550
        for odd in ("*@crowd.test", '")(cn=*"@crowd.test', '"a\\\\b"@crowd.test', "a" * 60 + "@crowd.test", '"user7 user7"@crowd.test'):
            assert ask(d, odd) == 550, odd
        server.kill()
        wait_for(lambda: ask(d, "user7@crowd.test") in (450, 451), seconds=5)
        codes = [ask(d, who) for who in ("user7@crowd.test", "nobody@crowd.test") * 10]
        assert set(codes) <= {450, 451}, codes
        server.start()
        if kind == "memcache":
            server.set("user7@crowd.test", "joe@mail.test")
        started = time.monotonic()
        wait_for(lambda: ask(d, "user7@crowd.test") == 250, seconds=5)
        assert time.monotonic() - started < 5
        assert [ask(d, "user7@crowd.test") for _ in range(20)] == [250] * 20
        assert ask(d, "nobody@crowd.test") == 550
    assert "killed by signal" not in i.log()


@pytest.mark.parametrize("rootless", MODES)
def test_a_silent_server(make, kind, rootless):
    cf = {"ldap": "server_host = ldap://127.0.0.1:{port}\nsearch_base = dc=test\n", "memcache": "memcache = inet:127.0.0.1:{port}\nmax_try = 1\n",
          "redis": "hosts = inet:127.0.0.1:{port}\n"}[kind] + "timeout = 1\n"
    with Silent() as silent:
        i = instance_with(make, kind, cf.format(port=silent.port), rootless)
        with begin(i) as d:
            started = time.monotonic()
            assert ask(d, "user7@crowd.test") in (450, 451)
            assert time.monotonic() - started < 10


def test_wrong_passwords_stay_secret(make):
    """The log says which file is wrong, and no command shows what is in it."""
    if not Slapd.available() or not Redis.available():
        pytest.skip("slapd or Redis is not installed")
    with Slapd() as slapd, Redis() as r:
        cf = redis(r)
        r.cli("CONFIG", "SET", "requirepass", "the-right-one")
        files = {"ldap": ldap(slapd, "bind_dn = cn=reader,dc=test\nbind_pw = a-wrong-secret\n"), "redis": cf + "password = a-wrong-secret\n"}
        for kind, text in files.items():
            i = instance_with(make, kind, text, rootless=False)
            with begin(i) as d:
                assert ask(d, "user7@crowd.test") in (450, 451)
            i.wait_log(f"{kind}:{i.path(kind + '.cf')}")
            said = "".join(r.stdout + r.stderr for r in (i.run("ostler", "check", check=False), i.run("postconf", check=False),
                                                           i.run("postmap", "-q", "user7@crowd.test", f"{kind}:{i.path(kind + '.cf')}", check=False)))
            assert "a-wrong-secret" not in i.log() + said
            assert "WRONGPASS" in i.log() or "Invalid credentials" in i.log()


def certificate(folder, name):
    """One that signs itself, for 127.0.0.1 (the library takes "localhost" for this machine's name)."""
    subprocess.run(["/usr/bin/openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"], check=True, capture_output=True)
    return folder / f"{name}.pem", folder / f"{name}.key"


@pytest.mark.parametrize("rootless", MODES)
@pytest.mark.parametrize("scheme", ["ldaps", "starttls"])
def test_encrypted_directories(make, tmp_path, scheme, rootless):
    if not Slapd.available():
        pytest.skip("slapd is not installed")
    tmp_path.chmod(0o755)
    pem, key = certificate(tmp_path, "right")
    other, _ = certificate(tmp_path, "other")
    with Slapd(f"TLSCertificateFile {pem}", f"TLSCertificateKeyFile {key}", ldaps=True) as s:
        where = f"ldaps://127.0.0.1:{s.ldaps_port}" if scheme == "ldaps" else f"ldap://127.0.0.1:{s.port}"

        def cf(authority, more=""):
            text = "" if scheme == "ldaps" else "start_tls = yes\n"
            return (f"server_host = {where}\nsearch_base = dc=test\nquery_filter = (mailacceptinggeneralid=%s)\n"
                    f"tls_ca_cert_file = {i.path(authority)}\ntls_require_cert = yes\n{text}{more}")
        i = make("", rootless=rootless)
        for p in (pem, other):
            i.write(p.name, p.read_text())
        i.write("good.cf", cf("right.pem"))
        i.write("bad.cf", cf("other.pem"))
        i.write("either.cf", cf("other.pem", "tls_require_cert = no\n"))
        i.give_to_user()
        for name, code in (("good", 250), ("bad", 451), ("either", 250)):
            main = i.path("main.cf")
            main.write_text(i.base_main_cf() + MAIN_CF.format(table=f"ldap:{i.path(name + '.cf')}"))
            i.start()
            with begin(i) as d:
                got = ask(d, "user7@crowd.test")
                assert got == code or (code == 451 and got == 450), (name, got, i.log()[-2000:])
                assert ask(d, "user7@crowd.test") == got
            i.stop()


def test_many_sessions_while_the_server_comes_and_goes(make, kind, server):
    """Fifty sessions ask all the time: none is told that the recipient does not exist."""
    i = instance_with(make, kind, KINDS[kind][1](server, "connections = 5\n") + (
        "backup = inline:{user7@crowd.test=joe}\n" if kind == "memcache" else ""), rootless=False)
    end, codes, lock = threading.Event(), {}, threading.Lock()

    def session():
        with begin(i) as d:
            while not end.is_set():
                code = ask(d, "user7@crowd.test")
                if code == 452:  # as many recipients as a message may have
                    d.ask("RSET")
                    d.ask("MAIL FROM:<someone@client.test>")
                    continue
                with lock:
                    codes[code] = codes.get(code, 0) + 1

    threads = [threading.Thread(target=session) for _ in range(50)]
    for t in threads:
        t.start()
    for _ in range(3):
        time.sleep(1)
        server.kill()
        time.sleep(1)
        server.start()
        if kind == "memcache":
            server.set("user7@crowd.test", "joe@mail.test")
    time.sleep(3)
    with lock:
        codes.clear()
    time.sleep(1)
    end.set()
    for t in threads:
        t.join()
    assert set(codes) == {250}, codes  # back to normal
    assert " 550 " not in i.log()
