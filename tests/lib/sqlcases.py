# SPDX-License-Identifier: Apache-2.0
"""Tables and .cf files on which Ostler and Debian's Postfix must agree, for PostgreSQL, MariaDB and SQLite."""

SCHEMA = """
CREATE TABLE alias (address varchar(255) PRIMARY KEY, goto text, active int);
CREATE TABLE many (k varchar(255), v varchar(255), w varchar(255));
INSERT INTO alias VALUES ('one@example.com', 'a@example.org', 1), ('two@example.com', 'b@example.org,c@example.org', 1),
  ('off@example.com', 'x@example.org', 0), ('@example.net', 'catchall@example.org', 1), ('it''s@example.com', 'quote@example.org', 1),
  ('back\\slash@example.com', 'back@example.org', 1), ('100%@example.com', 'percent@example.org', 1), ('plain', 'user', 1),
  ('sm\u00f8rrebr\u00f8d@example.com', 'utf8@example.org', 1), ('null@example.com', NULL, 1), ('empty@example.com', '', 1),
  ('a@b@example.com', 'twice@example.org', 1), ('mail.example.com', 'a domain', 1), ('com', 'top', 1), ('deep@a.b.c.example.com', 'deep', 1),
  ('noat@example.com', 'localpart', 1), ('at@example.com', '@example.org', 1);
INSERT INTO many VALUES ('m@example.com', 'one@x', 'two@y'), ('m@example.com', 'three@z', NULL), ('m@example.com', NULL, 'four@w'),
  ('half@example.com', NULL, 'only'), ('nulls@example.com', NULL, NULL), ('mixed@example.com', 'user@dom', 'nodom'),
  ('mixed@example.com', '@nolocal', 'x@');
"""

PLAIN = "query = SELECT goto FROM alias WHERE address = '%s' AND active = 1\n"
MANY = "query = SELECT v, w FROM many WHERE k = '%s' ORDER BY v IS NULL, v\n"

# Parameters of the .cf file beside those that say where the database is, and keys to ask for.
CASES = [
    (PLAIN, ["one@example.com", "two@example.com", "off@example.com", "nobody@example.com", "it's@example.com", "100%@example.com",
             "plain", "null@example.com", "a@b@example.com", "' OR '1'='1", "x' UNION SELECT 1 -- ", "%s", "sm\u00f8rrebr\u00f8d@example.com",
             "\"", "a\"b", "back\\slash@example.com", "\\", "\\'", "one@example.com\\"]),
    (PLAIN + "result_format = smtp:[%s]\n", ["one@example.com", "two@example.com", "nobody"]),
    (PLAIN + "result_format = <%u|%d>\n", ["one@example.com", "noat@example.com", "at@example.com"]),
    (PLAIN + "result_format = %u\n", ["one@example.com", "noat@example.com", "at@example.com"]),
    (PLAIN + "result_format = %S %U %D %1 %2 %%\n", ["one@example.com", "plain", "mail.example.com"]),
    (PLAIN + "result_format = %3\n", ["one@example.com", "deep@a.b.c.example.com"]),
    (PLAIN + "domain = example.com\n", ["one@example.com", "@example.net", "plain", "one@EXAMPLE.COM", "x@example.org", "@example.com"]),
    (PLAIN + "domain = !example.com, example.net, static:all\n", ["one@example.com", "@example.net", "nobody@example.net", "plain"]),
    ("query = SELECT goto FROM alias WHERE address = '@%d' AND active = 1\n", ["anybody@example.net", "x@example.com", "example.net", "@example.net"]),
    ("query = SELECT goto FROM alias WHERE address = '%u'\n", ["plain@anywhere", "plain", "@plain", "mail.example.com@x"]),
    ("query = SELECT goto FROM alias WHERE address = '%U@%D'\n", ["one@example.com", "plain"]),
    ("query = SELECT goto FROM alias WHERE address = '%3.%2.%1'\n", ["x@mail.example.com", "x@example.com", "x@a.mail.example.com"]),
    ("query = SELECT goto FROM alias WHERE address = '%1'\n", ["x@mail.example.com", "x@com", "com", "x@example..com."]),
    ("query = SELECT goto FROM alias WHERE address LIKE 'o%%e@%d' AND active = 1\n", ["x@example.com", "x@example.org"]),
    ("query = SELECT '%s', '%d', '%%', goto FROM alias WHERE address = '%s'\n", ["one@example.com", "it's@example.com"]),
    (MANY, ["m@example.com", "half@example.com", "nulls@example.com", "mixed@example.com", "nobody@example.com"]),
    (MANY + "expansion_limit = 1\n", ["m@example.com", "half@example.com", "nulls@example.com"]),
    (MANY + "expansion_limit = 4\n", ["m@example.com"]),
    (MANY + "expansion_limit = 3\n", ["m@example.com"]),
    (MANY + "result_format = %u\n", ["m@example.com", "mixed@example.com"]),
    (MANY + "result_format = %d of %S\n", ["m@example.com", "mixed@example.com"]),
    ("query = SELECT count(*) FROM alias WHERE address = '%s'\n", ["one@example.com", "nobody"]),
    ("query = SELECT 1 FROM alias WHERE address = '%s' AND 1 = 0\n", ["one@example.com"]),
    ("query = SELECT goto FROM nowhere WHERE address = '%s'\n", ["one@example.com"]),
    ("query = SELECT active, goto FROM alias WHERE address = '%s'\n", ["one@example.com", "off@example.com"]),
    ("table = alias\nselect_field = goto\nwhere_field = address\nadditional_conditions = AND active = 1\n", ["one@example.com", "off@example.com", "it's@example.com"]),
    ("table = alias\nselect_field = goto\nwhere_field = address\n", ["one@example.com", "off@example.com"]),
    ("query = SELECT goto FROM alias WHERE address = '%s' OR address = '@%d'\n", ["z@example.net", "one@example.com", "plain"]),
]

# What one of them has alone.
ONLY = {
    "pgsql": [
        ("select_function = find\n", ["one@example.com", "it's@example.com", "nobody"]),
        ("query = SELECT goto FROM alias WHERE address = E'%s'\n", ["one@example.com", "it's@example.com"]),
        ("query = SELECT goto FROM alias WHERE address = concat('%u', '@', '%d')\n", ["one@example.com", "it's@example.com"]),
        ("query = SELECT goto FROM alias WHERE address = '%u' || '@' || '%d'\n", ["one@example.com", "it's@example.com"]),
        ("query = SELECT (DATE '%s')::text\n", ["2024-02-29", "not a date"]),
        ("query = SELECT $$it's a %% $$ || goto FROM alias WHERE address = '%s'\n", ["one@example.com"]),
        ("query = SELECT goto FROM alias WHERE active = '%s' AND address = 'one@example.com'\n", ["1", "2", "x"]),
    ],
    "mysql": [
        ("query = SELECT goto FROM alias WHERE address = \"%s\"\n", ["one@example.com", "it's@example.com", "a\"b"]),
        ("query = SELECT goto FROM alias WHERE address = CONCAT('%u', '@', '%d') # comment\n", ["one@example.com", "it's@example.com"]),
        ("query = CALL find('%s')\n", ["one@example.com", "it's@example.com", "nobody"]),
        ("query = CALL silent('%s')\nrequire_result_set = no\n", ["one@example.com"]),
        ("query = CALL silent('%s')\n", ["one@example.com"]),
        ("query = SELECT CONCAT('a\\\\b', goto) FROM alias WHERE address = '%s'\n", ["one@example.com", "it's@example.com"]),
        ("query = SELECT CONCAT('it\\'s %s'), '?' FROM alias WHERE address = '%s'\n", ["one@example.com", "it's@example.com"]),
        ("query = SELECT goto, 1.50, 2e3, DATE('2024-02-29'), TIME('10:11:12'), 18446744073709551615, -7 FROM alias WHERE address = '%s'\n",
         ["one@example.com"]),
        ("query = SELECT goto FROM alias WHERE active = '%s' AND address = 'one@example.com'\n", ["1", "2", "x"]),
    ],
    "sqlite": [
        ("query = SELECT goto FROM alias WHERE address = '%u' || '@' || '%d'\n", ["one@example.com", "it's@example.com"]),
        ("query = SELECT [goto] FROM \"alias\" WHERE `address` = '%s' -- comment\n", ["one@example.com", "it's@example.com"]),
        ("query = SELECT 1.5, 2, x'4142', NULL, goto FROM alias WHERE address = '%s'\n", ["one@example.com"]),
    ],
}

ROUTINES = {
    "pgsql": "CREATE FUNCTION find(text) RETURNS text LANGUAGE sql AS 'SELECT goto FROM alias WHERE address = $1';",
    "mysql": "CREATE PROCEDURE find(IN k VARCHAR(255)) READS SQL DATA SQL SECURITY INVOKER SELECT goto FROM alias WHERE address = k; "
             "CREATE PROCEDURE silent(IN k VARCHAR(255)) SQL SECURITY INVOKER SET @x = k;",
    "sqlite": "",
}


def schema(kind):
    """The tables and routines; a backslash in a literal is an escape to MariaDB alone."""
    tables = SCHEMA.replace("\\", "\\\\") if kind == "mysql" else SCHEMA
    return tables + ROUTINES[kind]
