# SPDX-License-Identifier: Apache-2.0
"""The entries of the directory that tests ask, as LDIF on standard output."""

import base64

PEOPLE, GROUPS = "ou=people,dc=test", "ou=groups,dc=test"


def text(name, value):
    data = value if isinstance(value, bytes) else value.encode()
    if data[:1] in (b" ", b":", b"<", b"") or any(c < 32 or c > 126 for c in data):
        return f"{name}:: {base64.b64encode(data).decode()}"
    return f"{name}: {value}"


def entry(dn, classes="mailThing", **attributes):
    """A list is several values; `__` in a name is `;`, `_` is `-`."""
    lines = [text("dn", dn), *(f"objectClass: {c}" for c in classes.split())]
    for name, values in attributes.items():
        name = name.replace("__", ";").replace("_", "-")
        lines += [text(name, v) for v in (values if isinstance(values, list) else [values])]
    return "\n".join(lines) + "\n"


def person(cn, keys, **attributes):
    return entry(f"cn={cn},{PEOPLE}", cn=cn, mailacceptinggeneralid=keys, **attributes)


def group(cn, **attributes):
    return entry(f"cn={cn},{GROUPS}", cn=cn, mailacceptinggeneralid=f"{cn}@x.test", **attributes)


def chain(length):
    """Groups that have each the next one as their member, and the last one a person."""
    for i in range(length):
        then = f"cn=chain{i + 1},{GROUPS}" if i + 1 < length else f"cn=joe,{PEOPLE}"
        yield group(f"chain{i}", memberdn=then)


def all_entries():
    yield entry("dc=test", "dcObject organization", dc="test", o="test")
    for ou in ("people", "groups", "x.test", "crowd"):
        yield entry(f"ou={ou},dc=test", "organizationalUnit", ou=ou)
    yield entry("cn=reader,dc=test", cn="reader", userPassword="the-right-one")
    yield person("joe", ["joe@x.test", "joe"], maildrop="joe@mail.test", leafmail="joe@leaf.test", description="a person")
    yield person("jane", "jane@x.test", maildrop=["jane@mail.test", "jane2@mail.test"], leafmail="jane@leaf.test")
    yield person("plain", "plain@x.test", maildrop=["noat", "at@", "@only.test", "a@b@c.test"])
    yield person("odd", ["*)(uid=*@x.test", "a\\b@x.test", "uml\u00e4ut@x.test", "sp ace@x.test", "(", "*", "quo'te@x.test", 'dq"@x.test'],
                 maildrop="odd@mail.test")
    yield person("options", "options@x.test", maildrop="base@mail.test", maildrop__lang_en="en@mail.test")
    yield person("term", "term@x.test", maildrop="term@mail.test", terminalmail="term@terminal.test",
                 memberdn=f"cn=joe,{PEOPLE}", leafmail="term@leaf.test")
    yield person("both1", "both@x.test", maildrop="both1@mail.test", terminalmail="both1@terminal.test")
    yield person("both2", "both@x.test", maildrop="both2@mail.test", memberdn=f"cn=joe,{PEOPLE}", leafmail="both2@leaf.test")
    yield person("raw", "raw@x.test", rawvalue=[b"a\0b", b"\xff\xfe", b"new\nline"])
    yield person("domain", ["@x.test", "x.test"], maildrop="catchall@mail.test")
    yield entry("cn=joe,ou=x.test,dc=test", cn="joe", mailacceptinggeneralid="joe@x.test", maildrop="joe@base.test")
    yield entry(f"cn=other,{PEOPLE}", "alias extensibleObject", cn="other", aliasedObjectName="cn=joe,ou=x.test,dc=test")
    yield group("team", memberdn=[f"cn=joe,{PEOPLE}", f"cn=jane,{PEOPLE}"], memberaddr="extra@ext.test", leafmail="team@leaf.test")
    yield group("nested", memberdn=[f"cn=team,{GROUPS}", f"cn=joe,{PEOPLE}"])
    yield group("gone", memberdn=[f"cn=nobody,{PEOPLE}"], memberaddr="still@ext.test")
    yield group("loop", memberdn=f"cn=loop,{GROUPS}", memberaddr="loop@ext.test")
    yield group("delegated", memberdn=[f"cn=term,{PEOPLE}", f"cn=jane,{PEOPLE}"])
    urls = {
        "urls": f"ldap:///{PEOPLE}?maildrop?one?(cn=j*)",
        "urlleaf": f"ldap:///{PEOPLE}?leafmail?sub?(cn=joe)",
        "urlother": f"ldap:///{PEOPLE}?description?sub?(cn=joe)",
        "urlbase": f"ldap:///cn=joe,{PEOPLE}",
        "urlgone": "ldap:///cn=nobody,dc=test?maildrop?base",
        "urlscope": f"ldap:///{PEOPLE}?maildrop?bogus?(cn=joe)",
        "urlfilter": f"ldap:///{PEOPLE}?maildrop?sub?(cn=joe",
        "urloption": f"ldap:///cn=options,{PEOPLE}?maildrop;lang-en?base",
        "urlgroup": f"ldap:///cn=team,{GROUPS}?memberdn,memberaddr?base",
    }
    for cn, url in urls.items():
        yield group(cn, memberurl=url)
    yield from chain(40)
    for i in range(3000):
        yield entry(f"cn=user{i},ou=crowd,dc=test", cn=f"user{i}", mailacceptinggeneralid=f"user{i}@crowd.test",
                    maildrop=f"box{i}@mail.test", description="crowd")


if __name__ == "__main__":
    print("\n".join(all_entries()))
