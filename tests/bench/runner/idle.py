# SPDX-License-Identifier: Apache-2.0
"""Many clients that say nothing: what they cost in memory, and what they cost the others."""

import json
import os
import signal
import socket
import statistics
import subprocess
import time

from .cpu import pss_megabytes
from .measure import run, running
from .tools import Failure

PAIRS = 3




def greeting_milliseconds(port):
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
        s.recv(4)
    return (time.monotonic() - start) * 1000


class IdleClients:
    """Use as a context: they are connected and greeted inside it."""

    def __init__(self, folder, port, count):
        self.words = [os.path.join(folder, "smtp-load"), "--idle", str(count), f"127.0.0.1:{port}"]
        self.count = count

    def __enter__(self):
        self.process = subprocess.Popen(self.words, stdout=subprocess.PIPE, text=True)
        greeted = self.report()["idle"]
        if greeted < self.count:
            self.__exit__()
            raise Failure(f"only {greeted} of {self.count} idle sessions were greeted")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate()

    def report(self):
        return json.loads(self.process.stdout.readline())

    def left(self):
        self.process.send_signal(signal.SIGUSR1)
        return self.report()["idle"]


def idle_round(mta, scenario, count, image, folder, scale=1.0):
    """Memory without and with `count` idle sessions, and the scenario's rate and CPU time without and with them.

    The measurements with and without take turns, so that whatever else happens on the machine meets both."""
    figures = {"sessions": count, "alone": [], "beside": []}
    with running(mta, scenario, image, folder) as arrivals:
        messages = scenario.messages(mta.name, scale)
        figures["pss_before_mb"] = pss_megabytes(mta.group.pids())
        for _ in range(PAIRS):
            figures["alone"].append(run(mta, scenario, arrivals, folder, messages))
            arrivals.forget()
            with IdleClients(folder, mta.port, count) as clients:
                figures["pss_idle_mb"] = pss_megabytes(mta.group.pids())
                figures["greeting_ms"] = greeting_milliseconds(mta.port)
                figures["beside"].append(run(mta, scenario, arrivals, folder, messages))
                figures["pss_busy_mb"] = pss_megabytes(mta.group.pids())
                figures["left"] = clients.left()
            arrivals.forget()
    return figures


def compared(f, key, what):
    """The medians alone and beside idle sessions, and their difference."""
    alone, beside = (statistics.median(r[key] for r in f[where]) for where in ("alone", "beside"))
    return f"{alone:,.0f} {what} alone, {beside:,.0f} beside them ({(beside / alone - 1) * 100:+.0f} %)"


def text(name, f):
    kib = (f["pss_idle_mb"] - f["pss_before_mb"]) * 1024 / f["sessions"]
    return (f"{name}: {f['sessions']:,} idle sessions ({f['left']:,} left at the end): memory (PSS) "
            f"{f['pss_before_mb']:.0f} MiB before, {f['pss_idle_mb']:.0f} with them ({kib:.1f} KiB each), "
            f"{f['pss_busy_mb']:.0f} with load beside them; a new client is greeted in {f['greeting_ms']:.1f} ms; "
            f"{compared(f, 'per_second', 'messages a second')}; {compared(f, 'cpu_us', 'us of CPU each')}")
