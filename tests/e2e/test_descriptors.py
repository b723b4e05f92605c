# SPDX-License-Identifier: Apache-2.0
"""What each process of a running instance holds: its seal, its limits, and every open descriptor, by role."""

import os
import pathlib
import pwd
import re
import subprocess

import pytest
from instance import MASTER_CF, PREFIX, wait_for

MODES = ["rootless", "root"] if os.geteuid() == 0 else ["rootless"]
TEXT = "Subject: hello\r\n\r\nbody\r\n"
MASTERS = ("guardian", "master")
MEMORY_LIMIT = 2 << 30  # ostler_worker_memory_limit
FILES_AT_LEAST = 4096

SANITIZED = b"__asan_init" in (PREFIX / "sbin/ostler").read_bytes() or b"__tsan_init" in (PREFIX / "sbin/ostler").read_bytes()

R, W, RW, A = "r", "w", "rw", "a"
FOLDERS = (r"{spool}(/(journal|results|message|named|corrupt))?", R)
SEGMENT = r"/\d{{8}}(\.[0-9a-f]+\.new)?"
JOURNAL = "{spool}/journal" + SEGMENT
RESULTS = "{spool}/results" + SEGMENT
MESSAGE = r"{spool}/message/[0-9A-F]{{2}}/.*"
LOG = ("{log}", A)
ENDLESS = r"anon_inode:\[(eventfd|eventpoll|timerfd)\]"
COMMON = [("/dev/null", R), ("/dev/null", W), (ENDLESS, RW)]
SNAPSHOT = ("/memfd:configuration", RW)

# Role -> what it may hold beside sockets and its own pipes.
MAY_HOLD = {
    "guardian": [("/dev/null", RW), ("/memfd:ostler-keepsake", RW), ("{queue}/pid/master.pid", RW)],
    "master": [("/dev/null", RW), ("/memfd:ostler-(keepsake|counters)", RW), ("{queue}/pid/master.pid", RW), LOG, SNAPSHOT,
               (ENDLESS, RW), ("anon_inode:inotify", R), ("{queue}/pid/ostler.processes", RW)],
    "broker": [*COMMON, LOG, SNAPSHOT],
    "smtpd": [*COMMON, LOG, FOLDERS, (JOURNAL, RW), (JOURNAL, R), (MESSAGE, RW), ("{etc}/(access|aliases).db", R)],
    "pickup": [*COMMON, LOG, FOLDERS, ("{etc}/aliases.db", R), (JOURNAL, RW), (MESSAGE, RW), ("{queue}/maildrop(/.*)?", R)],
    "bounce": [*COMMON, LOG, FOLDERS, (JOURNAL, RW), (JOURNAL, R), (MESSAGE, R), (MESSAGE, RW)],
    "qmgr": [*COMMON, LOG, FOLDERS, (JOURNAL, RW), (JOURNAL, R), (RESULTS, RW), (RESULTS, R), (MESSAGE, RW), (MESSAGE, R),
             ("{spool}/lock", RW), (r"/proc/\d+/task/\d+/schedstat", R)],
    "proxymap": [*COMMON, LOG, ("{etc}/aliases.db", R)],
    "resolve": [*COMMON, LOG, ("{etc}/vmailbox.db", R)],
    "agent": [*COMMON, LOG, FOLDERS, (JOURNAL, R), (RESULTS, RW), (MESSAGE, R), ("{etc}/vmailbox.db", R)],
    "user": [*COMMON],
}
# Role -> protocols of its sockets.
MAY_SPEAK = {
    "guardian": set(), "master": {"unix", "tcp"}, "broker": {"unix"}, "qmgr": {"unix"}, "bounce": {"unix"}, "pickup": {"unix"},
    "proxymap": {"unix", "tcp", "udp"}, "user": {"unix"}, "resolve": {"unix", "udp", "tcp"}, "smtpd": {"unix", "tcp", "udp"},
    "agent": {"unix", "tcp", "udp"},
}


@pytest.fixture(params=MODES)
def busy(request, make, sink):
    """An instance in which a process of each role lives: it has relayed and delivered. The descriptors of who started it are
    a file and a pipe."""
    rootless = request.param == "rootless"
    # One service in a jail, whose tables proxymap has.
    lines = MASTER_CF if rootless else MASTER_CF.replace("rewrite   unix  -       -       n", "rewrite   unix  -       -       y")
    i = make(f"relayhost = [127.0.0.1]:{sink.port}\n", lines, rootless=rootless)
    uid, gid = (pwd.getpwnam(i.user).pw_uid, pwd.getpwnam(i.user).pw_gid) if rootless else (5000, 5000)
    if os.geteuid() == 0:
        os.chown(i.vmail, uid, gid)
    access = i.postmap("access", "nobody@far.test REJECT\n")
    aliases = i.postmap("aliases", "jim@virtual.test joe@virtual.test\n")
    table = i.postmap("vmailbox", "joe@virtual.test joe/\n")
    i.write("main.cf", i.path("main.cf").read_text() + f"""
virtual_alias_maps = proxy:{aliases}
virtual_mailbox_domains = virtual.test
virtual_mailbox_maps = {table}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
smtpd_recipient_restrictions = check_recipient_access {access}, permit
""")
    foreign = i.folder / "foreign"
    foreign.write_text("of who started it\n")
    ends = os.pipe()
    with foreign.open() as f:
        subprocess.run([*i.as_user(), PREFIX / "sbin/ostler", "-c", i.etc, "start"], pass_fds=[f.fileno(), *ends], check=True,
                       timeout=60)
    i.started = True
    i.foreign = f"pipe:[{os.fstat(ends[0]).st_ino}]"
    for end in ends:
        os.close(end)
    i.send("sender@example.test", ["someone@far.test", "joe@virtual.test"], TEXT)
    wait_for(lambda: i.log().count("status=sent") >= 2)
    return i


def by_role(i):
    """(role, pid) of each process; all roles are there."""
    wanted = set(MAY_HOLD) - ({"broker", "proxymap", "user"} if i.rootless else set())

    def one_of_each_role():
        found = sorted((name.split()[0], pid) for pid, name in i.processes().items())
        return found if {role for role, _ in found} == wanted else None
    return wait_for(one_of_each_role)


def access_of(pid, fd):
    """r, w, rw, or a: appends."""
    text = pathlib.Path(f"/proc/{pid}/fdinfo/{fd}").read_text()
    flags = int(re.search(r"^flags:\s*([0-7]+)", text, re.M)[1], 8)
    return A if flags & os.O_APPEND else {os.O_RDONLY: R, os.O_WRONLY: W, os.O_RDWR: RW}[flags & os.O_ACCMODE]


def descriptors(pid):
    """(number, what, access) of each; those that are closed meanwhile are left out."""
    found = []
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append((int(fd.name), os.readlink(fd).removesuffix(" (deleted)"), access_of(pid, fd.name)))
        except FileNotFoundError:
            continue
    assert found
    return found


def protocols():
    """inode of a socket -> its protocol."""
    found = {}
    for name, column in {"tcp": 9, "tcp6": 9, "udp": 9, "udp6": 9, "unix": 6}.items():
        for line in pathlib.Path("/proc/net", name).read_text().splitlines()[1:]:
            found[line.split()[column]] = name.removesuffix("6")
    return found


def limits_of(pid):
    """name -> [soft, hard]"""
    lines = pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines()
    return {line[:26].strip(): line[26:].split()[:2] for line in lines}


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.skipif(SANITIZED, reason="built with a sanitizer: no sandbox, no limit of memory")
def test_seal_and_limits(busy):
    masters = limits_of(busy.master_pid())
    for role, pid in by_role(busy):
        if role in MASTERS:
            continue
        if role != "broker":
            s = status_of(pid)
            assert (s["NoNewPrivs"], s["Seccomp"]) == ("1", "2"), role
            assert int(s["CapEff"], 16) == 0 and int(s["CapPrm"], 16) == 0, role
            assert int(s["CapBnd"], 16) == 0 or busy.rootless, role
        limits = limits_of(pid)
        soft, hard = limits["Max open files"]
        assert soft == hard and int(soft) >= FILES_AT_LEAST, role
        bounded = role in ("smtpd", "pickup", "proxymap", "resolve", "agent", "user")
        assert limits["Max data size"] == ([str(MEMORY_LIMIT)] * 2 if bounded else masters["Max data size"]), role
        for name in ("Max core file size", "Max processes"):
            assert limits[name] == masters[name], role


def test_every_descriptor_is_the_roles_own(busy):
    places = {"spool": busy.queue / "queue", "queue": busy.queue, "etc": busy.etc, "log": busy.log_file}
    places = {name: re.escape(str(path)) for name, path in places.items()}
    wrong = []
    for role, pid in by_role(busy):
        allowed = [(re.compile(what.format(**places)), access) for what, access in MAY_HOLD[role]]
        for fd, what, access in descriptors(pid):
            known = any(expression.fullmatch(what) and access == a for expression, a in allowed)
            if not known and not what.startswith(("socket:", "pipe:")):
                wrong.append(f"{role}: {fd}: {what} ({access})")
    assert wrong == []


def test_pipes_are_within_one_process(busy):
    """Those of event loops: no other process has an end, and nobody one of who started the system."""
    holders = {}
    for role, pid in by_role(busy):
        for _, what, _ in descriptors(pid):
            if what.startswith("pipe:"):
                holders.setdefault(what, []).append((role, pid))
    assert holders, "event loops have pipes"
    assert busy.foreign not in holders, f"{holders[busy.foreign]} hold a pipe of who started the system"
    assert [h for h in holders.values() if len(h) != 2 or h[0] != h[1]] == []


def test_protocols_by_role(busy):
    known = protocols()
    wrong = []
    for role, pid in by_role(busy):
        for fd, what, _ in descriptors(pid):
            if what.startswith("socket:"):
                protocol = known.get(what[len("socket:["):-1], "unknown")
                if protocol not in MAY_SPEAK[role]:
                    wrong.append(f"{role}: {fd}: {protocol}")
    assert wrong == []
