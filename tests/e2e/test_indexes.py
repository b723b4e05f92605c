# SPDX-License-Identifier: Apache-2.0
"""Index files under running workers: changed, too old, left by Postfix, made by Postfix."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import pytest

from instance import wait_for

POSTMAP = pathlib.Path("/usr/sbin/postmap")
DYNAMIC = pathlib.Path("/etc/postfix/dynamicmaps.cf")
TYPES = ("hash", "cdb", "lmdb", "btree")
needs_postfix = pytest.mark.skipif(not POSTMAP.exists(), reason="Debian's postmap makes the files")


def their_postmap(table):
    with tempfile.TemporaryDirectory() as config:
        (pathlib.Path(config) / "main.cf").write_text("compatibility_level = 3.6\n")
        (pathlib.Path(config) / "master.cf").touch()
        if DYNAMIC.exists():
            shutil.copy(DYNAMIC, config)
        subprocess.run([str(POSTMAP), table], env={**os.environ, "MAIL_CONFIG": config}, check=True, capture_output=True)


def instance(make, table_type, text, rootless, maker=None):
    """Runs with that table as its recipients' access table; maker makes the index."""
    i = make(rootless=rootless)
    path = i.write("access", text)
    i.write("main.cf", i.path("main.cf").read_text()
            + f"smtpd_recipient_restrictions = check_recipient_access {table_type}:{path}, permit_mynetworks, reject\n")
    i.give_to_user()
    if maker:
        maker(i, f"{table_type}:{path}")
    else:
        i.run("postmap", f"{table_type}:{path}")
    return i, path


def reply_to(i, recipient):
    with i.raw() as d:
        d.reply()
        d.ask("HELO client.test")
        d.ask("MAIL FROM:<a@b.test>")
        return d.ask(f"RCPT TO:<{recipient}>")


@pytest.mark.parametrize("rootless", [False, True])
@pytest.mark.parametrize("table_type", TYPES)
def test_a_changed_index_is_taken_up_without_a_reload(make, table_type, rootless):
    i, path = instance(make, table_type, "joe@x.test 554 first\n", rootless)
    with i:
        assert "first" in reply_to(i, "joe@x.test")
        for text in ("second", "third"):
            i.write("access", f"joe@x.test 554 {text}\n")
            i.give_to_user()
            i.run("postmap", f"{table_type}:{path}")
            wait_for(lambda text=text: text in reply_to(i, "joe@x.test"))
        assert "reload" not in i.log()


@pytest.mark.parametrize("table_type", TYPES)
def test_an_index_that_is_older_than_its_source(make, table_type):
    suffix = {"hash": "db", "cdb": "cdb"}.get(table_type, "lmdb")
    i, path = instance(make, table_type, "joe@x.test 554 from the index\n", True)
    now = time.time()
    os.utime(f"{path}.{suffix}", (now - 2000, now - 2000))
    i.write("access", "joe@x.test 554 from the text\n")
    os.utime(path, (now - 1000, now - 1000))
    i.give_to_user()
    with i:
        assert "from the index" in reply_to(i, "joe@x.test")
        i.wait_log(f"warning: database {path}.{suffix} is older than source file {path}")


@needs_postfix
@pytest.mark.parametrize("table_type", ["hash", "btree"])
def test_the_text_stands_in_for_a_file_of_berkeley_db(make, table_type):
    def theirs(i, table):
        their_postmap(table)
        i.give_to_user()

    i, path = instance(make, table_type, "joe@x.test 554 from the text\n", True, theirs)
    left = pathlib.Path(f"{path}.db").read_bytes()
    with i:
        assert "from the text" in reply_to(i, "joe@x.test")
        i.wait_log(f"{path}.db is a Berkeley DB file, which is not read: the text file {path} is used in its place; "
                   f'run "postmap {table_type}:{path}"')
        i.write("access", "joe@x.test 554 from the index\n")
        i.give_to_user()
        i.run("postmap", f"{table_type}:{path}")
        wait_for(lambda: "from the index" in reply_to(i, "joe@x.test"))
        if table_type == "btree":
            assert pathlib.Path(f"{path}.db").read_bytes() == left


@needs_postfix
@pytest.mark.parametrize("table_type", ["cdb", "lmdb"])
def test_indexes_made_by_postfix_are_read(make, table_type):
    def theirs(i, table):
        their_postmap(table)
        i.give_to_user()

    i, path = instance(make, table_type, "joe@x.test 554 made by Postfix\n", True, theirs)
    with i:
        assert "made by Postfix" in reply_to(i, "joe@x.test")
        i.write("access", "joe@x.test 554 made by Postfix again\n")
        their_postmap(f"{table_type}:{path}")  # lmdb: in place
        i.give_to_user()
        wait_for(lambda: "made by Postfix again" in reply_to(i, "joe@x.test"))


@needs_postfix
@pytest.mark.parametrize("option", [[], ["-n"], ["-N"]])
@pytest.mark.parametrize("table_type", ["cdb", "lmdb"])
def test_postfix_reads_what_is_made_here(make, table_type, option):
    i = make(rootless=True)
    path = i.write("map", "key value\nother two words\n")
    i.give_to_user()
    i.run("postmap", *option, f"{table_type}:{path}")
    with tempfile.TemporaryDirectory() as config:
        (pathlib.Path(config) / "main.cf").write_text("compatibility_level = 3.6\n")
        (pathlib.Path(config) / "master.cf").touch()
        if DYNAMIC.exists():
            shutil.copy(DYNAMIC, config)
        out = subprocess.run([str(POSTMAP), "-q", "other", f"{table_type}:{path}"], env={**os.environ, "MAIL_CONFIG": config},
                             capture_output=True, text=True, check=False)
    assert (out.stdout, out.stderr) == ("two words\n", "")


def test_a_reader_never_sees_half_of_an_index(make):
    """Many queries while the index is made again and again: each finds an old value or a new one."""
    i = make(rootless=True)
    fill = "".join(f"key{n} filler\n" for n in range(3000))
    path = i.write("map", fill + "last 0\n")
    i.give_to_user()
    for table_type in TYPES:
        i.run("postmap", f"{table_type}:{path}")
        for n in range(5):
            i.write("map", fill + f"last {n}\n")
            i.give_to_user()
            maker = subprocess.Popen([*i.as_user(), str(pathlib.Path(os.environ["OST_PREFIX"]) / "sbin/postmap"), "-c", str(i.etc),
                                      f"{table_type}:{path}"])
            while maker.poll() is None:
                assert i.run("postmap", "-q", "last", f"{table_type}:{path}").stdout.strip().isdigit()
            assert maker.returncode == 0
            assert i.run("postmap", "-q", "last", f"{table_type}:{path}").stdout == f"{n}\n"
