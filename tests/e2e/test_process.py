# SPDX-License-Identifier: Apache-2.0
"""The master and its processes: who they are, what they may, how they come back, how a configuration is replaced."""

import contextlib
import os
import pathlib
import pwd
import signal
import subprocess
import time

import pytest
from instance import MASTER_CF, PREFIX, wait_for

MODES = ["rootless", "root"] if os.geteuid() == 0 else ["rootless"]
ALWAYS = {"smtpd", "pickup", "qmgr", "resolve", "bounce"}
TEXT = "Subject: hello\r\n\r\nbody\r\n"
DISCARD = "default_transport = discard:\nlocal_transport = discard:\n"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(params=MODES)
def rootless(request):
    return request.param == "rootless"


def roles(i):
    """role -> pids"""
    found = {}
    for pid, name in i.processes().items():
        found.setdefault(name.split()[0], []).append(pid)
    return found


def status(pid):
    """The fields of /proc/PID/status."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def own_objects(pid):
    """Modules of ours that the process has mapped."""
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
    return {line.split()[-1] for line in maps.splitlines() if str(PREFIX / "lib") in line and ".so" in line}


def is_alive(pid):
    """Not gone, and not one that nobody has waited for."""
    try:
        return status(pid)["State"][0] != "Z"
    except OSError:
        return False


def delivers(i, who="someone@far.test"):
    before = i.log().count("status=sent")
    i.send("sender@example.test", [who], TEXT)
    wait_for(lambda: i.log().count("status=sent") > before)


def test_who_the_processes_are(make, rootless):
    i = make(DISCARD, rootless=rootless).start()
    delivers(i)
    kinds = roles(i)
    assert ALWAYS | {"agent", "guardian", "master"} <= set(kinds)
    assert ("broker" in kinds) == (not rootless)
    owner = pwd.getpwnam(i.user)
    for kind, pids in kinds.items():
        for pid in pids:
            s = status(pid)
            root = not rootless and kind in ("guardian", "master", "broker")
            assert s["Uid"].split() == [str(0 if root else owner.pw_uid)] * 4, kind
            assert s["Gid"].split() == [str(0 if root else owner.pw_gid)] * 4, kind
            # Never batch: what starts programs, which would inherit it.
            assert os.sched_getscheduler(pid) == (os.SCHED_BATCH if kind in ALWAYS | {"agent"} else os.SCHED_OTHER), kind
            if root:
                continue
            assert int(s["CapEff"], 16) == 0 and int(s["CapPrm"], 16) == 0, kind
            if kind not in ("guardian", "master"):
                assert s["NoNewPrivs"].strip() == "1", kind
                assert s["Seccomp"].strip() == "2", kind
                if not rootless:
                    assert s["Groups"].strip() == "", kind
    for kind in ("guardian", "master", "qmgr", "broker", "bounce"):
        for pid in kinds.get(kind, []):
            assert own_objects(pid) == set(), kind
    assert own_objects(kinds["agent"][0]), "the agent has its transport"


@needs_root
def test_root_processes_do_not_talk_to_the_network(make):
    i = make(DISCARD, rootless=False).start()
    delivers(i)
    kinds = roles(i)
    with i.smtp() as s:
        s.ehlo("client.test")
        established = set()
        for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "01":
                established.add(f"socket:[{fields[9]}]")
        holders = set()
        for kind, pids in kinds.items():
            for pid in pids:
                for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        if os.readlink(fd) in established:
                            holders.add(kind)
        assert "smtpd" in holders
        assert not holders & {"guardian", "master", "broker"}


def test_killed_processes_come_back(make, rootless):
    i = make(DISCARD, rootless=rootless).start()
    delivers(i)
    for kind in sorted(set(roles(i)) - {"guardian", "master"}):
        pids = roles(i)[kind]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

        def is_back():
            now = roles(i).get(kind, [])
            return kind == "agent" or (len(now) == len(pids) and not set(now) & set(pids))
        is_back.__name__ = f"a new {kind}"
        wait_for(is_back)
        delivers(i)
        i.wait_log(f"pid {pids[0]} killed by signal 9")
    i.wait_empty()


def test_a_broken_reload_is_refused(make, rootless):
    i = make(DISCARD, rootless=rootless).start()
    delivers(i)
    before = i.processes()
    good = i.path("main.cf").read_text()
    i.write("main.cf", good + "smtpd_timeout = soon\n")
    r = i.run("ostler", "reload", check=False)
    assert r.returncode != 0
    assert "smtpd_timeout" in r.stderr and "the old configuration goes on" in r.stderr
    assert i.processes() == before
    delivers(i)
    i.write("main.cf", good + "smtpd_recipient_restrictions = check_sender_access nosuchtype:/x, reject\n")
    r = i.run("ostler", "reload", check=False)
    assert r.returncode != 0 and "nosuchtype" in r.stderr
    i.write("main.cf", good)
    i.write("master.cf", i.path("master.cf").read_text() + "127.0.0.1:nosuchservice inet n - n - - smtpd\n")
    r = i.run("ostler", "reload", check=False)
    assert r.returncode != 0 and "Servname not supported for ai_socktype" in r.stderr
    assert i.processes() == before
    delivers(i)


def test_reload_keeps_sessions(make, rootless):
    i = make(DISCARD, rootless=rootless).start()
    delivers(i)
    before = roles(i)
    with i.raw() as old:
        assert old.reply().startswith("220 mx.example.test ")
        assert old.ask("EHLO client.test").startswith("250")
        assert old.ask("MAIL FROM:<a@example.test>").startswith("250")
        i.write("main.cf", i.path("main.cf").read_text() + "smtpd_banner = $myhostname new configuration\n")
        i.run("ostler", "reload")
        assert old.ask("RCPT TO:<b@far.test>").startswith("250")
        assert old.ask("DATA").startswith("354")
        assert old.ask("Subject: x\r\n\r\nold session\r\n.").startswith("250")
        with i.raw() as new:
            assert new.reply() == "220 mx.example.test new configuration"
        old.ask("QUIT")

    def old_ones_are_gone():
        now = roles(i)
        return all(now.get(kind) and not set(now[kind]) & set(before[kind]) for kind in ALWAYS)
    wait_for(old_ones_are_gone)
    delivers(i)
    i.wait_empty()
    assert " 2    ready" in i.run("ostler", "status").stdout


def test_one_master_only(make, rootless):
    i = make(DISCARD, rootless=rootless).start()
    r = i.run("ostler", "start", check=False)
    assert r.returncode != 0
    assert f"the mail system is already running: process id {i.guardian_pid()}" in r.stderr
    assert i.run("postfix", "status").returncode == 0
    delivers(i)


def test_stop_leaves_nothing(make, rootless):
    i = make(DISCARD, rootless=rootless).start()
    delivers(i)
    pids = list(i.processes())
    i.stop()
    assert [p for p in pids if is_alive(p)] == []
    assert i.run("ostler", "status", check=False).returncode != 0
    assert i.run("ostler", "stop", check=False).returncode != 0
    i.start()
    delivers(i)


def test_unknown_port_name(make, rootless):
    i = make(DISCARD, MASTER_CF + "127.0.0.1:nosuchservice inet n - n - - smtpd\n", rootless=rootless)
    r = i.run("ostler", "start", check=False)
    assert r.returncode != 0
    assert "/master: fatal: 127.0.0.1:nosuchservice: Servname not supported for ai_socktype" in r.stderr


def test_port_in_use(make, rootless):
    first = make(DISCARD, rootless=rootless).start()
    i = make(DISCARD, f"127.0.0.1:{first.port}" + MASTER_CF.removeprefix("{port}"), rootless=rootless)
    r = i.run("ostler", "start", check=False)
    assert r.returncode != 0
    assert f"fatal: bind 127.0.0.1 port {first.port}: Address already in use" in r.stderr


def test_what_needs_root_is_refused_without(make):
    i = make(DISCARD, MASTER_CF.replace("-       n       -       -       smtp\n", "-       y       -       -       smtp\n"),
             rootless=True)
    r = i.run("ostler", "start", check=False)
    assert r.returncode != 0 and "chroot needs root" in r.stderr


def test_check_names_what_is_wrong(make, rootless):
    i = make(DISCARD, rootless=rootless)
    assert i.run("ostler", "check").returncode == 0
    good = i.path("main.cf").read_text()
    for line, words in {
        "transport_maps = nosuchtype:/etc/x": ["transport_maps", "nosuchtype"],
        "smtpd_sendr_restrictions = reject": ["smtpd_sendr_restrictions"],
        "message_size_limit = big": ["message_size_limit"],
    }.items():
        i.write("main.cf", good + line + "\n")
        r = i.run("ostler", "check", check=False)
        assert all(w in r.stderr for w in words), r.stderr
    i.write("main.cf", good + f"transport_maps = hash:{i.folder}/missing\n")
    r = i.run("ostler", "check", check=False)
    assert "transport_maps" in r.stderr and f"{i.folder}/missing" in r.stderr
    i.write("main.cf", good)
    master = i.path("master.cf").read_text()
    i.write("master.cf", master + master.splitlines()[0] + "\n")
    r = i.run("ostler", "check", check=False)
    assert "duplicate" in r.stderr
    i.write("master.cf", master + "odd unix - - n - - nosuchcommand\n")
    r = i.run("ostler", "check", check=False)
    assert r.returncode != 0 and "nosuchcommand" in r.stderr


def test_a_module_that_others_may_write_is_refused(make, rootless):
    i = make(DISCARD, rootless=rootless)
    module = i.folder / "discard.so"
    module.write_bytes((PREFIX / "lib/ostler/discard.so").read_bytes())
    lines = [line for line in i.path("modules.cf").read_text().splitlines() if "discard" not in line]
    i.write("modules.cf", "\n".join(lines) + f"\ntransport discard {module}\n")
    i.give_to_user()
    module.chmod(0o775)
    r = i.run("ostler", "start", check=False)
    assert r.returncode != 0
    assert str(module) in r.stderr and "writable by its group" in r.stderr


def test_a_module_that_nothing_uses(make, rootless):
    i = make(DISCARD, rootless=rootless, modules=f"table spare {PREFIX}/lib/ostler/nosuchmodule.so\n")
    r = i.run("ostler", "check")
    assert "module spare" in r.stderr and "warning" in r.stderr
    i.start()
    i.write("main.cf", i.path("main.cf").read_text() + "transport_maps = spare:x\n")
    r = i.run("ostler", "reload", check=False)
    assert r.returncode != 0 and "main.cf: line" in r.stderr and "spare" in r.stderr
    delivers(i)


def test_changed_map_is_seen(make, rootless):
    i = make(rootless=rootless)
    access = i.write("access", "b@far.test REJECT first text\n")
    i.write("main.cf", i.path("main.cf").read_text() + DISCARD +
            f"smtpd_recipient_restrictions = check_recipient_access texthash:{access}, permit\n")
    i.give_to_user()
    i.start()

    def answer():
        with i.smtp() as s:
            s.ehlo("client.test")
            s.mail("a@example.test")
            return s.rcpt("b@far.test")[1]
    assert b"first text" in answer()
    new = i.write("access.new", "b@far.test REJECT second text\n")
    i.give_to_user()
    new.rename(access)
    wait_for(lambda: b"second text" in answer())


BAD = r"""
#include <string.h>
#include <ostler/host.h>
static const struct ost_host *host;
static bool load(const struct ost_host *h, struct ost_why *why) { (void)why; host = h; return true; }
static bool open_table(struct ost_instance *i, const void *c, void **self, struct ost_why *why)
{ (void)i; (void)c; (void)why; static int one; *self = &one; return true; }
static void close_table(void *self) { (void)self; }
static enum ost_found lookup(void *self, const struct ost_query *q, struct ost_answer *a)
{
    (void)self; (void)a;
    if (q->klen >= 5 && memcmp(q->key, "crash", 5) == 0)
        *(volatile int *)8 = 1;
    return OST_NOTFOUND;
}
static const struct ost_table_ops ops = {
    .ops = { .size = sizeof ops, .open = open_table, .close = close_table }, .lookup = lookup,
};
static const struct ost_provide provides[] = { { OST_KIND_TABLE, "bad", &ops.ops }, { 0 } };
OST_MODULE(bad, .version = "1", .summary = "bad on purpose", .license = "Apache-2.0", .provides = provides, .load = load);
"""


@pytest.mark.skipif(not (PREFIX / "include/ostler/module.h").exists(), reason="the headers are not installed")
def test_a_module_that_crashes(make, rootless):
    i = make(rootless=rootless)
    source = i.folder / "bad.c"
    source.write_text(BAD)
    module = i.folder / "bad.so"
    subprocess.run(["cc", "-shared", "-fPIC", f"-I{PREFIX}/include", "-o", module, source], check=True)
    i.write("main.cf", i.path("main.cf").read_text() + DISCARD + "ostler_worker_processes = 1\n"
            "smtpd_recipient_restrictions = check_recipient_access bad:x, permit\n")
    i.write("modules.cf", i.path("modules.cf").read_text() + f"table bad {module}\n")
    i.give_to_user()
    i.start()
    delivers(i)
    with i.raw() as d:
        d.reply()
        for line in ("EHLO client.test", "MAIL FROM:<a@example.test>"):
            assert d.ask(line).startswith("250")
        assert d.ask("RCPT TO:<crash@far.test>") == ""
    i.wait_log("killed by signal 11 in module bad, lookup")
    delivers(i)


def test_many_deaths_are_throttled(make, rootless):
    i = make(DISCARD + "service_throttle_time = 2s\n", rootless=rootless).start()
    killed = 0
    while "resolve: ends again and again -- throttling" not in i.log() and killed < 200:
        for pid in roles(i).get("resolve", []):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
        time.sleep(0.1)
    assert 10 <= killed < 200
    wait_for(lambda: "resolve" in roles(i))
    delivers(i)

