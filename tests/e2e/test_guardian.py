# SPDX-License-Identifier: Apache-2.0
"""The guardian: whoever of guardian and master is killed, the system goes on without a hand; stop, reload and status reach it always."""

import contextlib
import os
import signal
import socket
import subprocess
import time

import pytest
from instance import MASTER_CF, PREFIX, Instance, is_guardian, process_name, wait_for

MODES = ["rootless", "root"] if os.geteuid() == 0 else ["rootless"]
DISCARD = "default_transport = discard:\nlocal_transport = discard:\n"
TEXT = "Subject: hello\r\n\r\nbody\r\n"


@pytest.fixture(params=MODES)
def rootless(request):
    return request.param == "rootless"


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def greets(i):
    with contextlib.suppress(OSError), i.raw() as d:
        return d.reply().startswith("220")
    return False


def delivers(i, who="someone@far.test"):
    before = i.log().count("status=sent")
    i.send("sender@example.test", [who], TEXT)
    wait_for(lambda: i.log().count("status=sent") > before)


def kill(pid, number=signal.SIGKILL):
    assert pid > 1
    os.kill(pid, number)


def kill_master(i):
    """Kills it, and waits for its successor's greeting: 5 seconds are the promise."""
    old, starts = i.master_pid(), i.log().count("daemon started")
    kill(old)

    def another_one():  # a process of the old one may still take a client meanwhile
        return i.log().count("daemon started") > starts and greets(i)
    wait_for(another_one, 5)
    return old


def two_processes(i):
    """guardian, master: both there, and different ones."""
    pair = i.guardian_pid(), i.master_pid()
    return pair if all(pair) and pair[0] != pair[1] and is_guardian(pair[0]) else None


def test_a_killed_master_is_followed_by_another(make, rootless):
    i = make(DISCARD, rootless=rootless).start()
    delivers(i)
    guardian, before = i.guardian_pid(), i.processes()
    for _ in range(3):
        old = kill_master(i)
        assert i.guardian_pid() == guardian and is_alive(guardian)
        i.wait_log(f"the master process {old} was killed by signal 9")
        delivers(i)
    wait_for(lambda: not [p for p in before if p != guardian and is_alive(p)])
    i.wait_empty()
    assert i.run("postfix", "status").returncode == 0
    i.stop()
    assert not is_alive(guardian)


def test_a_killed_guardian_is_followed_by_another(make, rootless):
    i = make(DISCARD, rootless=rootless).start()
    delivers(i)
    master, before = i.master_pid(), set(i.processes())
    for _ in range(2):
        old = i.guardian_pid()
        kill(old)
        wait_for(lambda: i.guardian_pid() != old and two_processes(i), 5)
        assert i.master_pid() == master
        i.wait_log(f"the guardian process {old} is gone")
    delivers(i)
    assert before - {old} <= set(i.processes()) | {p for p in before if is_guardian(p) or not is_alive(p)}
    i.run("ostler", "reload")
    kill_master(i)  # the new guardian is its child, and does its duty all the same
    delivers(i)
    kill(i.guardian_pid(), signal.SIGTERM)
    wait_for(lambda: not i.processes())
    i.started = False


def test_both_killed_at_once(make, rootless):
    i = make(DISCARD, rootless=rootless).start()
    delivers(i)
    before = list(i.processes())
    pair = two_processes(i)
    for pid in pair:
        kill(pid, signal.SIGSTOP)
    for pid in pair:
        kill(pid)
    wait_for(lambda: not [p for p in before if is_alive(p)])
    i.start()
    delivers(i)
    i.wait_empty()


def test_stop_by_signal(make, rootless):
    for number in (signal.SIGTERM, signal.SIGINT):
        for whom in (Instance.guardian_pid, Instance.master_pid):
            i = make(DISCARD, rootless=rootless).start()
            before = list(i.processes())
            kill(whom(i), number)
            wait_for(lambda: not [p for p in before if is_alive(p)])
            assert i.path("../queue/pid/master.pid").read_text() == ""
            i.started = False


def test_reload_by_signal(make, rootless):
    i = make(DISCARD, rootless=rootless).start()
    i.write("main.cf", i.path("main.cf").read_text() + "smtpd_banner = $myhostname changed\n")
    kill(i.guardian_pid(), signal.SIGHUP)

    def has_changed():
        with i.raw() as d:
            return "changed" in d.reply()
    wait_for(has_changed)


def test_a_broken_configuration_meanwhile(make, rootless):
    """What served last goes on; and what reload took over counts as having served."""
    i = make(DISCARD, rootless=rootless).start()
    good = i.path("main.cf").read_text() + "smtpd_banner = $myhostname second\n"
    i.write("main.cf", good)
    i.run("ostler", "reload")
    i.write("main.cf", good + "smtpd_timeout = soon\n")
    kill_master(i)
    i.wait_log("the one that served last goes on")
    with i.raw() as d:
        assert d.reply() == "220 mx.example.test second"
    delivers(i)
    i.path("main.cf").unlink()
    kill_master(i)
    delivers(i)
    i.write("main.cf", good.replace("second", "third"))
    i.run("ostler", "reload")
    with i.raw() as d:
        assert d.reply() == "220 mx.example.test third"


def test_a_first_start_that_fails_is_the_last(make, rootless):
    i = make(DISCARD, MASTER_CF + "127.0.0.1:nosuchservice inet n - n - - smtpd\n", rootless=rootless)
    for word in ("start", "start-fg"):
        r = i.run("ostler", word, check=False)
        assert r.returncode == 1 and "Servname not supported" in r.stderr
        assert not i.processes()


def test_masters_that_die_again_and_again_are_throttled(make, rootless):
    i = make(DISCARD, rootless=rootless).start()
    guardian = i.guardian_pid()
    while True:  # a successor that never got as far as serving is followed by a pause
        master = i.master_pid()
        if master:
            with contextlib.suppress(OSError):
                os.kill(master, signal.SIGKILL)
            since = time.monotonic()
        elif time.monotonic() - since > 0.7:
            break
        time.sleep(0.02)
    assert is_alive(guardian)
    assert i.run("ostler", "stop").returncode == 0  # in the pause, too
    assert not is_alive(guardian)
    i.started = False
    i.start()
    delivers(i)


def test_a_pause_ends_with_hangup(make, rootless):
    i = make(DISCARD, rootless=rootless).start()
    blocker = socket.socket()
    # The next master finds its port taken by a stranger, and pauses ever longer.
    kill(i.guardian_pid(), signal.SIGSTOP)
    kill(i.master_pid())

    def is_bound():
        with contextlib.suppress(OSError):
            blocker.bind(("127.0.0.1", i.port))
            blocker.listen()
            return True
        return False
    blocker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    wait_for(is_bound)
    kill(i.guardian_pid(), signal.SIGCONT)
    i.wait_log("Address already in use", 30)
    assert is_guardian(i.guardian_pid())
    blocker.close()
    kill(i.guardian_pid(), signal.SIGHUP)
    wait_for(lambda: greets(i), 10)
    delivers(i)


def start_in_foreground(i):
    p = subprocess.Popen([*i.as_user(), str(PREFIX / "sbin/ostler"), "-c", str(i.etc), "start-fg"],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for(lambda: i.guardian_pid() == p.pid and greets(i), 60)
    return p


def test_foreground(make, rootless):
    i = make(DISCARD, rootless=rootless)
    p = start_in_foreground(i)
    assert process_name(p.pid) == "ostler-guardian" and i.guardian_pid() == p.pid
    delivers(i)
    kill_master(i)
    delivers(i)
    before = list(i.processes())
    p.send_signal(signal.SIGTERM)
    assert p.wait(30) == 0
    assert not [pid for pid in before if is_alive(pid)]


def test_foreground_process_killed(make, rootless):
    """Its supervisor starts another one, which waits until the first system has ended."""
    i = make(DISCARD, rootless=rootless)
    first = start_in_foreground(i)
    master = i.master_pid()
    first.kill()
    first.wait()
    second = start_in_foreground(i)
    wait_for(lambda: i.guardian_pid() == second.pid and two_processes(i))
    assert not is_alive(master)
    delivers(i)
    assert i.run("ostler", "stop").returncode == 0
    assert second.wait(30) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_process_1_of_a_container(make):
    i = make(DISCARD, rootless=False)
    p = subprocess.Popen(["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", str(PREFIX / "sbin/ostler"), "-c",
                          str(i.etc), "start-fg"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: greets(i))
        assert i.guardian_pid() == 1
        enter = ["nsenter", "--pid", "--mount", "--target", children(p.pid)[0], "--"]
        status = subprocess.run([*enter, str(PREFIX / "sbin/ostler"), "-c", str(i.etc), "status"], capture_output=True,
                                text=True, check=True).stdout
        master = next(line.split()[0] for line in status.splitlines() if " master " in line)
        subprocess.run([*enter, "kill", "-9", master], check=True)
        i.wait_log(f"the master process {master} was killed by signal 9")
        wait_for(lambda: greets(i), 5)
        delivers(i)
        # A process that nobody waits for is process 1's.
        subprocess.run([*enter, "sh", "-c", "(sleep 0.1 &)"], check=True)
        subprocess.run([*enter, str(PREFIX / "sbin/ostler"), "-c", str(i.etc), "stop"], check=False)  # ends with process 1
        assert p.wait(30) == 0
    finally:
        p.kill()
        p.wait()


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return f.read().split()


def test_a_slow_delivery_outlives_its_master(make, rootless):
    """An agent finishes what it has in hand, and the next queue manager waits for it: nothing is doubled."""
    server = socket.create_server(("127.0.0.1", 0))
    i = make(f"relayhost = [127.0.0.1]:{server.getsockname()[1]}\nqueue_run_delay = 2s\nminimal_backoff_time = 2s\n",
             rootless=rootless).start()
    i.send("sender@example.test", ["someone@far.test"], TEXT)
    server.settimeout(20)
    c, _ = server.accept()
    talk_until_dot(c)
    kill_master(i)  # the reply to the final dot has not come
    time.sleep(3)   # a queue manager that did not wait would have handed the message out by now
    c.sendall(b"250 2.0.0 taken\r\n")
    i.wait_log("status=sent (250 2.0.0 taken)")
    i.wait_empty()
    server.settimeout(0.5)
    with pytest.raises(TimeoutError):
        server.accept()
    wait_for(lambda: i.log().count("status=sent") == 1)


def talk_until_dot(c):
    """A receiving server's part, up to the final dot."""
    file = c.makefile("rb")
    c.sendall(b"220 sink.test\r\n")
    for line in iter(file.readline, b""):
        word = line[:4].upper()
        c.sendall(b"354 go on\r\n" if word == b"DATA" else b"250 ok\r\n")
        if word == b"DATA":
            for text in iter(file.readline, b".\r\n"):
                assert text
            return


def other_version(folder):
    """The installed program with a version number of its own."""
    program = (PREFIX / "sbin/ostler").read_bytes()
    version = subprocess.run([PREFIX / "sbin/ostler", "version"], capture_output=True, text=True, check=True).stdout.split()[1]
    old, new = (b"\0" + v.encode() + b"\0" for v in (version, "9" * len(version)))
    assert old in program
    path = folder / "ostler"
    path.write_bytes(program.replace(old, new))
    path.chmod(0o755)
    return path


def test_commands_of_another_version(make, rootless):
    i = make(DISCARD, rootless=rootless).start()
    other = other_version(i.folder)

    def run(word):
        return subprocess.run([*i.as_user(), other, "-c", i.etc, word], capture_output=True, text=True, timeout=60, check=False)
    r = run("status")
    assert r.returncode == 0 and f"process id {i.guardian_pid()}, is of another version" in r.stderr
    i.write("main.cf", i.path("main.cf").read_text() + "smtpd_banner = $myhostname changed\n")
    r = run("reload")
    assert r.returncode == 0 and "by a signal" in r.stderr

    def has_changed():
        with i.raw() as d:
            return "changed" in d.reply()
    wait_for(has_changed)
    before = list(i.processes())
    r = run("stop")
    assert r.returncode == 0 and "by a signal" in r.stderr
    assert not [p for p in before if is_alive(p)]
    i.started = False
