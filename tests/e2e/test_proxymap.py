# SPDX-License-Identifier: Apache-2.0
"""Tables with proxy: in front: a service in a jail asks proxymap, all others ask themselves."""

import concurrent.futures
import contextlib
import os
import pathlib
import signal
import sys
import time

import mariadb
import postgres
import pytest
from dbserver import DATABASE, MAIL_PASSWORD, MAIL_USER
from instance import MASTER_CF, PREFIX, wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: chroot")

JAILED = MASTER_CF.replace("-       n       -       -       smtpd", "-       y       -       -       smtpd") + (
    "proxymap  unix  -       -       n       -       -       proxymap\n"
)
BASE = (
    "default_transport = discard:\nlocal_transport = discard:\nmydestination = here.test\n"
    "smtpd_error_sleep_time = 0\nsmtpd_soft_error_limit = 100000\nsmtpd_hard_error_limit = 100000\n"
)


def pids(i, role):
    return sorted(pid for pid, name in i.processes().items() if name.split()[0] == role)


def rcpt(i, address, session=None):
    """The reply code for one recipient."""
    with contextlib.ExitStack() as stack:
        s = session or stack.enter_context(i.smtp())
        if not session:
            s.ehlo("client.test")
        s.rset()
        s.mail("sender@client.test")
        return s.rcpt(address)


def jailed(i, pid):
    return os.stat(f"/proc/{pid}/root").st_ino == os.stat(i.queue).st_ino


@pytest.fixture
def table(make):
    """An instance whose jailed smtpd asks `spec` ({map}: hash:/…/map) about recipients, and gets REJECT for bad@."""

    def start(spec="proxy:{map}", main_cf="", content="bad@here.test REJECT not him\n", master_cf=JAILED):
        i = make(rootless=False, master_cf=master_cf)
        name = i.postmap("map", content)
        i.write("main.cf", i.base_main_cf() + BASE + main_cf
                + f"smtpd_recipient_restrictions = check_recipient_access {spec.format(map=name)}, permit\n")
        i.table = name
        return i.start()

    return start


def test_a_jailed_service_asks_proxymap(table):
    i = table("proxy:debug:{map}")
    assert rcpt(i, "good@here.test")[0] == 250
    code, text = rcpt(i, "BAD@here.test")
    assert (code, text.endswith(b"not him")) == (554, True)
    (proxymap,) = pids(i, "proxymap")
    assert all(jailed(i, pid) for pid in pids(i, "smtpd")) and not jailed(i, proxymap)
    assert f'ostler/proxymap[{proxymap}]: {i.table} lookup: "bad@here.test" = "REJECT not him"' in i.log()
    assert f'ostler/proxymap[{proxymap}]: {i.table} lookup: "good@here.test" = "not_found"' in i.log()


def test_others_ask_themselves(table):
    i = table("proxy:debug:{map}", master_cf=MASTER_CF)
    assert rcpt(i, "bad@here.test")[0] == 554
    assert pids(i, "proxymap") == []
    assert "ostler/smtpd[" in [line for line in i.log().splitlines() if "lookup:" in line][-1]


def test_without_a_line_in_master_cf(table):
    i = table(master_cf=JAILED.replace("proxymap  unix", "#proxymap unix"))
    assert rcpt(i, "bad@here.test")[0] == 554
    assert rcpt(i, "good@here.test")[0] == 250


def test_users_of_the_system(table):
    i = table(main_cf="local_recipient_maps = proxy:unix:passwd.byname\nlocal_transport = local\n")
    assert rcpt(i, "daemon@here.test")[0] == 250
    assert rcpt(i, "no-such-user@here.test")[0] == 550


def test_what_is_not_approved_is_refused(table):
    i = table(main_cf="proxy_read_maps = $virtual_alias_maps proxy:hash:/other\n")
    assert rcpt(i, "bad@here.test")[0] == 451
    assert rcpt(i, "good@here.test")[0] == 451
    log = i.log()
    assert f'warning: request for unapproved table: "{i.table}"' in log
    assert f"warning: to approve this table for read-only access, list proxy:{i.table} in main.cf:proxy_read_maps" in log
    assert f'proxymap service is not configured for table "{i.table}"' in log


def test_a_table_that_cannot_be_opened_is_no_table_without_the_key(table):
    i = table("proxy:texthash:/nonexistent/table")
    assert rcpt(i, "good@here.test")[0] == 451
    assert "open /nonexistent/table" in i.log()


def test_patterns_are_asked_with_whole_keys(table, tmp_path):
    tmp_path.chmod(0o755)
    patterns = tmp_path / "patterns"
    patterns.write_text("/^here\\.test$/ REJECT the domain alone\n/^Mixed@/ REJECT whole\n")
    for parent in tmp_path.parents:
        if parent.stat().st_uid == 0 and str(parent).startswith("/tmp/pytest"):
            parent.chmod(0o755)
    i = table(f"proxy:regexp:{patterns}")
    assert rcpt(i, "good@here.test")[0] == 250
    assert rcpt(i, "Mixed@here.test")[0] == 554


def test_a_killed_proxymap_costs_no_wrong_answer(table):
    i = table()
    assert rcpt(i, "bad@here.test")[0] == 554
    end = time.monotonic() + 8
    slowest = 0

    def ask(n):
        wrong, count = [], 0
        with i.smtp() as s:
            s.ehlo("client.test")
            while time.monotonic() < end:
                for address, right in (("bad@here.test", 554), (f"good{n}@here.test", 250)):
                    code = rcpt(i, address, s)[0]
                    count += 1
                    if code not in (right, 451):
                        wrong.append((address, code))
        return wrong, count

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask, n) for n in range(8)]
        kills = 0
        while time.monotonic() < end - 2:
            for pid in pids(i, "proxymap"):
                os.kill(pid, signal.SIGKILL)
                kills += 1
            began = time.monotonic()
            wait_for(lambda: rcpt(i, "bad@here.test")[0] == 554, 5)
            slowest = max(slowest, time.monotonic() - began)
        results = [r.result() for r in asking]
    assert kills >= 1
    assert [wrong for wrong, _ in results if wrong] == []
    assert all(count > 20 for _, count in results)
    assert slowest < 5


def test_a_changed_file_is_seen_through_caches(table):
    i = table("cache:{{ttl=1h,negative=1h}}:proxy:{map}", main_cf="proxy_read_maps = proxy:hash:$config_directory/map\n")
    assert rcpt(i, "bad@here.test")[0] == 554
    assert rcpt(i, "good@here.test")[0] == 250
    i.postmap("map", "good@here.test REJECT him now\n")
    wait_for(lambda: rcpt(i, "good@here.test")[0] == 554, 10)
    wait_for(lambda: rcpt(i, "bad@here.test")[0] == 250, 10)


def test_a_reload_brings_another_proxymap(table):
    i = table()
    assert rcpt(i, "bad@here.test")[0] == 554
    with i.smtp() as old:
        old.ehlo("client.test")
        assert rcpt(i, "bad@here.test", old)[0] == 554
        before = pids(i, "proxymap")
        other = i.postmap("other", "good@here.test REJECT the other one\n")
        text = (i.etc / "main.cf").read_text().replace(f"proxy:{i.table}", f"proxy:{other}")
        i.write("main.cf", text)
        i.run("ostler", "reload")
        assert rcpt(i, "good@here.test")[0] == 554
        assert rcpt(i, "bad@here.test")[0] == 250
        assert rcpt(i, "bad@here.test", old)[0] in (554, 421)  # by its own configuration, or no more
    wait_for(lambda: not set(before) & set(pids(i, "proxymap")), 90)
    assert len(pids(i, "proxymap")) == 1
    assert "unapproved" not in i.log()


def test_many_sessions_at_once(table):
    i = table(content="".join(f"user{n}@here.test REJECT number {n}\n" for n in range(200)))

    def ask(n):
        with i.smtp() as s:
            s.ehlo("client.test")
            return [rcpt(i, f"user{k % 200}@here.test", s)[1].split()[-1] == str(k % 200).encode() for k in range(n, n + 50)]

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        for answers in pool.map(ask, range(40)):
            assert all(answers)


def test_check_tells_of_a_chroot_column_without_effect(table):
    i = table(master_cf=JAILED.replace("proxymap  unix  -       -       n", "proxymap  unix  -       -       y"))
    assert "its chroot column has no effect" in i.log()
    assert rcpt(i, "bad@here.test")[0] == 554
    (proxymap,) = pids(i, "proxymap")
    assert not jailed(i, proxymap)


def test_the_end_leaves_nothing(table):
    i = table()
    rcpt(i, "bad@here.test")
    assert len(pids(i, "proxymap")) == 1
    gone = list(i.processes())
    i.stop()
    wait_for(lambda: not [pid for pid in gone if pathlib.Path(f"/proc/{pid}").exists()], 5)
    assert "killed" not in i.log()


def test_check_knows_what_a_jail_cannot_reach(make):
    built = pathlib.Path(os.environ.get("OST_BUILDDIR", ".")) / "tests/modules/bad/.libs/bad.so"
    if not built.exists():
        pytest.skip("the module for tests is not built")

    def check(spec, master_cf=JAILED):
        i = make(rootless=False, master_cf=master_cf)
        module = i.folder / "bad.so"
        module.write_bytes(built.read_bytes())
        i.write("modules.cf", i.path("modules.cf").read_text() + f"table bad {module}\n")
        i.write("main.cf", i.base_main_cf() + BASE + f"virtual_alias_maps = {spec}\n")
        return i.run("ostler", "check", check=False)

    outside = "bad:socket:/run/nowhere/socket"
    for spec in (outside, f"unionmap:{{static:a,{outside}}}", f"cache:{outside}"):
        r = check(spec)
        assert r.returncode != 0
        assert "service 127.0.0.1:" in r.stderr and "from where /run/nowhere/socket cannot be reached" in r.stderr, r.stderr
        assert f"write proxy:{spec} in virtual_alias_maps, or n in the chroot column" in r.stderr
    for spec in (f"proxy:{outside}", f"unionmap:{{static:a,proxy:{outside}}}"):
        r = check(spec)
        assert "cannot be reached" not in r.stderr, r.stderr
        assert r.returncode == 0, r.stderr
    assert check(outside, MASTER_CF).returncode == 0


@pytest.mark.parametrize("server", [mariadb.MariaDB, postgres.Postgres], ids=lambda c: c.type)
def test_a_database_that_is_started_anew(table, server):
    """Asked from the jail all the time: a wrong answer never, and a right one within five seconds of its return."""
    if not sys.modules[server.__module__].available():
        pytest.skip("no such server here")
    with server() as db:
        cf = db.folder / "access.cf"
        db.make_database()
        db.sql("CREATE TABLE access (address VARCHAR(100) PRIMARY KEY, action VARCHAR(100)); "
               "INSERT INTO access VALUES ('bad@here.test', 'REJECT not him')")
        if server.type == "pgsql":
            db.sql(f"GRANT SELECT ON access TO {MAIL_USER}")
        cf.write_text(f"hosts = {db.hosts()}\nuser = {MAIL_USER}\npassword = {MAIL_PASSWORD}\ndbname = {DATABASE}\n"
                      "query = SELECT action FROM access WHERE address = '%s'\n")
        cf.chmod(0o644)
        i = table(f"proxy:{server.type}:{cf}")
        assert (rcpt(i, "bad@here.test")[0], rcpt(i, "good@here.test")[0]) == (554, 250)

        def right(address, wanted):
            code = rcpt(i, address)[0]
            assert code in (wanted, 451), (address, code)
            return code == wanted

        db.kill()
        for _ in range(20):
            assert not right("bad@here.test", 554) and not right("good@here.test", 250)
        db.start()
        wait_for(lambda: right("bad@here.test", 554) and right("good@here.test", 250), 5)
        assert all(jailed(i, pid) for pid in pids(i, "smtpd"))
