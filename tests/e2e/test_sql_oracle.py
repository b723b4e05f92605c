# SPDX-License-Identifier: Apache-2.0
"""pgsql, mysql and sqlite tables answer what Debian's Postfix answers, for the same .cf files and keys."""

import contextlib
import shutil
import subprocess
import sqlite3

import mariadb
import postfix
import postgres
import pytest
import sqlcases
from dbserver import DATABASE, MAIL_PASSWORD, MAIL_USER
from instance import Instance


UTF8_KEY = "sm\u00f8rrebr\u00f8d@example.com"


class Sqlite:
    """A database in a file, with the same face as a server."""

    type = "sqlite"

    def __init__(self, folder):
        self.path = folder / "database"

    def make_database(self):
        return self

    def sql(self, text):
        with contextlib.closing(sqlite3.connect(self.path)) as db:
            db.executescript(text)
        self.path.chmod(0o644)


def login(db):
    """How a .cf file says where the database is."""
    if db.type == "sqlite":
        return f"dbpath = {db.path}\n"
    return f"hosts = {db.hosts()}\nuser = {MAIL_USER}\npassword = {MAIL_PASSWORD}\ndbname = {DATABASE}\n"


def postfix_login(db):
    """The same for Postfix; libpq wants the socket's folder, and Postfix passes on what it is given."""
    if db.type == "pgsql":
        return login(db).replace(db.hosts(), f"postgresql://{MAIL_USER}:{MAIL_PASSWORD}@/{DATABASE}?host={db.folder}&port={db.port}")
    return login(db)


@pytest.fixture(scope="module", params=["pgsql", "mysql", "sqlite"])
def database(request, tmp_path_factory):
    with contextlib.ExitStack() as stack:
        if request.param == "sqlite":
            folder = tmp_path_factory.mktemp("sqlite")
            for f in (folder, *folder.parents[:2]):
                with contextlib.suppress(OSError):
                    f.chmod(0o755)
            db = Sqlite(folder)
        else:
            module = {"pgsql": postgres, "mysql": mariadb}[request.param]
            if not module.available():
                pytest.skip("no such server here")
            db = stack.enter_context(getattr(module, {"pgsql": "Postgres", "mysql": "MariaDB"}[request.param])())
        db.make_database()
        db.sql(sqlcases.schema(db.type))
        yield db


@pytest.fixture(scope="module")
def ostler():
    i = Instance("")
    yield i
    i.remove()


def answers(postmap, spec, keys):
    """key -> value, None when it is not found, "error" when the table cannot tell. postmap(*arguments, input=…) runs one. All keys
    at once; one by one where that fails."""
    result = postmap("-q", "-", spec, input="".join(f"{k}\n" for k in keys))
    if "fatal" not in result.stderr and "error" not in result.stderr:
        found = dict(line.split("\t", 1) for line in result.stdout.splitlines())
        return {k: found.get(k) for k in keys}
    if len(keys) == 1:
        return {keys[0]: "error"}
    return {k: v for key in keys for k, v in answers(postmap, spec, [key]).items()}


def cases(kind):
    return sqlcases.CASES + sqlcases.ONLY[kind]


@pytest.mark.skipif(not postfix.available(), reason="needs Postfix, and root")
def test_answers_are_those_of_postfix(database, ostler):
    reference = postfix.Postfix("smtputf8_enable = yes\n")

    def theirs(*argv, input):
        return subprocess.run(["/usr/sbin/postmap", "-c", str(reference.etc), *argv], input=input, capture_output=True, text=True, check=False)

    def ours(*argv, input):
        return ostler.run("postmap", *argv, input=input, check=False)

    wrong, asked = [], 0
    try:
        for n, (parameters, keys) in enumerate(cases(database.type)):
            mine = ostler.write(f"{database.type}{n}.cf", login(database) + parameters)
            other = reference.etc / f"{database.type}{n}.cf"
            other.write_text(postfix_login(database) + parameters)
            expected, got = answers(theirs, f"{database.type}:{other}", keys), answers(ours, f"{database.type}:{mine}", keys)
            asked += len(keys)
            if database.type == "pgsql" and UTF8_KEY in keys:  # Postfix 3.7 takes it for Latin 1 (docs/differences.md)
                assert got.pop(UTF8_KEY) == "utf8@example.org" and expected.pop(UTF8_KEY) is None
            wrong += [f"{parameters!r} {k!r}: Postfix {expected[k]!r}, Ostler {got[k]!r}" for k in got if got[k] != expected[k]]
    finally:
        shutil.rmtree(reference.folder, ignore_errors=True)
    assert asked >= 70
    assert not wrong, "\n".join(wrong)
