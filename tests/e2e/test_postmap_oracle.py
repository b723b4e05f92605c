# SPDX-License-Identifier: Apache-2.0
"""postmap and postalias beside Debian's: the same command lines on the same sources, output, complaints and exit status compared.

A case is a list of steps; each runs in a folder of its own, Ostler's and Postfix's the same. A step is a command line, or a pair
of a command line and what it reads on standard input."""

import os
import pathlib
import pwd
import re
import shutil
import subprocess

import pytest

from instance import PREFIX, TEST_USER

POSTFIX = pathlib.Path("/usr/sbin")
DYNAMIC = pathlib.Path("/etc/postfix/dynamicmaps.cf")

pytestmark = pytest.mark.skipif(not (POSTFIX / "postmap").exists(), reason="Debian's Postfix is the oracle")

SOURCES = {
    "plain": "a one\nb two\nc three\n",
    "dup": "a one\nb two\na three\nA four\n",
    "upper": "Alpha One\nBETA Two\n",
    "bad": "a one\nlonely\n  \nb two\n:\n",
    "colon": "a: one\nb two\n",
    "spaces": "a\t  one two   three  \n\tand four\nb\vtwo\n   # no comment for b\n# comment\n\n  five\nc\tthree\n",
    "orphan": "   starts with white space\na one\n",
    "quoted": '"key with spaces" one\n"a \\"quote\\"" two\n"back\\\\slash" three\nplain four\nmid"dle five\n"half six\nx"y z"w seven\n',
    "quotedend": '"abc"def one\n"" two\n" " three\n"a"b" four\n',
    "backslash": "a\\b one\na\\ b two\n\\ three\nend\\ four\n",
    "long": "a " + "x" * 3000 + "\n" + "k" * 200 + " long key\n",
    "verylong": "k" * 600 + " value\n",
    "huge": "a " + "y" * 100000 + "\n",
    "comment": "# only\n#comments\n",
    "empty": "",
    "noeol": "a one\nb two",
    "crlf": "a one\r\nb two\r\n",
    "utf8": "ä one\nö two\nb \u00fc\n",
    "latin1": b"b\xe4d key\ngood one\nvalue \xff\n",
    "nul": b"a\0b one\nc two\0three\n",
    "equal": "a = one\nb=two\n",
    "many": "".join(f"key{i} value {i}\n" for i in range(2000)),
    "dir/file": "x y\n",
    "content": "some text\nof two lines\n",
    "blob": bytes(range(256)),
    "files": "a content\nb blob\nc nosuchfile\nd empty\ne content blob\n",
    "filelist": "a content, blob\nb content  blob\n",
    "header": "subject one\n/^Subject:/ two\nx three\n",
    "regex": "/^a(.*)$/ is $1\n/b/ bee\n",
    "al": "root: admin, other@example.org\nPostmaster: root\nlist: :include:/some/file\nprog: \"|command with args, and comma\"\n"
          "file: /var/mail/file\n",
    "alquoted": '"quoted name": x\n"a@b": y\n"with \\"quote": z\ntwo words: w\n"tab\tname": t\n',
    "albad": "no colon\nempty:\na@b: remote\n: value\n@dom: x\n\"unbalanced: x\nk: \"no end\nfine: ok\n",
    "alcont": "root: a,\n  b,\n\tc\n# comment\n  d\nnext: e\n",
    "alspace": "a:b\nc :d\ne: f , g ,h\ni:  j   k\nl:,m\nn: o,,p\nq: r,\n",
    "aldup": "a: 1\na: 2\nA: 3\n",
    "alcomment": "a: b # c\nd: (comment) e\nf: g (h) i\nj: <k@l>\nm: Name <n@o>, p\n",
    "alodd": "a: \\b\nc: \"\\\\d\"\ne: f@g, |h\ni: :include: /x\nj: k;l\nm: n:o\np: q r: s;\n",
    "alutf8": "ä: b\nc: ä\n",
    "allatin": b"\xe4: b\nc: \xe4\nd: e\n",
}

TYPES = ("hash", "btree", "cdb", "lmdb")


def both(name):
    """postmap and postalias with the same arguments."""
    return [f"postmap {name}", f"postalias {name}"]


# name -> steps
CASES = {
    "plain": ["postmap plain", "postmap -s plain", "postmap -q a plain", "postmap -q B plain", "postmap -q nothing plain"],
    "dup": ["postmap dup", "postmap -q a dup"],
    "dup -w": ["postmap -w dup", "postmap -q a dup", "postmap -s dup"],
    "dup -r": ["postmap -r dup", "postmap -q a dup", "postmap -s dup"],
    "dup -f": ["postmap -f dup", "postmap -q a dup", "postmap -fq a dup", "postmap -fq A dup", "postmap -s dup"],
    "upper": ["postmap upper", "postmap -s upper", "postmap -q ALPHA upper", "postmap -fq ALPHA upper"],
    "upper -f": ["postmap -f upper", "postmap -s upper", "postmap -q Alpha upper", "postmap -fq Alpha upper"],
    "bad lines": ["postmap bad", "postmap -s bad"],
    "colon": ["postmap colon", "postmap -s colon"],
    "white space": ["postmap spaces", "postmap -s spaces"],
    "orphan": ["postmap orphan", "postmap -s orphan"],
    "quoted keys": ["postmap quoted", "postmap -s quoted", ["postmap", "-q", "key with spaces", "quoted"],
                    ["postmap", "-q", 'a "quote"', "quoted"], ["postmap", "-q", "back\\slash", "quoted"]],
    "quotes, more": ["postmap quotedend", "postmap -s quotedend"],
    "backslashes": ["postmap backslash", "postmap -s backslash"],
    "long": ["postmap long", "postmap -s long", ["postmap", "-q", "k" * 200, "long"]],
    "huge": ["postmap huge", "postmap -q a huge"],
    "only comments": ["postmap comment", "postmap -s comment", "postmap -q a comment"],
    "empty": ["postmap empty", "postmap -s empty", "postmap -q a empty"],
    "no newline at the end": ["postmap noeol", "postmap -s noeol"],
    "crlf": ["postmap crlf", "postmap -s crlf"],
    "utf-8": ["postmap utf8", "postmap -s utf8", "postmap -q ä utf8", "postmap -uq ö utf8"],
    "utf-8 -u": ["postmap -u utf8", "postmap -s utf8", "postmap -us utf8"],
    "not utf-8": ["postmap latin1", "postmap -s latin1", "postmap -u latin1", "postmap -us latin1"],
    "query that is not utf-8": ["postmap plain", [b"postmap", b"-q", b"\xff", b"plain"], [b"postmap", b"-uq", b"\xff", b"plain"]],
    "nul": ["postmap nul", "postmap -s nul"],
    "equals": ["postmap equal", "postmap -s equal"],
    "many": ["postmap many", "postmap -s many", "postmap -q key1999 many"],
    "no such file": both("nothing") + both("hash:nothing") + ["postmap btree:nothing", "postmap cdb:nothing", "postmap lmdb:nothing"],
    "unreadable": ["postmap locked", "postalias locked", "postmap -q a locked"],
    "in a folder": ["postmap dir/file", "postmap -s dir/file"],
    "no such folder": both("no/such"),
    "unknown type": both("nosuch:plain") + ["postmap -q a nosuch:plain", "postmap -s nosuch:plain", "postmap -d a nosuch:plain"],
    "no type, only a colon": both(":plain") + ["postmap -q a :plain"],
    "types without an index": ["postmap texthash:plain", "postmap regexp:plain", "postmap static:plain", "postmap cidr:plain",
                               "postmap inline:{a=b}", "postmap unix:passwd.byname", "postmap -i static:plain",
                               "postmap tcp:localhost:1"],
    "types that cannot be changed": ["postmap -d a texthash:plain", "postmap -d a regexp:regex", "postmap -d a static:plain",
                                     "postmap -d a inline:{a=b}", "postmap -d a cidr:empty"],
    "types that cannot be listed": ["postmap -s regexp:regex", "postmap -s static:plain", "postmap -s cidr:empty",
                                    "postmap -s unix:passwd.byname"],
    "other types": ["postmap -q abc regexp:regex", "postmap -q b regexp:regex", "postmap -q x regexp:regex", "postmap -q x static:yes",
                    "postmap -q a texthash:plain", "postmap -s texthash:plain", "postmap -s inline:{a=b}", "postmap -q A regexp:regex",
                    "postmap -fq A regexp:regex"],
    "no index yet": ["postmap -q a plain", "postmap -s plain", "postmap -q a cdb:plain", "postmap -q a lmdb:plain",
                     "postmap -s lmdb:plain"],
    "delete without an index": ["postmap -d a plain", "postmap -d a lmdb:plain"],
    "delete": ["postmap plain", "postmap -d a plain", "postmap -s plain", "postmap -d a plain", "postmap -d B plain",
               "postmap -fd C plain", "postmap -s plain"],
    "delete from standard input": ["postmap plain", ("postmap -d - plain", "a\nnothing\nC\n"), "postmap -s plain",
                                   ("postmap -d - plain", "nothing\n"), ("postmap -d - plain", "")],
    "delete from two": ["postmap plain", "postmap upper", "postmap -d a plain upper", ("postmap -d - plain upper", "b\nalpha\n"),
                        "postmap -s plain", "postmap -s upper"],
    "delete quoted from standard input": ["postmap quoted", ("postmap -d - quoted", '"key with spaces"\nkey with spaces\n'),
                                          "postmap -s quoted"],
    "query from standard input": ["postmap plain", ("postmap -q - plain", "a\nb\nnothing\nC\n"), ("postmap -q - plain", "nothing\n"),
                                  ("postmap -q - plain", ""), ("postmap -q - plain", "a"), ("postmap -q - plain", "\n\na\n"),
                                  ("postmap -q - plain", " a\na \n")],
    "quoted keys from standard input": ["postmap quoted", ("postmap -q - quoted", '"key with spaces"\nkey with spaces\n"plain"\n"half\n"a \\"quote\\""\n'),
                                        ("postmap -q - quoted", '"key with spaces" x\n""\n"\n')],
    "query in two": ["postmap plain", "postmap upper", "postmap -q a plain upper", "postmap -q beta plain upper",
                     ("postmap -q - plain upper", "alpha\na\nzeta\n")],
    "list of two": ["postmap plain", "postmap upper", "postmap -s plain upper"],
    "make two": ["postmap plain upper", "postmap -s plain", "postmap -s upper"],
    "make two, the first bad": ["postmap nothing plain", "postmap -q a plain"],
    "add": ["postmap plain", ("postmap -i plain", "d four\na again\n"), "postmap -s plain", ("postmap -ir plain", "a again\n"),
            "postmap -q a plain", ("postmap -iw plain", "a once more\n"), "postmap -q a plain"],
    "add bad lines": ["postmap plain", ("postmap -i plain", "lonely\nx: y\n"), "postmap -s plain"],
    "add to nothing": [("postmap -i fresh", "a b\n"), "postmap -q a fresh", ("postmap -i fresh", "")],
    "add, two tables": ["postmap plain", "postmap upper", ("postmap -i plain upper", "n o\n"), "postmap -s plain", "postmap -s upper"],
    "add: btree": ["postmap btree:plain", ("postmap -i btree:plain", "d four\na again\n"), "postmap -s btree:plain"],
    "add: lmdb": ["postmap lmdb:plain", ("postmap -i lmdb:plain", "d four\n"), "postmap -s lmdb:plain", "postmap -d a lmdb:plain",
                  "postmap -d a lmdb:plain", "postmap -s lmdb:plain"],
    "add: lmdb, again": ["postmap lmdb:plain", ("postmap -i lmdb:plain", "a again\n"), ("postmap -ir lmdb:plain", "a again\n"),
                         ("postmap -iw lmdb:plain", "a never\n"), "postmap -s lmdb:plain"],
    "add: cdb": ["postmap cdb:plain", ("postmap -i cdb:plain", "d four\n"), "postmap -d a cdb:plain", "postmap -s cdb:plain"],
    "nul at the ends": ["postmap -N plain", "postmap -q a plain", "postmap -s plain", "postmap -n plain", "postmap -q a plain",
                        "postmap -s plain", "postmap -N cdb:plain", "postmap -q a cdb:plain", "postmap -n lmdb:plain", "postmap -q a lmdb:plain",
                        "postmap -s lmdb:plain"],
    "nul, for queries": ["postmap plain", "postmap -Nq a plain", "postmap cdb:plain", "postmap -nq a cdb:plain",
                         "postmap lmdb:plain", "postmap -Nq a lmdb:plain"],
    "no mode twice": ["postmap -s -q a plain", "postmap -d a -q a plain", "postmap -s -d a plain", "postmap -q a -q b plain",
                      "postmap -d a -d b plain", "postmap -s -s plain"],
    "usage": ["postmap", "postmap -x plain", "postmap -q", "postmap -d", "postalias", "postalias -x plain", "postalias -h plain"],
    "headers without -q -": ["postmap -h plain", "postmap -b plain", "postmap -m plain", "postmap -h -q a plain", "postmap -hs plain",
                             "postmap -bd a plain"],
    "headers": [("postmap -h -q - regexp:hdr", "From: me\nSubject: a b\n  folded c\nTo: b\n\nSubject: body\n"),
                ("postmap -b -q - regexp:hdr", "Subject: a\n\nbody line\nSubject: in body\n"),
                ("postmap -bh -q - regexp:hdr", "Subject: a\n\nbody line\nSubject: in body\n"),
                ("postmap -h -q - regexp:hdr", "no header\nSubject: x\n"), ("postmap -bh -q - regexp:hdr", "")],
    "mime": [("postmap -hm -q - regexp:hdr", 'Content-Type: multipart/mixed; boundary="x"\nSubject: outer\n\n--x\nSubject: inner\n\nbody\n'
              "--x--\nSubject: after\n"),
             ("postmap -bhm -q - regexp:hdr", 'Content-Type: message/rfc822\nSubject: outer\n\nSubject: inner\n\nSubject: body\n'),
             ("postmap -hq - regexp:hdr", 'Content-Type: multipart/mixed; boundary="x"\nSubject: outer\n\n--x\nSubject: inner\n\nbody\n'),
             ("postmap -m -q - regexp:hdr", "Subject: x\n\nbody\n")],
    "values from files": ["postmap -F files", "postmap -s files", "postmap -Fs files", "postmap -q a files", "postmap -Fq a files",
                          ("postmap -Fq - files", "a\nd\nx\n")],
    "values from several files": ["postmap -F filelist", "postmap -Fs filelist"],
    "values that are no base64": ["postmap plain", "postmap -Fq a plain", "postmap -Fs plain"],
    "empty results": ["postmap -q a inline:{a=}", "postmap -q x static:"],
    "verbose": ["postmap plain"],
    "long keys": ["postmap verylong", ["postmap", "-q", "k" * 600, "verylong"], "postmap cdb:verylong"],
    "cdb": ["postmap cdb:quoted", ["postmap", "-q", "key with spaces", "cdb:quoted"], "postmap cdb:dup", "postmap -q a cdb:dup",
            "postmap -r cdb:dup", "postmap -q a cdb:dup", "postmap -w cdb:dup", "postmap -q a cdb:dup"],
    "lmdb": ["postmap lmdb:dup", "postmap -s lmdb:dup", "postmap -r lmdb:dup", "postmap -s lmdb:dup", "postmap -w lmdb:dup",
             "postmap lmdb:many", "postmap -s lmdb:many", "postmap lmdb:huge", "postmap -q a lmdb:huge"],
    "btree": ["postmap btree:many", "postmap -s btree:many", "postmap btree:dup", "postmap -d a btree:dup", "postmap -s btree:dup"],
    "empty indexes": ["postmap cdb:empty", "postmap -q a cdb:empty", "postmap lmdb:empty", "postmap -q a lmdb:empty", "postmap -s lmdb:empty",
                      "postmap btree:empty", "postmap -s btree:empty"],
    "rubbish": ["postmap -q a cdb:rubbish", "postmap -q a hash:rubbish", "postmap -q a lmdb:rubbish"],
    "aliases": ["postalias al", "postalias -s al", "postalias -q root al", "postalias -q ROOT al", "postalias -q postmaster al",
                "postalias -fq Root al", "postalias -q nobody al"],
    "aliases, quoted": ["postalias alquoted", "postalias -s alquoted", ["postalias", "-q", "quoted name", "alquoted"],
                        ["postalias", "-q", '"quoted name"', "alquoted"]],
    "aliases, bad": ["postalias albad", "postalias -s albad"],
    "aliases, continued": ["postalias alcont", "postalias -s alcont"],
    "aliases, white space": ["postalias alspace", "postalias -s alspace"],
    "aliases, duplicates": ["postalias aldup", "postalias -s aldup", "postalias -r aldup", "postalias -s aldup", "postalias -w aldup",
                            "postalias -s aldup", "postalias -f aldup", "postalias -s aldup"],
    "aliases, comments": ["postalias alcomment", "postalias -s alcomment"],
    "aliases, odd": ["postalias alodd", "postalias -s alodd"],
    "aliases, utf-8": ["postalias alutf8", "postalias -s alutf8", "postalias allatin", "postalias -s allatin", "postalias -u allatin",
                       "postalias -us allatin"],
    "aliases from standard input": ["postalias al", ("postalias -q - al", "root\nnobody\nfile\n"), ("postalias -d - al", "root\nnobody\n"),
                                    "postalias -s al", "postalias -d file al", "postalias -d file al"],
    "aliases, quoted on standard input": ["postalias alquoted", ("postalias -q - alquoted", '"quoted name"\nquoted name\n')],
    "aliases, added": ["postalias al", ("postalias -i al", "new: x\nroot: y\nbad\n"), "postalias -s al", ("postalias -ir al", "root: y\n"),
                       "postalias -q root al"],
    "aliases of a map": ["postalias plain", "postalias -s plain", "postmap al", "postmap -s al"],
    "aliases, other types": ["postalias lmdb:al", "postalias -s lmdb:al", "postalias cdb:al", "postalias -q root cdb:al",
                             "postalias btree:al", "postalias -s btree:al", "postalias texthash:al", "postalias -i cdb:al"],
    "aliases, no mode twice": ["postalias -s -q a al", "postalias -d a -q a al"],
    "aliases, no file": ["postalias -q a nothing", "postalias -s nothing", "postalias -d a nothing"],
}
SOURCES["hdr"] = "/^Subject: (.*)/ is $1\n/^To:/ to\n/body/ BODY\n"
SOURCES["rubbish.db"] = SOURCES["rubbish.cdb"] = SOURCES["rubbish.lmdb"] = "this is no index, and too short for one"


class Side:
    """One of the two, with its copy of all sources."""

    def __init__(self, folder, bin_folder, config):
        self.folder, self.bin, self.config = folder, bin_folder, config
        folder.mkdir()
        (folder / "locked").touch(mode=0)
        for name, text in SOURCES.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def run(self, argv, text, user):
        env = {"PATH": os.environ["PATH"], "MAIL_CONFIG": str(self.config), "LC_ALL": "C"}
        argv = [os.fsencode(str(self.bin / os.fsdecode(argv[0]))), *map(os.fsencode, argv[1:])]
        r = subprocess.run([*user, *argv], input=text.encode(), capture_output=True, cwd=self.folder, env=env, timeout=60, check=False)
        return shown(r.stdout), shown(r.stderr), r.returncode


# What differs on purpose (docs/differences.md), in both outputs: a pattern, and what is put in its place.
ON_PURPOSE = [
    (r"(unsupported dictionary type: \S*?)( \(.*\)|\. Is the \S* package installed\?)$", r"\1"),  # the reason
    (r"(YP_LAST_MODIFIED:\t)\d+", r"\1TIME"),
    (r"\.lmdb: duplicate entry", ".db: duplicate entry"),  # btree: is a file of LMDB
    (r"(open database \S+)\.(lmdb|db): No such", r"\1: No such"),
    (r"fatal: .*rubbish\.(\w+).*", r"fatal: rubbish.\1 is none"),
]


def shown(data):
    """Lines in order of the alphabet, without libdb's own."""
    lines = [line for line in data.decode("latin-1").split("\n") if not line.startswith("BDB")]
    for pattern, instead in ON_PURPOSE:
        lines = [re.sub(pattern, instead, line) for line in lines]
    return sorted(lines)


def split(step):
    command, text = step if isinstance(step, tuple) else (step, "")
    return (command.split() if isinstance(command, str) else command), text


# What may depend on who runs it.
AS_USER = ("plain", "dup", "no such file", "no such folder", "delete", "add", "add: lmdb", "values from files", "cdb", "aliases", "unreadable")


# (case, as an ordinary user): who runs the tests as an ordinary user does all as that one.
RUNS = [(name, False) for name in CASES] + ([(name, True) for name in AS_USER] if os.geteuid() == 0 else [])


@pytest.fixture
def user(request):
    if not request.node.callspec.params["run"][1]:
        return []
    ids = pwd.getpwnam(TEST_USER)
    return ["setpriv", f"--reuid={ids.pw_uid}", f"--regid={ids.pw_gid}", "--clear-groups", "--"]


@pytest.fixture
def sides(tmp_path_factory, user):
    top = tmp_path_factory.mktemp("postmap")
    for folder in (top, *top.parents):
        if folder.stat().st_uid == os.geteuid() and folder != pathlib.Path("/") and not folder.stat().st_mode & 1:
            folder.chmod(folder.stat().st_mode | 0o55)
    ours_cf, theirs_cf = top / "ours-cf", top / "theirs-cf"
    for cf in (ours_cf, theirs_cf):
        cf.mkdir()
        (cf / "main.cf").write_text(f"compatibility_level = 3.6\nmail_owner = {TEST_USER if cf == ours_cf else 'postfix'}\n")
        (cf / "master.cf").write_text("smtp inet n - n - - smtpd\n")
    shutil.copy(PREFIX / "etc/ostler/modules.cf", ours_cf / "modules.cf")
    if DYNAMIC.exists():
        shutil.copy(DYNAMIC, theirs_cf / "dynamicmaps.cf")
    pair = Side(top / "ours", PREFIX / "sbin", ours_cf), Side(top / "theirs", POSTFIX, theirs_cf)
    if user and os.geteuid() == 0:
        subprocess.run(["chown", "-R", TEST_USER, str(top)], check=True)
        subprocess.run(["chown", "-R", "root", str(ours_cf), str(theirs_cf)], check=True)
    return pair


@pytest.mark.parametrize("run", RUNS, ids=[f"{name}-{'user' if other else 'self'}" for name, other in RUNS])
def test_the_same_as_postfix(run, sides, user):
    ours, theirs = sides
    wrong = []
    for step in CASES[run[0]]:
        argv, text = split(step)
        mine, other = ours.run(argv, text, user), theirs.run(argv, text, user)
        if mine != other:
            wrong.append(f"{argv}\n   ours:    {mine}\n   Postfix: {other}")
    assert not wrong, "\n".join(wrong)
