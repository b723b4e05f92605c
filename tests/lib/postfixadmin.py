# SPDX-License-Identifier: Apache-2.0
"""A database as PostfixAdmin keeps it: its tables and columns as far as mail is concerned, filled by the server itself, and the
queries of PostfixAdmin's guide for Postfix (DOCUMENTS/POSTFIX_CONF.txt), as they stand there for MySQL and as it says they are to be
changed for PostgreSQL."""

DOMAINS = 1000

TABLES = """
CREATE TABLE domain (domain varchar(255) PRIMARY KEY, description varchar(255) {text} NOT NULL DEFAULT '', aliases int NOT NULL DEFAULT 0,
  mailboxes int NOT NULL DEFAULT 0, maxquota bigint NOT NULL DEFAULT 0, quota bigint NOT NULL DEFAULT 0, transport varchar(255) DEFAULT NULL,
  backupmx {bool} NOT NULL DEFAULT {false}, created {time}, modified {time}, active {bool} NOT NULL DEFAULT {true});
CREATE TABLE mailbox (username varchar(255) PRIMARY KEY, password varchar(255) NOT NULL DEFAULT '', name varchar(255) {text} NOT NULL DEFAULT '',
  maildir varchar(255) NOT NULL, quota bigint NOT NULL DEFAULT 0, local_part varchar(255) NOT NULL, domain varchar(255) NOT NULL,
  created {time}, modified {time}, active {bool} NOT NULL DEFAULT {true});
CREATE TABLE alias (address varchar(255) PRIMARY KEY, goto text NOT NULL, domain varchar(255) NOT NULL, created {time}, modified {time},
  active {bool} NOT NULL DEFAULT {true});
CREATE TABLE alias_domain (alias_domain varchar(255) PRIMARY KEY, target_domain varchar(255) NOT NULL, created {time}, modified {time},
  active {bool} NOT NULL DEFAULT {true});
"""

FORMS = {
    "pgsql": {"bool": "boolean", "true": "true", "false": "false", "time": "timestamptz DEFAULT now()", "text": ""},
    "mysql": {"bool": "tinyint(1)", "true": "1", "false": "0", "time": "datetime NOT NULL DEFAULT '2000-01-01 00:00:00'", "text": "CHARACTER SET utf8mb4"},
}

# {seq} is a table of the numbers 1 … n with the column i, {join} puts texts together.
ROWS = [
    ("domains", "INSERT INTO domain (domain, transport, backupmx, active) SELECT {domain}, CASE WHEN i % 100 = 0 THEN 'smtp:[10.0.0.1]' "
                "ELSE 'virtual' END, i % 100 = 0, i % 50 <> 7 FROM {seq}"),
    ("mailboxes", "INSERT INTO mailbox (username, maildir, quota, local_part, domain) SELECT {address}, {maildir}, 1000 * i, {local}, {domain} FROM {seq}"),
    ("mailboxes", "INSERT INTO alias (address, goto, domain) SELECT {address}, {address}, {domain} FROM {seq}"),
]


def forms(kind, n):
    cat = (lambda *a: " || ".join(a)) if kind == "pgsql" else (lambda *a: "concat(" + ", ".join(a) + ")")
    number = f"(i % {DOMAINS})"
    domain, local = cat("'d'", number, "'.example.test'"), cat("'user'", "i")
    return {
        "seq": f"generate_series(1, {n}) AS s(i)" if kind == "pgsql" else f"(SELECT seq AS i FROM seq_1_to_{n}) AS s",
        "domain": domain, "local": local, "address": cat(local, "'@'", domain), "maildir": cat(domain, "'/'", local, "'/'"),
    }


def fill(db, mailboxes):
    """Makes and fills the tables: user<i>@d<i mod 1000>.example.test, and a few aliases."""
    db.sql(TABLES.format(**FORMS[db.type]))
    for what, text in ROWS:
        db.sql(text.format(**forms(db.type, DOMAINS if what == "domains" else mailboxes)))
    t = FORMS[db.type]["true"]
    db.sql(f"""
INSERT INTO alias (address, goto, domain, active) VALUES ('sales@d1.example.test', 'user1@d1.example.test,user1001@d1.example.test', 'd1.example.test', {t}),
  ('@d2.example.test', 'user2@d2.example.test', 'd2.example.test', {t}), ('gone@d1.example.test', 'user1@d1.example.test', 'd1.example.test', NOT {t});
INSERT INTO alias_domain (alias_domain, target_domain, active) VALUES ('alias.test', 'd1.example.test', {t}), ('catch.test', 'd2.example.test', {t});
""")
    db.sql("ANALYZE" if db.type == "pgsql" else "ANALYZE TABLE domain, mailbox, alias, alias_domain")


QUERIES = {
    "virtual_alias_maps": "SELECT goto FROM alias WHERE address='%s' AND active = '1'",
    "virtual_alias_domain_maps": "SELECT goto FROM alias,alias_domain WHERE alias_domain.alias_domain = '%d' and alias.address = CONCAT('%u', '@', "
                                 "alias_domain.target_domain) AND alias.active='1' AND alias_domain.active='1'",
    "virtual_alias_domain_catchall_maps": "SELECT goto FROM alias,alias_domain WHERE alias_domain.alias_domain = '%d' and alias.address = CONCAT('@', "
                                          "alias_domain.target_domain) AND alias.active='1' AND alias_domain.active='1'",
    "virtual_domains_maps": "SELECT domain FROM domain WHERE domain='%s' AND active = '1' AND NOT (transport LIKE 'smtp%%' OR transport LIKE 'relay%%')",
    "virtual_mailbox_maps": "SELECT maildir FROM mailbox WHERE username='%s' AND active = '1'",
    "virtual_alias_domain_mailbox_maps": "SELECT maildir FROM mailbox,alias_domain WHERE alias_domain.alias_domain = '%d' and mailbox.username = "
                                         "CONCAT('%u', '@', alias_domain.target_domain) AND mailbox.active='1' AND alias_domain.active='1'",
    "relay_domains": "SELECT domain FROM domain WHERE domain='%s' AND active = '1' AND (transport LIKE 'smtp%%' OR transport LIKE 'relay%%')",
    "transport_maps": "SELECT transport FROM domain WHERE domain='%s' AND active = '1'",
    "virtual_mailbox_limit_maps": "SELECT quota FROM mailbox WHERE username='%s' AND active = '1'",
}

POSTGRES = {"CONCAT('%u', '@', alias_domain.target_domain)": "'%u' || '@' || alias_domain.target_domain",
            "CONCAT('@', alias_domain.target_domain)": "'@' || alias_domain.target_domain", "'1'": "'t'"}


def query(kind, name):
    text = QUERIES[name]
    for old, new in POSTGRES.items() if kind == "pgsql" else ():
        text = text.replace(old, new)
    return text


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
    ("virtual_domains_maps", "d100.example.test", None),
    ("virtual_mailbox_maps", "user1001@d1.example.test", "d1.example.test/user1001/"),
    ("virtual_mailbox_maps", "user1001@d2.example.test", None),
    ("virtual_alias_domain_mailbox_maps", "user1@alias.test", "d1.example.test/user1/"),
    ("relay_domains", "d100.example.test", "d100.example.test"),
    ("relay_domains", "d1.example.test", None),
    ("transport_maps", "d100.example.test", "smtp:[10.0.0.1]"),
    ("transport_maps", "d1.example.test", "virtual"),
    ("virtual_mailbox_limit_maps", "user5@d5.example.test", "5000"),
]
