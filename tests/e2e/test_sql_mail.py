# SPDX-License-Identifier: Apache-2.0
"""Mail for users who stand in a database: the examples of docs/virtual-users-sql.md as they are, in root mode and rootless, by a
socket and over TLS. The processes that ask are sealed: certificates lie where they may not open files."""

import contextlib
import os
import pathlib
import pwd
import re
import sqlite3

import mariadb
import names
import postfixadmin
import postgres
import pytest
from dbserver import MAIL_PASSWORD
from instance import PREFIX, wait_for

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "conf/examples"
TEXT = "From: <a@example.test>\r\nTo: <info@example.com>\r\nSubject: hello\r\n\r\nbody\r\n"
SERVERS = {"pgsql": (postgres, "Postgres"), "mysql": (mariadb, "MariaDB")}


@pytest.fixture(scope="module", params=["pgsql", "mysql"])
def server(request):
    module, name = SERVERS[request.param]
    if not module.available():
        pytest.skip("no such server here")
    with getattr(module, name)(tls=True) as db:
        if db.type == "pgsql":
            db.sql("CREATE ROLE mailreader LOGIN PASSWORD 'change-me'", None)
            db.sql("CREATE DATABASE mail ENCODING 'UTF8' TEMPLATE template0", None)
        else:
            db.sql("CREATE USER mailreader IDENTIFIED BY 'change-me'; CREATE DATABASE mail CHARACTER SET utf8mb4", None)
        db.sql((EXAMPLES / f"virtual-users-{db.type}/schema.sql").read_text(), "mail")
        yield db


def over_tls(db):
    """Lines in place of hosts: the server proves who it is."""
    if db.type == "pgsql":
        return (f"hosts = postgresql://mailreader:change-me@127.0.0.1:{db.port}/mail?sslmode=verify-full&sslrootcert={db.ca}\n")
    return f"hosts = inet:127.0.0.1:{db.port}\ntls_CAfile = {db.ca}\ntls_verify_cert = yes\n"


def give_mailboxes(i):
    """The folder of mailboxes gets the owner whom deliveries may become; answers who that is."""
    ids = pwd.getpwnam(i.user)
    uid, gid = (ids.pw_uid, ids.pw_gid) if i.rootless else (5000, 5000)
    os.chown(i.vmail, uid, gid)
    return uid, gid


def make_instance(make, db, way, rootless):
    example = EXAMPLES / f"virtual-users-{db.type}"
    i = make((example / "main.cf").read_text(), rootless=rootless)
    uid, gid = give_mailboxes(i)
    (i.etc / "sql").mkdir()
    hosts = f"hosts = {db.hosts()}\n" if way == "socket" else over_tls(db)
    for cf in (example / "sql").iterdir():
        text = "".join(hosts if line.startswith("hosts =") else line for line in cf.read_text().splitlines(keepends=True))
        i.write(f"sql/{cf.name}", text).chmod(0o600)
    i.give_to_user()
    i.write("main.cf", i.path("main.cf").read_text() + f"""
virtual_mailbox_base = {i.vmail}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
inet_interfaces = loopback-only
alias_maps =
""")
    return i


@pytest.mark.parametrize("way", ["socket", "tls"])
@pytest.mark.parametrize("rootless", [False, True], ids=["root", "rootless"])
def test_users_in_a_database(make, server, way, rootless):
    if os.geteuid() != 0 and not rootless:
        pytest.skip("root alone")
    i = make_instance(make, server, way, rootless)
    check = i.run("ostler", "check", check=False)
    assert check.returncode == 0 and "etc/sql/" not in check.stderr, check.stderr
    i.start()
    i.send("sender@example.test", "everybody@example.com", TEXT)
    for box in ("example.com/info", "example.com/sales"):
        new = i.vmail / box / "new"
        message = wait_for(lambda d=new: d.is_dir() and list(d.iterdir()))[0]
        assert "Subject: hello" in message.read_text()
    with i.smtp() as s:
        s.helo("client.example.test")
        s.mail("sender@example.test")
        assert s.rcpt("nobody@example.com")[0] == 550
        assert s.rcpt("info+list@example.org")[0] == 250
        assert s.rcpt("Info@Example.COM")[0] == 250
        assert s.rcpt("\"' or 1=1; -- \"@example.com")[0] == 550
    server.sql("INSERT INTO aliases (address, target) VALUES ('new@example.com', 'info@example.com')", "mail")
    i.send("sender@example.test", "new@example.com", TEXT)
    server.sql("DELETE FROM aliases WHERE address = 'new@example.com'", "mail")
    i.wait_empty()
    wait_for(lambda: len(list((i.vmail / "example.com/info/new").iterdir())) == 2)
    assert "change-me" not in i.log()


@pytest.mark.skipif(not names.available(), reason="root alone")
def test_certificates_are_compared_with_names(make, server):
    """Also where the library is given numbers in place of a name."""
    i = make("", rootless=False)
    query = f"query = {(EXAMPLES / f'virtual-users-{server.type}/sql/mailboxes.cf').read_text().split('query = ', 1)[1]}"
    key = "info@example.com"
    with names.SilentNameServer({"db.example.test": ["::1", "127.0.0.1"], "other.example.test": ["127.0.0.1"]}) as dns:
        results = {}
        for name in ("db.example.test", "other.example.test"):
            login = "" if server.type == "pgsql" else "user = mailreader\npassword = change-me\ndbname = mail\n"
            cf = i.write(f"{name}.cf", over_tls(server).replace("127.0.0.1", name) + login + query)
            i.give_to_user()
            results[name] = dns.run([PREFIX / "sbin/postmap", "-c", i.etc, "-q", key, f"{server.type}:{cf}"])
    good, bad = results.values()
    assert good.returncode == 0 and good.stdout, good.stderr
    assert bad.returncode != 0 and not bad.stdout
    assert re.search("certificate|SSL|TLS", bad.stderr), bad.stderr
    assert "change-me" not in bad.stderr


def test_a_database_that_goes_and_comes_back(make, server):
    i = make_instance(make, server, "socket", os.geteuid() != 0)
    i.start()
    i.send("sender@example.test", "info@example.com", TEXT)
    server.kill()
    with i.smtp() as s:
        s.helo("client.example.test")
        s.mail("sender@example.test")
        assert s.rcpt("info@example.com")[0] == 451
        assert s.rcpt("nobody@example.com")[0] == 451
    i.wait_log(f"warning: {server.type}:{i.etc}/sql/")
    server.start()

    def accepted():
        with i.smtp() as s:
            s.helo("client.example.test")
            s.mail("sender@example.test")
            return s.rcpt("info@example.com")[0] == 250 and s.rcpt("nobody@example.com")[0] == 550

    wait_for(accepted, 5)
    i.wait_log("is back")
    i.send("sender@example.test", "info@example.com", TEXT)

    def all_delivered():  # each process finds out by itself, within two seconds, that the database is back
        i.run("postqueue", "-f")
        return not i.queue_list()

    wait_for(all_delivered, 30, step=1)
    assert len(list((i.vmail / "example.com/info/new").iterdir())) >= 2
    assert "change-me" not in i.log()


@pytest.fixture(scope="module", params=["pgsql", "mysql"])
def administered(request):
    """A server with PostfixAdmin's database."""
    module, name = SERVERS[request.param]
    if not module.available() or not postfixadmin.available():
        pytest.skip("no such server here, or no PostfixAdmin")
    with getattr(module, name)() as db:
        db.make_database()
        postfixadmin.fill(db, 2000)
        yield db


# As its guide has them; the files are its own.
GUIDE = """
virtual_mailbox_domains = proxy:{type}:{sql}/mysql_virtual_domains_maps.cf
virtual_alias_maps =
   proxy:{type}:{sql}/mysql_virtual_alias_maps.cf,
   proxy:{type}:{sql}/mysql_virtual_alias_domain_maps.cf,
   proxy:{type}:{sql}/mysql_virtual_alias_domain_catchall_maps.cf
virtual_mailbox_maps =
   proxy:{type}:{sql}/mysql_virtual_mailbox_maps.cf,
   proxy:{type}:{sql}/mysql_virtual_alias_domain_mailbox_maps.cf
relay_domains = proxy:{type}:{sql}/mysql_relay_domains.cf
transport_maps = proxy:{type}:{sql}/mysql_transport_maps.cf
"""


@pytest.mark.parametrize("rootless", [False, True], ids=["root", "rootless"])
def test_users_of_postfixadmin(make, administered, rootless, tmp_path):
    if os.geteuid() != 0 and not rootless:
        pytest.skip("root alone")
    i = make("", rootless=rootless)
    uid, gid = give_mailboxes(i)
    (i.etc / "sql").mkdir()
    for path in postfixadmin.files(administered, tmp_path).values():
        i.write(f"sql/{path.name}", path.read_text()).chmod(0o600)
    i.write("main.cf", i.path("main.cf").read_text() + GUIDE.format(type=administered.type, sql=i.etc / "sql") +
            "smtpd_relay_restrictions = reject_unauth_destination\n"
            f"virtual_mailbox_base = {i.vmail}\nvirtual_uid_maps = static:{uid}\nvirtual_gid_maps = static:{gid}\nvirtual_minimum_uid = 1\n")
    i.give_to_user()
    check = i.run("ostler", "check", check=False)
    assert check.returncode == 0 and "etc/sql/" not in check.stderr, check.stderr
    i.start()
    i.send("sender@example.test", "sales@alias.test", TEXT)  # an alias domain, an alias of two, their mailboxes, the domain's transport
    for box in ("user1", "user1001"):
        new = i.vmail / "d1.example.test" / box / "new"
        wait_for(lambda d=new: d.is_dir() and list(d.iterdir()))
    i.send("sender@example.test", "anybody@catch.test", TEXT)
    wait_for(lambda: (i.vmail / "d2.example.test/user2/new").is_dir())
    with i.smtp() as s:
        s.helo("client.example.test")
        s.mail("sender@example.test")
        assert [s.rcpt(r)[0] for r in ("nobody@d1.example.test", "gone@d1.example.test", "nobody@alias.test")] == [550, 550, 550]
        assert [s.rcpt(r)[0] for r in ("user5@d5.example.test", "User5@D5.example.test", "any@d2.example.test")] == [250, 250, 250]
        assert s.rcpt("user7@d7.example.test")[0] in (454, 554)  # a domain that is switched off
    i.wait_empty()
    assert MAIL_PASSWORD not in i.log()


@pytest.mark.parametrize("rootless", [False, True], ids=["root", "rootless"])
def test_users_in_a_file(make, rootless):
    """sqlite: the database lies where sealed processes open nothing by themselves; rows change, its journal becomes another one, and
    another file takes its place."""
    if os.geteuid() != 0 and not rootless:
        pytest.skip("root alone")
    i = make("virtual_mailbox_domains = example.com\nvirtual_minimum_uid = 1\n", rootless=rootless)
    uid, gid = give_mailboxes(i)
    ids = pwd.getpwnam(i.user)
    folder = i.folder / "databases"
    folder.mkdir()
    path = folder / "users"

    def fill(to, sql):
        with contextlib.closing(sqlite3.connect(to)) as db:
            db.executescript(sql)
        to.chmod(0o644)
        if os.geteuid() == 0:
            for f in (folder, *folder.iterdir()):
                os.chown(f, ids.pw_uid, ids.pw_gid)

    fill(path, "CREATE TABLE m (a TEXT PRIMARY KEY, d TEXT); INSERT INTO m VALUES ('info@example.com', 'example.com/info/')")
    cf = i.write("boxes.cf", f"dbpath = {path}\nquery = SELECT d FROM m WHERE a = '%s'\n")
    i.write("main.cf", i.path("main.cf").read_text() + f"virtual_mailbox_maps = sqlite:{cf}\nvirtual_uid_maps = static:{uid}\n"
            f"virtual_gid_maps = static:{gid}\n")
    i.give_to_user()
    i.start()

    def code(recipient):
        with i.smtp() as s:
            s.helo("client.example.test")
            s.mail("sender@example.test")
            return s.rcpt(recipient)[0]

    i.send("sender@example.test", "info@example.com", TEXT)
    wait_for(lambda: (i.vmail / "example.com/info/new").is_dir())
    assert code("new@example.com") == 550
    fill(path, "INSERT INTO m VALUES ('new@example.com', 'example.com/new/')")
    assert code("new@example.com") == 250
    fill(folder / "other", "CREATE TABLE m (a TEXT PRIMARY KEY, d TEXT); INSERT INTO m VALUES ('other@example.com', 'example.com/other/')")
    (folder / "other").rename(path)
    wait_for(lambda: code("other@example.com") == 250 and code("new@example.com") == 550, 10)
    with contextlib.closing(sqlite3.connect(path)) as writer:
        fill(path, "PRAGMA journal_mode = WAL; INSERT INTO m VALUES ('wal@example.com', 'example.com/wal/')")
        writer.execute("SELECT * FROM m").fetchall()
        fill(path, "")
        wait_for(lambda: code("wal@example.com") == 250, 5)
        fill(path, "INSERT INTO m VALUES ('more@example.com', 'example.com/wal/')")
        assert code("more@example.com") == 250
    i.wait_empty()
