# SPDX-License-Identifier: Apache-2.0
"""Many clients that say nothing: what they cost in memory, and what they cost the others."""

import json
import os
import signal
import socket
import subprocess
import time

from .cpu import pss_megabytes
from .measure import run, running
from .tools import Failure




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
    """Memory without and with `count` idle sessions, and the scenario's rate without and with them."""
    with running(mta, scenario, image, folder) as arrivals:
        messages = scenario.messages(mta.name, scale)
        alone = run(mta, scenario, arrivals, folder, messages)
        arrivals.forget()
        before = pss_megabytes(mta.group.pids())
        with IdleClients(folder, mta.port, count) as clients:
            quiet = pss_megabytes(mta.group.pids())
            greeting = greeting_milliseconds(mta.port)
            beside = run(mta, scenario, arrivals, folder, messages)
            busy = pss_megabytes(mta.group.pids())
            left = clients.left()
    return {"sessions": count, "left": left, "pss_before_mb": before, "pss_idle_mb": quiet, "pss_busy_mb": busy,
            "greeting_ms": greeting, "alone_per_second": alone["per_second"], "beside_per_second": beside["per_second"]}


def text(name, f):
    kib = (f["pss_idle_mb"] - f["pss_before_mb"]) * 1024 / f["sessions"]
    return (f"{name}: {f['sessions']} idle sessions ({f['left']} left at the end): memory (PSS) "
            f"{f['pss_before_mb']:.0f} MiB before, {f['pss_idle_mb']:.0f} with them ({kib:.1f} KiB each), "
            f"{f['pss_busy_mb']:.0f} with load beside them; a new client is greeted in {f['greeting_ms']:.1f} ms; "
            f"{f['alone_per_second']:.0f} messages a second alone, {f['beside_per_second']:.0f} beside them")
