# SPDX-License-Identifier: Apache-2.0
"""Every parameter that Postfix's manual pages of tables name is one of Ostler's table of the same type, too."""

import gzip
import pathlib
import re

import pytest

MANUALS = pathlib.Path("/usr/share/man/man5")
# What a file has to say anyway, so that it is looked at to its end.
NEEDED = {
    "ldap": "search_base = dc=example,dc=test\n",
    "memcache": "",
    "mysql": "dbname = x\nquery = SELECT '%s'\n",
    "pgsql": "dbname = x\nquery = SELECT '%s'\n",
    "sqlite": "dbpath = {folder}/database\nquery = SELECT '%s'\n",
}
# Settings that have other forms than any word.
VALUES = {"version": "3", "scope": "sub", "hosts": "unix:/nonexistent", "server_host": "ldap://127.0.0.1", "memcache": "unix:/nonexistent",
          "domain": "example.test", "query_filter": "(mail=%s)", "backup": "static:x", "select_function": "", "dbname": "x"}
NUMBERS = ("limit", "size", "port", "ttl", "flags", "max_try", "pause", "expiry", "level", "dereference", "minssf", "timeout")
SWITCHES = ("bind", "cache", "chase_referrals", "start_tls", "tls_require_cert", "tls_verify_cert", "require_result_set")


def documented(kind):
    """The names in the headings of the manual page's items: \\fBname (default: …)\\fR, or several with commas between them."""
    path = MANUALS / f"{kind}_table.5.gz"
    if not path.exists():
        return []
    found = set()
    for line in gzip.open(path, "rt", encoding="utf-8").read().splitlines():
        if line.startswith('.IP "\\fB') and not line.startswith('.IP "\\fB%'):
            heading = re.sub(r"\\f[BIRP]|\(.*", "", line[4:].strip('"'))
            found.update(w for w in re.split(r"[ ,]+", heading) if re.fullmatch(r"[a-z][A-Za-z_]*", w))
    return sorted(found)


def value_of(name):
    if name in VALUES:
        return VALUES[name]
    if name in SWITCHES:
        return "no"
    return "1" if name.endswith(NUMBERS) else ""


@pytest.mark.parametrize("kind", NEEDED)
def test_parameters_of_postfix_are_known(make, kind):
    names = documented(kind)
    if not names:
        pytest.skip("no manual page of Postfix here")
    assert len(names) > 5
    i = make("")
    needed = NEEDED[kind].format(folder=i.folder)
    mine = {line.split(" ")[0] for line in needed.splitlines()}
    lines = "".join(f"{n} = {value_of(n)}\n" for n in names if n not in mine)
    cf = i.write("table.cf", needed + lines + "no_such_parameter = 1\n")
    i.give_to_user()
    i.write("main.cf", i.path("main.cf").read_text() + f"virtual_alias_maps = {kind}:{cf}\n")
    told = i.run("ostler", "check", check=False).stderr
    unknown = re.findall(r"unused parameter: (\S+)", told)
    assert "no_such_parameter=1" in " ".join(unknown).replace(" = ", "=") or "no_such_parameter" in unknown, told
    assert [u for u in unknown if not u.startswith("no_such_parameter")] == [], told
