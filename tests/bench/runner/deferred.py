# SPDX-License-Identifier: Apache-2.0
"""A queue with very many deferred messages: how soon it is ready after a start, what it costs in memory, how long a
listing and a flush take, and what a flush does to new mail.

The deferred messages are for a host of their own (a second sink, that is there or not); new mail goes to the first
sink, by the same agents.
"""

import contextlib
import os
import statistics
import subprocess
import threading
import time

from .cpu import pss_by_name
from .mta import LogCount
from .pair import Sink, load
from .tools import Failure, command, free_port, greets, note, wait_until

BYTES = 1500
WAIT = 7200  # seconds until the next try of what is deferred
PROBE_PAUSE_MS = 20
QUIET_SECONDS = 6
PROBE_SECONDS, FLUSH_PROBES = 2, 10  # how long new mail is watched beside a flush, and how often
FLUSH_PATIENCE = 900

MAIN_CF = """\
transport_maps = inline:{{deferred.example=smtp:[127.0.0.1]:{port}}}
qmgr_message_active_limit = 20000
minimal_backoff_time = 3600
maximal_backoff_time = 7200
"""


def megabytes(count):
    """What so many messages and their inodes take on a disk, in MiB."""
    return 1024 + count * (4096 + 512 + 128) // (1024 * 1024)


class Away:
    """The host that the deferred messages are for: a port on which nobody listens, until there is a sink."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()

    def comes_back(self):
        return Sink(self.folder, port=self.port)


@contextlib.contextmanager
def prepared(mta, count, image, folder):
    """The MTA's folders on a fresh file system with a full spool, and nothing of it in memory; not started."""
    away = Away(folder)
    with Sink(folder) as sink:
        mta.extra_main_cf += MAIN_CF.format(port=away.port)
        mta.prepare(image.fresh("-N", str(count + 100_000)), sink.port, 1)
        seconds = mta.fill(folder, count, BYTES, "user%d@deferred.example", WAIT)
        note(f"{mta.name}: {count} deferred messages made in {seconds:.0f} s")
        image.again()
        try:
            yield sink, away
        except Failure as e:
            raise Failure(f"{e}\nThe end of its log:\n{mta.log_tail()}") from e
        finally:
            mta.stop()


def start(mta, count, sink, folder):
    """Seconds from the start to the greeting, to the first delivery, to the end of a listing, to all found."""
    begin = time.monotonic()
    mta.launch()
    wait_until(f"{mta.name}: a greeting", lambda: greets(mta.port), 60, 0.005)
    figures = {"greeting_s": time.monotonic() - begin}
    load(folder, mta.port, "-m", 1, "-t", "someone@sink.example")
    wait_until("new mail", lambda: sink.report()["recipients"] >= 1, 120, 0.01)
    figures["new_mail_s"] = time.monotonic() - begin
    if mta.deferred() is not None:
        wait_until("all messages found", lambda: mta.deferred() >= count, 600, 0.05)
        figures["found_s"] = time.monotonic() - begin
    return figures


def listing(mta, count):
    """Seconds that a listing of the whole queue takes."""
    begin = time.monotonic()
    done = subprocess.run(mta.postqueue_words("-p"), stdout=subprocess.PIPE, check=True)
    seconds = time.monotonic() - begin
    listed = done.stdout.count(b"@deferred.example")
    if listed < count:
        raise Failure(f"mailq lists {listed} of {count} messages")
    return seconds


class Probe:
    """One client that sends a message every now and then; the sink says how long each took."""

    def __init__(self, mta, sink, folder):
        self.mta, self.sink, self.folder = mta, sink, folder

    def latency(self, seconds):
        """{p50, p99, max} in microseconds from the final dot to the sink's, of what is sent in this time."""
        self.sink.forget()
        sent = load(self.folder, self.mta.port, "-T", seconds, "--pause", PROBE_PAUSE_MS, "-l", 1024,
                    "-t", "someone@sink.example")
        wait_until("new mail", lambda: self.sink.report()["recipients"] >= sent["accepted"], 120, 0.05)
        return self.sink.report()["latency_us"]


class Flush:
    """Use as a context: `postqueue -f`, then new mail beside it. finished() waits until all have been tried."""

    def __init__(self, mta, tried):
        self.mta, self.tried, self.end = mta, tried, None

    def __enter__(self):
        self.log_bytes = os.path.getsize(self.mta.log_path())
        self.cpu = self.mta.group.seconds()
        self.begin = time.monotonic()
        command(*self.mta.postqueue_words("-f"))
        self.command_s = time.monotonic() - self.begin
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()
        return self

    def watch(self):
        deadline = self.begin + FLUSH_PATIENCE
        while not self.tried() and time.monotonic() < deadline:
            time.sleep(0.25)
        if self.tried():
            self.end = time.monotonic()

    def __exit__(self, kind, *_):
        if kind is None:
            self.watcher.join()

    def figures(self, count):
        if self.end is None:
            raise Failure(f"a flush of {count} messages is not over after {FLUSH_PATIENCE} seconds")
        return {"command_s": self.command_s, "seconds": self.end - self.begin,
                "cpu_us": (self.mta.group.seconds() - self.cpu) / count * 1e6,
                "log_mb": (os.path.getsize(self.mta.log_path()) - self.log_bytes) / 1e6}


def flush(mta, count, probe, tried):
    """Flushes, and measures new mail beside it as long as it lasts, or some time of it."""
    with Flush(mta, tried) as f:
        beside = []
        while f.end is None and len(beside) < FLUSH_PROBES:
            beside.append(probe.latency(PROBE_SECONDS))
    return {**f.figures(count), "beside": median_of(beside)}


def deferred_round(mta, count, image, folder):
    with prepared(mta, count, image, folder) as (sink, away):
        probe = Probe(mta, sink, folder)
        figures = {"messages": count, "start": start(mta, count, sink, folder)}
        time.sleep(2)
        figures["memory_mb"] = pss_by_name(mta.group.pids())
        figures["mailq_s"] = listing(mta, count)
        figures["quiet"] = probe.latency(QUIET_SECONDS)
        deferred = LogCount(mta.log_path(), b" status=deferred ")
        figures["failing"] = flush(mta, count, probe, lambda: deferred.count() >= count)
        figures["memory_after_mb"] = pss_by_name(mta.group.pids())
        with away.comes_back() as host:
            figures["taking"] = flush(mta, count, probe, lambda: host.report()["recipients"] >= count)
            wait_until("an empty queue", lambda: mta.deferred() in (0, None), 60)
    return figures


def median_of(latencies):
    """The medians, and the longest of all."""
    if not latencies:
        raise Failure("the flush was over before new mail could be measured: too few messages")
    return {"p50": statistics.median(each["p50"] for each in latencies),
            "p99": statistics.median(each["p99"] for each in latencies),
            "max": max(each["max"] for each in latencies)}


def milliseconds(latency):
    return f"{latency['p50'] / 1000:.1f} ms (99 %: {latency['p99'] / 1000:.0f}, longest {latency['max'] / 1000:.0f})"


def flush_text(name, what, f):
    return (f"{name}: a flush to a host that {what}: the command {f['command_s']:.2f} s, all tried in "
            f"{f['seconds']:.1f} s, {f['cpu_us']:.0f} us of CPU and {f['log_mb']:.0f} MB of log; new mail beside it "
            f"{milliseconds(f['beside'])}")


def text(name, f):
    started = ", ".join(f"{what.removesuffix('_s').replace('_', ' ')} {seconds:.1f} s"
                        for what, seconds in f["start"].items())
    memory = ", ".join(f"{role} {size:.0f}" for role, size in f["memory_mb"].items())
    return "\n".join([f"{name}: {f['messages']:,} deferred messages: after a start with a cold cache: {started}",
                      f"{name}: memory (PSS, MiB): {memory}; after a flush qmgr {f['memory_after_mb'].get('qmgr', 0):.0f}",
                      f"{name}: mailq {f['mailq_s']:.1f} s; new mail, quiet: {milliseconds(f['quiet'])}",
                      flush_text(name, "still fails", f["failing"]), flush_text(name, "takes them", f["taking"])])
