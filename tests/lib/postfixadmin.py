# SPDX-License-Identifier: Apache-2.0
"""PostfixAdmin's own database: its tables made by its own program (public/upgrade.php, which setup.php runs, too), filled by the server
itself, and the files of its guide for Postfix (DOCUMENTS/POSTFIX_CONF.txt), made by the guide itself, which is a shell script."""

import gzip
import pathlib
import re
import shutil
import subprocess

from dbserver import DATABASE, MAIL_PASSWORD, MAIL_USER

PROGRAM = pathlib.Path("/usr/share/postfixadmin")
SETTINGS = pathlib.Path("/etc/postfixadmin/config.inc.php")
GUIDE = pathlib.Path("/usr/share/doc/postfixadmin/DOCUMENTS/POSTFIX_CONF.txt.gz")
DOMAINS = 1000

# What dbconfig-common writes at installation, and the settings that an administrator makes.
DBCONFIG = """<?php
$dbuser = '{user}'; $dbpass = ''; $basepath = ''; $dbname = '{name}'; $dbserver = '{host}'; $dbport = '{port}'; $dbtype = '{type}';
"""
LOCAL = """<?php
$CONF['configured'] = true; $CONF['database_type'] = '{kind}'; $CONF['database_user'] = '{user}'; $CONF['database_password'] = '';
$CONF['database_name'] = '{name}'; $CONF['database_host'] = '{host}'; $CONF['database_socket'] = '{socket}'; $CONF['database_port'] = '{port}';
"""
UPGRADE = "define('POSTFIXADMIN_CLI', 1); chdir('{folder}/public'); require 'upgrade.php';"


def available():
    return PROGRAM.exists() and GUIDE.exists() and shutil.which("php") is not None


def make_tables(db):
    """Runs PostfixAdmin's upgrade against the empty database, from a copy of the program with settings of its own."""
    folder = db.folder / "postfixadmin"
    shutil.copytree(PROGRAM, folder, symlinks=True, ignore=lambda at, names: [n for n in names if (pathlib.Path(at) / n).is_symlink()])
    shutil.copy(SETTINGS, folder / "config.inc.php")
    values = {"name": DATABASE, "user": db.admin, "host": db.folder, "port": db.port, "type": db.type, "socket": db.socket(),
              "kind": "pgsql" if db.type == "pgsql" else "mysqli"}
    (folder / "dbconfig.inc.php").write_text(DBCONFIG.format(**values))
    (folder / "config.local.php").write_text(LOCAL.format(**values))
    db.give()
    out = db.command("php", "-d", "display_errors=stderr", "-d", f"include_path={folder}", "-r", UPGRADE.format(folder=folder))
    if "updating to version" not in out:
        raise AssertionError(f"PostfixAdmin's upgrade says: {out[-2000:]}")
    shutil.rmtree(folder)


# {seq} is a table of the numbers 1 … n with the column i, {cat} puts texts together.
ROWS = [
    ("domains", "INSERT INTO domain (domain, description, aliases, mailboxes, maxquota, quota, transport, backupmx, active) SELECT {domain}, 'Domain', "
                "0, 0, 0, 0, CASE WHEN i % 100 = 0 THEN 'smtp:[10.0.0.1]' ELSE 'virtual' END, i % 100 = 0, i % 50 <> 7 FROM {seq}"),
    ("mailboxes", "INSERT INTO mailbox (username, password, name, maildir, quota, local_part, domain, active) SELECT {address}, '', '', {maildir}, "
                  "1000 * i, {local}, {domain}, {true} FROM {seq}"),
    ("mailboxes", "INSERT INTO alias (address, goto, domain, active) SELECT {address}, {address}, {domain}, {true} FROM {seq}"),
]
FEW = """
INSERT INTO domain (domain, description, transport, backupmx, active) VALUES ('alias.test', 'An alias', 'virtual', {false}, {true}),
  ('catch.test', 'Another one', 'virtual', {false}, {true});
INSERT INTO alias (address, goto, domain, active) VALUES ('sales@d1.example.test', 'user1@d1.example.test,user1001@d1.example.test', 'd1.example.test', {true}),
  ('@d2.example.test', 'user2@d2.example.test', 'd2.example.test', {true}), ('gone@d1.example.test', 'user1@d1.example.test', 'd1.example.test', {false});
INSERT INTO alias_domain (alias_domain, target_domain, active) VALUES ('alias.test', 'd1.example.test', {true}), ('catch.test', 'd2.example.test', {true});
"""


def forms(kind, n):
    cat = (lambda *a: " || ".join(a)) if kind == "pgsql" else (lambda *a: "concat(" + ", ".join(a) + ")")
    number = f"(i % {DOMAINS})"
    domain, local = cat("'d'", number, "'.example.test'"), cat("'user'", "i")
    return {
        "seq": f"generate_series(1, {n}) AS s(i)" if kind == "pgsql" else f"(SELECT seq AS i FROM seq_1_to_{n}) AS s",
        "domain": domain, "local": local, "address": cat(local, "'@'", domain), "maildir": cat(domain, "'/'", local, "'/'"),
        "true": "true" if kind == "pgsql" else "1", "false": "false" if kind == "pgsql" else "0",
    }


def fill(db, mailboxes):
    """Makes and fills the tables: user<i>@d<i mod 1000>.example.test, and a few aliases."""
    make_tables(db)
    for what, text in ROWS:
        db.sql(text.format(**forms(db.type, DOMAINS if what == "domains" else mailboxes)))
    db.sql(FEW.format(**forms(db.type, 0)))
    db.sql("ANALYZE" if db.type == "pgsql" else "ANALYZE TABLE domain, mailbox, alias, alias_domain")


# ---- the guide ---------------------------------------------------------------------------------------------------------


def guide():
    return gzip.open(GUIDE, "rt", encoding="utf-8").read()


def queries():
    """name -> query, as they stand there. The optional ones, which are commented out, are name-2, name-3 …"""
    found, name, count = {}, "", 0
    for line in guide().splitlines():
        heading, query = re.fullmatch(r"mysql_(\w+)\.cf:", line), re.fullmatch(r"#?query\s*=\s*(.*)", line)
        if heading:
            name, count = heading[1], 0
        elif query and name:
            count += 1
            found[name if count == 1 else f"{name}-{count}"] = query[1]
    return found


def query(name, changed=False):
    """changed: for PostgreSQL, as the guide says it is to be changed."""
    text = queries()[name]
    if changed:
        text = re.sub(r"(active\s*=\s*)'1'", r"\1't'", text)
        text = re.sub(r"CONCAT\(([^)]*)\)", lambda m: " || ".join(p.strip() for p in m[1].split(",")), text)
    return text


def files(db, folder):
    """The files that the guide makes when it is run, as they are: name -> path. It asks for host, database, user and password."""
    script = folder / "POSTFIX_CONF.txt"
    script.write_text(guide())
    out = subprocess.run(["sh", script], input=f"127.0.0.1:{db.port}\n{DATABASE}\n{MAIL_USER}\n{MAIL_PASSWORD}\n", text=True, capture_output=True,
                         check=True).stdout
    made = pathlib.Path(out.splitlines()[0])
    found = {}
    for path in made.glob("mysql_*.cf"):
        name = path.stem.removeprefix("mysql_")
        found[name] = folder / path.name
        found[name].write_text(path.read_text())
    shutil.rmtree(made)
    return found


# table, key, value (None: not found)
ANSWERS = [
    ("virtual_alias_maps", "sales@d1.example.test", "user1@d1.example.test,user1001@d1.example.test"),
    ("virtual_alias_maps", "@d2.example.test", "user2@d2.example.test"),
    ("virtual_alias_maps", "gone@d1.example.test", None),
    ("virtual_alias_maps", "user77@d77.example.test", "user77@d77.example.test"),
    ("virtual_alias_domain_maps", "sales@alias.test", "user1@d1.example.test,user1001@d1.example.test"),
    ("virtual_alias_domain_maps", "nobody@alias.test", None),
    ("virtual_alias_domain_catchall_maps", "anybody@catch.test", "user2@d2.example.test"),
    ("virtual_alias_domain_catchall_maps", "anybody@alias.test", None),
    ("virtual_domains_maps", "d1.example.test", "d1.example.test"),
    ("virtual_domains_maps", "d7.example.test", None),
    ("virtual_domains_maps", "d100.example.test", "d100.example.test"),
    ("virtual_domains_maps-2", "d7.example.test", "d7.example.test"),
    ("virtual_domains_maps-2", "other.example.test", None),
    ("virtual_domains_maps-3", "d1.example.test", "d1.example.test"),
    ("virtual_domains_maps-3", "d100.example.test", None),
    ("virtual_domains_maps-4", "d1.example.test", "d1.example.test"),
    ("virtual_domains_maps-4", "d100.example.test", None),
    ("virtual_mailbox_maps", "user1001@d1.example.test", "d1.example.test/user1001/"),
    ("virtual_mailbox_maps", "user1001@d2.example.test", None),
    ("virtual_alias_domain_mailbox_maps", "user1@alias.test", "d1.example.test/user1/"),
    ("relay_domains", "d100.example.test", "d100.example.test"),
    ("relay_domains", "d1.example.test", None),
    ("transport_maps", "d100.example.test", "smtp:[10.0.0.1]"),
    ("transport_maps", "d1.example.test", "virtual"),
    ("virtual_mailbox_limit_maps", "user5@d5.example.test", "5000"),
]
