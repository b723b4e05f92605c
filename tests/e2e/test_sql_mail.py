# SPDX-License-Identifier: Apache-2.0
"""Mail for users who stand in a database: the examples of docs/virtual-users-sql.md as they are, in root mode and rootless, by a
socket and over TLS. The processes that ask are sealed: certificates lie where they may not open files."""

import contextlib
import os
import pathlib
import pwd
import sqlite3

import mariadb
import postgres
import pytest
from instance import wait_for

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


def make_instance(make, db, way, rootless):
    example = EXAMPLES / f"virtual-users-{db.type}"
    i = make((example / "main.cf").read_text(), rootless=rootless)
    ids = pwd.getpwnam(i.user)
    uid, gid = (ids.pw_uid, ids.pw_gid) if i.rootless else (5000, 5000)
    os.chown(i.vmail, uid, gid)
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


@pytest.mark.parametrize("rootless", [False, True], ids=["root", "rootless"])
def test_users_in_a_file(make, rootless):
    """sqlite: the database lies where sealed processes open nothing by themselves; rows change, its journal becomes another one, and
    another file takes its place."""
    if os.geteuid() != 0 and not rootless:
        pytest.skip("root alone")
    i = make("virtual_mailbox_domains = example.com\nvirtual_minimum_uid = 1\n", rootless=rootless)
    ids = pwd.getpwnam(i.user)
    uid, gid = (ids.pw_uid, ids.pw_gid) if i.rootless else (5000, 5000)
    os.chown(i.vmail, uid, gid)
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
