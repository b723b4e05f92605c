# SPDX-License-Identifier: Apache-2.0
"""ldap: answers what Postfix answers with the same file, of the same directory."""

import concurrent.futures
import pathlib
import shutil
import subprocess
import tempfile

import pytest
from instance import PREFIX
from servers import Slapd

POSTMAP = pathlib.Path("/usr/sbin/postmap")
LDAP_SO = pathlib.Path("/usr/lib/postfix/postfix-ldap.so")

BASIC = "search_base = dc=test\nquery_filter = (mailacceptinggeneralid=%s)\n"
PEOPLE = "search_base = ou=people,dc=test\nquery_filter = (mailacceptinggeneralid=%s)\n"
GROUPS = "search_base = dc=test\nquery_filter = (mailacceptinggeneralid=%s)\nspecial_result_attribute = memberdn, memberurl\n"

# Lines of the file, and keys that are asked.
CASES = {
    "basic": (BASIC, ["joe@x.test", "jane@x.test", "joe", "JOE@X.TEST", "nobody@x.test", "", "@x.test", "x.test"]),
    "one": (PEOPLE, ["joe@x.test", "jane@x.test", "plain@x.test", "both@x.test"]),
    "odd keys": (BASIC, ["*)(uid=*@x.test", "*", "(", ")", "a\\b@x.test", "uml\u00e4ut@x.test", "sp ace@x.test", "quo'te@x.test",
                         'dq"@x.test', "%s", "joe@x.test)(|(cn=*", "j*@x.test", "a\\2ab", "joe@x.test ", " joe@x.test"]),
    "two attributes": (PEOPLE + "result_attribute = leafmail maildrop\n", ["joe@x.test", "jane@x.test", "term@x.test"]),
    "no attribute": (PEOPLE + "result_attribute =\n", ["joe@x.test"]),
    "unknown attribute": (PEOPLE + "result_attribute = nothing\n", ["joe@x.test"]),
    "options": (PEOPLE, ["options@x.test"]),
    "option": (PEOPLE + "result_attribute = maildrop;lang-en\n", ["options@x.test", "joe@x.test"]),
    "attribute in capitals": (PEOPLE + "result_attribute = MAILDROP\n", ["joe@x.test"]),
    "raw": (PEOPLE + "result_attribute = rawvalue\n", ["raw@x.test"]),
    "%u": ("search_base = ou=people,dc=test\nquery_filter = (cn=%u)\n", ["joe@y.test", "joe", "@x.test", "joe@", "a@joe@x"]),
    "%d": ("search_base = dc=test\nquery_filter = (&(ou=%d)(objectClass=organizationalUnit))\nresult_attribute = ou\n",
           ["joe@x.test", "x.test", "joe@", "@x.test", "joe@none.test"]),
    "%SUD": (PEOPLE.replace("%s", "%U@%D"), ["joe@x.test", "joe", "@x.test"]),
    "%1": (PEOPLE.replace("%s", "%u@%2.%1"), ["joe@x.test", "joe@a.b.x.test", "joe@test", "joe", "joe@x..test", "joe@.x.test", "joe@x.test."]),
    "%3": (PEOPLE.replace("%s", "%u@%2.%1)(!(cn=%3)"), ["joe@x.test", "joe@a.x.test"]),
    "%%": (PEOPLE.replace("=%s)", "=%s)(!(cn=%%))").replace("= (", "= (&(") + "", ["joe@x.test"]),
    "fixed": (PEOPLE.replace("%s", "joe@x.test"), ["anything"]),
    "result_format": (PEOPLE + "result_format = smtp:[%d]:%u\n", ["joe@x.test", "jane@x.test", "plain@x.test"]),
    "result_format %u": (PEOPLE + "result_format = %u\n", ["plain@x.test"]),
    "result_format %d": (PEOPLE + "result_format = %d\n", ["plain@x.test"]),
    "result_format key": (PEOPLE + "result_format = %U at %D, %S: %s\n", ["jane@x.test", "joe", "@x.test"]),
    "result_format label": (PEOPLE + "result_format = %1.%2:%s\n", ["jane@x.test", "joe"]),
    "result_format fixed": (PEOPLE + "result_format = 100%% OK\n", ["jane@x.test"]),
    "result_filter": (PEOPLE + "result_filter = <%s>\n", ["jane@x.test"]),
    "both formats": (PEOPLE + "result_filter = <%s>\nresult_format = [%s]\n", ["joe@x.test"]),
    "domain": (BASIC + "domain = x.test, y.test\n", ["joe@x.test", "joe@X.TEST", "joe@z.test", "joe", "@x.test", "x.test", "joe@sub.x.test"]),
    "domain not": (BASIC + "domain = !x.test static:all\n", ["joe@x.test", "user1@crowd.test"]),
    "domain table": (BASIC + "domain = inline:{x.test=y}\n", ["joe@x.test", "user1@crowd.test"]),
    "base": ("search_base = cn=joe,ou=people,dc=test\nquery_filter = (mailacceptinggeneralid=%s)\nscope = base\n", ["joe@x.test", "jane@x.test"]),
    "one level": ("search_base = dc=test\nquery_filter = (mailacceptinggeneralid=%s)\nscope = one\n", ["joe@x.test", "secret@x.test"]),
    "one level below": (PEOPLE + "scope = one\n", ["joe@x.test"]),
    "base with %d": ("search_base = ou=%d,dc=test\nquery_filter = (mailacceptinggeneralid=%s)\n",
                     ["joe@x.test", "joe@none.test", "joe", "joe@a+b.test", "joe@a,b", "joe@#x"]),
    "base with %u": ("search_base = cn=%u,ou=people,dc=test\nquery_filter = (objectClass=*)\n", ["joe@x.test", "j,oe@x.test"]),
    "missing base": ("search_base = ou=missing,dc=test\nquery_filter = (cn=%s)\n", ["joe"]),
    "bad base": ("search_base = no name\nquery_filter = (cn=%s)\n", ["joe"]),
    "bad filter": ("search_base = dc=test\nquery_filter = (cn=%s\n", ["joe"]),
    "groups": (GROUPS, ["team@x.test", "nested@x.test", "gone@x.test", "loop@x.test", "chain0@x.test", "term@x.test", "delegated@x.test"]),
    "groups with addresses": (GROUPS + "result_attribute = maildrop memberaddr\n", ["team@x.test", "nested@x.test", "gone@x.test"]),
    "leaf": (GROUPS + "result_attribute = memberaddr\nleaf_result_attribute = leafmail\n",
             ["team@x.test", "nested@x.test", "term@x.test", "joe@x.test", "both@x.test", "urlleaf@x.test"]),
    "terminal": (GROUPS + "terminal_result_attribute = terminalmail\n", ["term@x.test", "joe@x.test", "both@x.test", "delegated@x.test"]),
    "terminal and leaf": (GROUPS + "result_attribute = memberaddr\nterminal_result_attribute = terminalmail\nleaf_result_attribute = leafmail\n",
                          ["term@x.test", "team@x.test", "delegated@x.test", "both@x.test"]),
    "leaf in two lists": (GROUPS + "result_attribute = leafmail\nleaf_result_attribute = leafmail\n", ["team@x.test", "joe@x.test"]),
    "urls": (GROUPS + "result_attribute = maildrop memberaddr leafmail\n",
             ["urls@x.test", "urlleaf@x.test", "urlother@x.test", "urlbase@x.test", "urlgone@x.test", "urlscope@x.test", "urlfilter@x.test",
              "urloption@x.test", "urlgroup@x.test"]),
    "url attribute": (GROUPS, ["urlleaf@x.test"]),
    "recursion_limit": (GROUPS + "recursion_limit = 41\n", ["chain0@x.test", "loop@x.test"]),
    "recursion_limit 40": (GROUPS + "recursion_limit = 40\n", ["chain0@x.test", "team@x.test"]),
    "recursion_limit 1": (GROUPS + "recursion_limit = 1\n", ["team@x.test", "joe@x.test"]),
    "expansion_limit": (PEOPLE + "expansion_limit = 1\n", ["joe@x.test", "jane@x.test", "both@x.test", "options@x.test"]),
    "expansion_limit 2": (GROUPS + "expansion_limit = 2\n", ["jane@x.test", "team@x.test"]),
    "size_limit": (PEOPLE + "size_limit = 1\n", ["jane@x.test", "both@x.test"]),
    "size_limit off": (PEOPLE + "size_limit = 0\nexpansion_limit = 2\n", ["both@x.test", "jane@x.test"]),
    "many": ("search_base = ou=crowd,dc=test\nquery_filter = (description=%s)\n", ["crowd", "user7@crowd.test"]),
    "dereference": ("search_base = ou=people,dc=test\nquery_filter = (mailacceptinggeneralid=%s)\ndereference = 3\n", ["joe@x.test"]),
    "no dereference": ("search_base = cn=other,ou=people,dc=test\nquery_filter = (mailacceptinggeneralid=%s)\n", ["joe@x.test"]),
    "dereference base": ("search_base = cn=other,ou=people,dc=test\nquery_filter = (mailacceptinggeneralid=%s)\ndereference = 2\n", ["joe@x.test"]),
    "anonymous": (BASIC, ["secret@x.test"]),
    "bind no": (BASIC + "bind = no\n", ["joe@x.test"]),
    "bind none": (BASIC + "bind = none\n", ["joe@x.test"]),
    "bind": (BASIC + "bind_dn = cn=reader,dc=test\nbind_pw = the-right-one\n", ["secret@x.test"]),
    "bind simple": (BASIC + "bind = simple\nbind_dn = cn=reader,dc=test\nbind_pw = the-right-one\n", ["secret@x.test"]),
    "bind wrong": (BASIC + "bind_dn = cn=reader,dc=test\nbind_pw = a-wrong-one\n", ["secret@x.test"]),
    "version 2": (BASIC + "version = 2\n", ["joe@x.test"]),
    "referrals": (BASIC + "chase_referrals = yes\n", ["joe@x.test"]),
    "referral": (BASIC.replace("dc=test", "ou=elsewhere,dc=test") + "chase_referrals = yes\n", ["jane@x.test", "nobody@x.test"]),
    "no referral": (BASIC.replace("dc=test", "ou=elsewhere,dc=test") + "chase_referrals = no\n", ["jane@x.test"]),
    "not utf-8": (BASIC, [b"\xff\xfe@x.test", b"\xc0\xaf"]),
}


@pytest.fixture(scope="module")
def slapd():
    if not Slapd.available():
        pytest.skip("slapd is not installed")
    with Slapd() as s:
        yield s


@pytest.fixture(scope="module")
def folders():
    """Configuration folders: the oracle's, and one of ours."""
    if not LDAP_SO.exists() or not POSTMAP.exists():
        pytest.skip("postfix-ldap is not installed")
    with tempfile.TemporaryDirectory(prefix="oracle-") as top:
        oracle, own = pathlib.Path(top) / "postfix", pathlib.Path(top) / "ostler"
        for d in (oracle, own):
            d.mkdir()
            (d / "main.cf").write_text("compatibility_level = 3.6\n")
            (d / "master.cf").write_text("")
        shutil.copy("/etc/postfix/dynamicmaps.cf", oracle)
        if pathlib.Path("/etc/postfix/dynamicmaps.cf.d").exists():
            shutil.copytree("/etc/postfix/dynamicmaps.cf.d", oracle / "dynamicmaps.cf.d")
        shutil.copy(PREFIX / "etc/ostler/modules.cf", own)
        pathlib.Path(top).chmod(0o755)
        yield oracle, own


def ask(program, folder, cf, key):
    """"failed", None for not found, or the value."""
    r = subprocess.run([program, "-c", folder, "-q", key, f"ldap:{cf}"], capture_output=True, timeout=60, check=False)
    if r.returncode == 0:
        return r.stdout
    return "failed" if b"fatal" in r.stderr or b"error" in r.stderr.lower() else None


# Where we answer something else on purpose: docs/differences.md.
BOTH = b"both1@terminal.test,both2@mail.test,joe@mail.test\n"
DIFFERENT = {
    ("terminal", "both@x.test"): BOTH,
    ("terminal and leaf", "both@x.test"): b"both1@terminal.test,joe@leaf.test\n",
}


@pytest.mark.parametrize("name", CASES)
def test_same_answers(slapd, folders, name):
    oracle, own = folders
    lines, keys = CASES[name]
    cf = own.parent / f"{name}.cf".replace("/", "-").replace(" ", "-")
    cf.write_text(f"server_host = {slapd.ldapi}\nversion = 3\n{lines}")
    cf.chmod(0o644)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        theirs = list(pool.map(lambda key: ask(POSTMAP, oracle, cf, key), keys))
        ours = list(pool.map(lambda key: ask(PREFIX / "sbin/postmap", own, cf, key), keys))
    expected = [DIFFERENT.get((name, key), answer) for key, answer in zip(keys, theirs)]
    assert dict(zip(keys, ours)) == dict(zip(keys, expected))
