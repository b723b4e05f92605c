# SPDX-License-Identifier: Apache-2.0
"""pgsql and mysql tables and their servers: PostfixAdmin's queries, hostile keys, servers that die, hang, or refuse."""

import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading
import time

import mariadb
import names
import postfix
import postfixadmin
import postgres
import pytest
from dbserver import DATABASE, MAIL_PASSWORD, MAIL_USER
from instance import Instance, wait_for

BUILD = pathlib.Path(os.environ.get("OST_BUILDDIR", pathlib.Path(__file__).resolve().parents[2]))
MAILBOXES = int(os.environ.get("OST_SQL_MAILBOXES", "100000"))
SERVERS = {"pgsql": (postgres, "Postgres"), "mysql": (mariadb, "MariaDB")}


@pytest.fixture(scope="module", params=["pgsql", "mysql"])
def server(request):
    module, name = SERVERS[request.param]
    if not module.available() or not postfixadmin.available():
        pytest.skip("no such server here, or no PostfixAdmin")
    with getattr(module, name)() as db:
        db.make_database()
        postfixadmin.fill(db, MAILBOXES)
        yield db


@pytest.fixture
def ostler():
    i = Instance("ostler_module_timeout = 3s\n")
    yield i
    i.remove()


def write_cf(i, db, name, hosts=None, password=MAIL_PASSWORD, more="", query=None):
    path = i.write(f"{name}.cf", f"user = {MAIL_USER}\npassword = {password}\nhosts = {hosts or db.hosts()}\ndbname = {DATABASE}\n"
                   f"query = {query or postfixadmin.query(name)}\n{more}")
    i.give_to_user()
    return f"{db.type}:{path}"


def ask(i, spec, keys):
    """key -> value or None, by one postmap."""
    text = "".join(f"{k}\n" for k in keys)
    out = i.run("postmap", "-q", "-", spec, input=text, check=False)
    assert "fatal" not in out.stderr and "error" not in out.stderr, out.stderr
    found = dict(line.split("\t", 1) for line in out.stdout.splitlines())
    return {k: found.get(k) for k in keys}


class Asker:
    """Many threads that ask one table, in a process of its own: tests/bench/sql/table-ask."""

    def __init__(self, i, spec, pairs, threads, seconds):
        self.steps, self.sum = [], {}
        self.errors = open(i.folder / "asker", "w+", encoding="utf-8")
        self.process = subprocess.Popen([str(BUILD / "tests/bench/sql/table-ask"), str(i.etc), spec, str(threads), str(seconds)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.process.stdin.write("".join(f"{k}\t{v}\n" if v else f"{k}\n" for k, v in pairs))
        self.process.stdin.close()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            numbers = {k: int(v) for k, v in (word.split("=") for word in line.split()[1:])}
            numbers["at"] = time.monotonic()
            if line.startswith("sum"):
                self.sum = numbers
            else:
                self.steps.append(numbers)

    def since(self, when):
        return [s for s in list(self.steps) if s["at"] - 0.15 >= when]

    def finish(self, at_once=False):
        if at_once:
            self.process.terminate()
        self.reader.join(120)
        assert self.process.wait(10) == 0
        self.errors.seek(0)
        return self.errors.read()


PAIRS = [("user5@d5.example.test", "d5.example.test/user5/"), ("user1001@d1.example.test", "d1.example.test/user1001/"),
         ("nobody@d1.example.test", None)]


# ---- answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changed", [False, True], ids=["verbatim", "changed for PostgreSQL"])
def test_postfixadmins_queries(server, ostler, changed):
    if changed and server.type != "pgsql":
        pytest.skip("for PostgreSQL alone")
    wrong, asked = [], 0
    for name in postfixadmin.queries():
        keys = {k: v for n, k, v in postfixadmin.ANSWERS if n == name}
        got = ask(ostler, write_cf(ostler, server, name, query=postfixadmin.query(name, changed)), keys)
        wrong += [f"{name} {k}: {got[k]!r}, not {v!r}" for k, v in keys.items() if got[k] != v]
        asked += len(keys)
    assert not wrong, "\n".join(wrong)
    assert asked == len(postfixadmin.ANSWERS)
    last = f"user{MAILBOXES}@d{MAILBOXES % postfixadmin.DOMAINS}.example.test"
    assert ask(ostler, write_cf(ostler, server, "virtual_mailbox_maps"), [last])[last]


@pytest.mark.skipif(not postfix.available(), reason="needs Postfix, and root")
def test_the_files_of_postfixadmins_guide(server, ostler, tmp_path):
    """As its script writes them, for both: the same answers as Debian's Postfix."""
    reference = postfix.Postfix("")
    keys = sorted({k for _, k, _ in postfixadmin.ANSWERS} | {"o'neil@d1.example.test", "user1@D1.example.test", "x@", "@", "100%@d1.example.test"})
    text, wrong = "".join(f"{k}\n" for k in keys), []
    try:
        files = postfixadmin.files(server, tmp_path)
        assert len(files) >= 9
        for name, made in files.items():
            theirs, mine = reference.etc / made.name, ostler.write(made.name, made.read_text())
            theirs.write_text(made.read_text())
            ostler.give_to_user()
            expected = subprocess.run(["/usr/sbin/postmap", "-c", str(reference.etc), "-q", "-", f"{server.type}:{theirs}"], input=text, text=True,
                                      capture_output=True, check=False)
            got = ostler.run("postmap", "-q", "-", f"{server.type}:{mine}", input=text, check=False)
            assert "error" not in expected.stderr and "fatal" not in expected.stderr, expected.stderr
            if got.stdout != expected.stdout or "error" in got.stderr:
                wrong.append(f"{name}: Postfix {expected.stdout!r}, Ostler {got.stdout!r} {got.stderr}")
    finally:
        shutil.rmtree(reference.folder, ignore_errors=True)
    assert not wrong, "\n".join(wrong)


HOSTILE = ["'", "''", "\"", "\\", "\\'", "' OR '1'='1", "x' OR 1=1 -- ", "'; DROP TABLE alias; -- ", "%", "%s", "%%s", "%d@%d", "$1", "?", ":x",
           "a\tb", "/* */", "\u00e9\u00df\u6f22", "\u02bc OR 1=1", "' UNION SELECT password FROM mailbox -- @d1.example.test", "\\' OR 1=1 #@d1.example.test",
           "x" * 65536, "'" * 30000 + "@d1.example.test"]


def fits_latin1(key):
    return all(ord(c) < 0x100 for c in key)


def test_keys_that_a_columns_character_set_lacks(server, ostler):
    """PostfixAdmin's columns are Latin 1 in MySQL: what does not fit is refused by the server, and is not "not found", as in Postfix."""
    spec = write_cf(ostler, server, "virtual_alias_maps")
    assert ask(ostler, spec, ["\u00e9@d1.example.test"]) == {"\u00e9@d1.example.test": None}
    out = ostler.run("postmap", "-q", "\u6f22@d1.example.test", spec, check=False)
    assert out.stdout == "" and out.returncode != 0
    assert ("Illegal mix of collations" in out.stderr) == (server.type == "mysql")


@pytest.mark.parametrize("form", ["bound", "as text"])
def test_hostile_keys_are_only_keys(server, ostler, form):
    """In a query that binds its parameters, and in one that has to be written out."""
    bound = form == "bound"
    query = "SELECT goto FROM alias WHERE address = '%s'" if bound else {
        "pgsql": "SELECT goto FROM alias WHERE address = text '%s'", "mysql": "SELECT goto FROM alias WHERE address = _utf8mb4'%s'"}[server.type]
    spec = write_cf(ostler, server, "hostile", query=query)
    before = len(server.queries())
    keys = [k for k in HOSTILE if server.type != "mysql" or fits_latin1(k)]
    got = ask(ostler, spec, keys + ["sales@d1.example.test"])
    assert got["sales@d1.example.test"].startswith("user1@")
    assert all(v is None for k, v in got.items() if k != "sales@d1.example.test"), {k: v for k, v in got.items() if v}
    seen = server.queries()[before:]
    assert server.sql("SELECT count(*) FROM alias").strip() == str(MAILBOXES + 3)
    if bound and server.type == "pgsql":  # one text, whatever the key
        statements = set(re.findall(r"execute ostler: (.*)", seen))
        assert statements == {"SELECT goto FROM alias WHERE address = $1"}
    elif bound:
        executed = re.findall(r"Prepare\t(.*)", seen)
        assert set(executed) == {"SELECT goto FROM alias WHERE address = ?"}
    else:
        asked = [line for line in seen.splitlines() if "SELECT goto" in line and "address = text $1" not in line]  # which was tried first
        literal = r"'(?:[^'\\]|''|\\.)*'" if server.type == "mysql" else r"'(?:[^']|'')*'"
        # psql's own form of a text with backslashes is E'…' with doubled ones; libpq's escape only doubles quotes
        shape = re.compile(r"SELECT goto FROM alias WHERE address = (?:text|_utf8mb4) ?[ ]?E?" + literal + r"$")
        assert len(asked) >= len(keys) and all(shape.search(line) for line in asked), [line for line in asked if not shape.search(line)]


@pytest.mark.parametrize("key", [b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80"])
def test_what_no_text_can_be_is_not_asked(server, ostler, key):
    spec = write_cf(ostler, server, "virtual_alias_maps")
    before = len(server.queries())
    out = subprocess.run([str(ostler_exe()), "-c", str(ostler.etc), "-q", "-", spec], input=key + b"\n", capture_output=True, check=False)
    assert out.stdout == b"" and b"error" not in out.stderr
    assert "WHERE address" not in server.queries()[before:].replace("Prepare", "")


def ostler_exe():
    return pathlib.Path(os.environ["OST_PREFIX"]) / "sbin/postmap"


# ---- servers that do not work --------------------------------------------------------------------------------------------


def test_killed_and_started_again(server, ostler):
    """Fifty threads: before, meanwhile and afterwards no wrong answer; right ones within five seconds."""
    spec = write_cf(ostler, server, "virtual_mailbox_maps", more="max_connections = 4\n")
    asker = Asker(ostler, spec, PAIRS, 50, 110)
    wait_for(lambda: sum(s["good"] for s in list(asker.steps)) > 0)
    server.kill()
    dead = time.monotonic()
    time.sleep(3)
    meanwhile = asker.since(dead + 0.5)
    server.start()
    back = time.monotonic()
    time.sleep(7)
    log = asker.finish(at_once=True)
    assert asker.sum["wrong"] == 0
    assert meanwhile and all(s["good"] == 0 and s["later"] > 0 for s in meanwhile), meanwhile
    after = asker.since(back + 5)
    assert after and all(s["later"] == 0 and s["good"] > 0 for s in after), after
    assert MAIL_PASSWORD not in log
    assert log.count("warning:") < 20, log  # told once, not by each thread


class Hole:
    """A server that accepts, and never says a word."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port, self.accepted = self.listener.getsockname()[1], []
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                self.accepted.append(self.listener.accept()[0])

    def __exit__(self, *exc):
        self.listener.close()
        for s in self.accepted:
            s.close()


def test_a_server_that_never_answers(server, ostler):
    """A hundred threads: the first find out, at most their time long; the others are told at once."""
    with Hole() as hole:
        spec = write_cf(ostler, server, "virtual_mailbox_maps", hosts=f"inet:127.0.0.1:{hole.port}", more="max_connections = 3\n")
        asker = Asker(ostler, spec, PAIRS, 100, 10)
        asker.finish()
    assert asker.sum["good"] == 0 and asker.sum["wrong"] == 0
    assert asker.sum["worst"] < 4_500_000
    assert asker.sum["later"] > 100 * 10
    assert len(hole.accepted) < 20


def test_a_server_that_stops_in_the_middle(server, ostler):
    """It hangs while it works on a question."""
    sleep = {"pgsql": "SELECT pg_sleep(60)::text || '%s'", "mysql": "SELECT CONCAT(SLEEP(60), '%s')"}[server.type]
    spec = write_cf(ostler, server, "slow", query=sleep)
    start = time.monotonic()
    out = ostler.run("postmap", "-q", "x", spec, check=False)
    assert out.returncode != 0 and "no answer in time" in out.stderr
    assert 2.5 < time.monotonic() - start < 6


@pytest.mark.skipif(not names.available(), reason="root alone")
def test_a_name_server_that_never_answers(server, ostler):
    """The libraries would wait for it as long as resolv.conf says; a name of the hosts file is found meanwhile, and its addresses are
    tried one after the other."""
    spec = write_cf(ostler, server, "virtual_mailbox_maps", hosts=f"inet:no-such-name.example.test:{server.port}")
    with names.SilentNameServer({"db.example.test": ["::1", "127.0.0.1"]}) as dns:
        out = dns.run([ostler_exe(), "-c", ostler.etc, "-q", "user5@d5.example.test", spec])
        assert out.returncode != 0 and out.stdout == ""
        assert "host no-such-name.example.test: its address was not found in time" in out.stderr
        assert dns.was_asked()
        spec = write_cf(ostler, server, "virtual_mailbox_maps", hosts=f"inet:db.example.test:{server.port}")
        out = dns.run([ostler_exe(), "-c", ostler.etc, "-q", "user5@d5.example.test", spec])
        assert out.stdout == "d5.example.test/user5/\n", out.stderr


def test_the_next_server_is_taken(server, ostler):
    with socket.create_server(("127.0.0.1", 0)) as s:
        closed = s.getsockname()[1]
    hosts = f"unix:/nonexistent/socket inet:127.0.0.1:{closed} inet:127.0.0.1:{server.port}"
    spec = write_cf(ostler, server, "virtual_mailbox_maps", hosts=hosts)
    assert ask(ostler, spec, ["user5@d5.example.test"]) == {"user5@d5.example.test": "d5.example.test/user5/"}


def test_a_wrong_password(server, ostler):
    spec = write_cf(ostler, server, "virtual_mailbox_maps", password="not-the-one")
    out = ostler.run("postmap", "-q", "user5@d5.example.test", spec, check=False)
    assert out.returncode != 0 and "virtual_mailbox_maps.cf" in out.stderr
    assert "not-the-one" not in out.stderr + out.stdout
    assert re.search("password authentication failed|Access denied", out.stderr)


def test_a_query_that_is_wrong_is_told_and_harms_no_other(server, ostler):
    bad = write_cf(ostler, server, "bad", query="SELECT nothing FROM nowhere WHERE x = '%s'")
    out = ostler.run("postmap", "-q", "x", bad, check=False)
    assert out.returncode != 0 and "bad.cf" in out.stderr and "nowhere" in out.stderr


# ---- .cf files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line,told", [
    ("expansion_limit = many", "line 6: parameter expansion_limit:"),
    ("retry_interval = soon", "line 6: parameter retry_interval:"),
    ("unknown_thing = 1", "line 6: unused parameter: unknown_thing"),
    ("no equals sign", "line 6: missing '=' after attribute name"),
    ("result_format = %x", "Invalid result template: %x"),
])
def test_what_is_wrong_in_a_file_is_told_with_its_line(server, ostler, line, told):
    spec = write_cf(ostler, server, "virtual_mailbox_maps", more=line + "\n")
    path = spec.split(":", 1)[1]
    assert told in ostler.run("postmap", "-q", "x", spec, check=False).stderr
    ostler.write("main.cf", ostler.path("main.cf").read_text() + f"virtual_mailbox_maps = {spec}\n")
    check = ostler.run("ostler", "check", check=False)
    assert told in check.stderr and path in check.stderr
    assert MAIL_PASSWORD not in check.stderr


def test_parameters_in_main_cf(server, ostler):
    """The old form: type:name has name_parameter in main.cf."""
    lines = {"hosts": server.hosts(), "user": MAIL_USER, "password": MAIL_PASSWORD, "dbname": DATABASE,
             "query": postfixadmin.query("virtual_mailbox_maps")}
    ostler.write("main.cf", ostler.path("main.cf").read_text() + "".join(f"boxes_{k} = {v}\n" for k, v in lines.items()) +
                 f"virtual_mailbox_maps = {server.type}:boxes\n")
    assert ask(ostler, f"{server.type}:boxes", ["user5@d5.example.test"]) == {"user5@d5.example.test": "d5.example.test/user5/"}
    check = ostler.run("ostler", "check", check=False)
    assert MAIL_PASSWORD not in check.stderr and "unused parameter" not in check.stderr, check.stderr
