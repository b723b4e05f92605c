# SPDX-License-Identifier: Apache-2.0
"""A session that waits for its client, to read or to write, holds no thread."""

import contextlib
import resource
import socket
import time

from instance import wait_for

TEXT = "Subject: x\r\n\r\nx\r\n"


def threads(i):
    """Threads of all smtpd workers, and the memory that is theirs alone, in KiB."""
    count = memory = 0
    for pid, role in i.processes().items():
        if not role.startswith("smtpd"):
            continue
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                count += int(next(line for line in f if line.startswith("Threads:")).split()[1])
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
                memory += int(next(line for line in f if line.startswith("Pss:")).split()[1])
    return count, memory


def test_idle_clients_cost_no_thread(make, sink):
    n = 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    i = make(f"relayhost = [127.0.0.1]:{sink.port}\nsmtpd_client_connection_count_limit = 0\n").start()
    i.send("a@example.test", "warm@far.test", TEXT)
    before, memory_before = threads(i)
    idle = []
    try:
        for _ in range(n):
            s = socket.create_connection(("127.0.0.1", i.port), timeout=20)
            idle.append(s)
        for s in idle:
            assert s.recv(200).startswith(b"220")
        after, memory_after = threads(i)
        assert after - before < 100
        assert (memory_after - memory_before) * 1024 / n < 32 * 1024
        i.send("a@example.test", "beside@far.test", TEXT)
        wait_for(lambda: sink.to("beside@far.test"))
        # Each of them is still served.
        for s in idle[::97]:
            s.sendall(b"NOOP\r\n")
            assert s.recv(200).startswith(b"250")
    finally:
        for s in idle:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_clients_that_do_not_read_cost_no_thread(make, sink):
    """Each sends commands until nobody takes them any more, and reads no reply."""
    i = make(f"relayhost = [127.0.0.1]:{sink.port}\nsmtpd_client_connection_count_limit = 0\nsmtpd_junk_command_limit = 1000000\n"
             "disable_vrfy_command = yes\nsmtpd_hard_error_limit = 1000000\nsmtpd_soft_error_limit = 1000000\n").start()
    before, _ = threads(i)
    deaf = []
    for _ in range(60):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", i.port))
        s.setblocking(False)
        deaf.append(s)
    end = time.monotonic() + 4
    while time.monotonic() < end:
        for s in deaf:
            with contextlib.suppress(BlockingIOError, OSError):
                s.send(b"EHLO x.test\r\n" * 200)
        time.sleep(0.05)
    after, _ = threads(i)
    assert after - before < 30
    i.send("a@example.test", "beside@far.test", TEXT)
    wait_for(lambda: sink.to("beside@far.test"))
    for s in deaf:
        s.close()


def test_a_slow_sender_of_data(make, sink):
    """Bytes that come one by one, with the end of data cut in every place."""
    i = make(f"relayhost = [127.0.0.1]:{sink.port}\n").start()
    with i.raw() as d:
        d.reply()
        d.ask("EHLO slow.test")
        d.ask("MAIL FROM:<a@example.test>")
        d.ask("RCPT TO:<slow@far.test>")
        assert d.ask("DATA").startswith("354")
        for part in (b"Subject: slow\r", b"\n", b"\r", b"\n", b".", b".", b"dot\r", b"\nend\r\n", b".", b"\r", b"\n"):
            d.say(part)
            time.sleep(0.03)
        assert d.reply().startswith("250 2.0.0 Ok: queued as ")
    [got] = wait_for(lambda: sink.to("slow@far.test"))
    assert got.text.endswith("\r\n\r\n.dot\r\nend\r\n")


def test_connections_of_one_client_are_limited(make):
    i = make("smtpd_client_connection_count_limit = 3\nsmtpd_client_event_limit_exceptions =\n").start()
    held = [i.raw() for _ in range(3)]
    assert all(d.reply().startswith("220") for d in held)
    with i.raw() as d:
        assert d.reply() == "421 4.7.0 mx.example.test Error: too many connections from 127.0.0.1"
    held.pop().close()

    def greeted_again():
        with i.raw() as again:
            return again.reply().startswith("220")
    wait_for(greeted_again)
    for d in held:
        d.close()
