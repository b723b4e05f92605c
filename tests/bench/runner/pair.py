# SPDX-License-Identifier: Apache-2.0
"""smtp-load and smtp-sink as processes."""

import json
import os
import signal
import subprocess

from .tools import Failure, wait_until


class Sink:
    """Use as a context. report() asks for its counters."""

    def __init__(self, folder, *options, port=0):
        self.words = [os.path.join(folder, "smtp-sink"), *options, f"127.0.0.1:{port}"]

    def __enter__(self):
        try:
            self.process = subprocess.Popen(self.words, stdout=subprocess.PIPE, text=True)
        except OSError as e:
            raise Failure(f"{e}: run make, or give --builddir") from e
        self.port = int(json.loads(self.process.stdout.readline())["listening"].rpartition(":")[2])
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate()

    def report(self):
        self.process.send_signal(signal.SIGUSR1)
        return json.loads(self.process.stdout.readline())

    def forget(self):
        """Counters and latencies begin anew."""
        self.process.send_signal(signal.SIGUSR2)


def load(folder, port, *options):
    """Sends, and returns the report."""
    words = [os.path.join(folder, "smtp-load"), *map(str, options), f"127.0.0.1:{port}"]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    if not done.stdout:
        raise Failure(f"{' '.join(words)}: exit {done.returncode}")
    report = json.loads(done.stdout.splitlines()[-1])
    if done.returncode != 0:
        raise Failure(f"{' '.join(words)}: gave up: {report}")
    return report


def scenario_options(scenario, messages):
    return ["-s", scenario.sessions, "-m", messages, "-l", scenario.size, "-r", scenario.recipients,
            "-k", scenario.mailboxes, "-t", f"user%d@{scenario.domain}", *(["-d"] if scenario.keep else [])]


def wait_for_count(what, count, expected, seconds=60):
    """Waits until count() is expected; the time starts anew whenever it grows."""
    seen = count()
    while seen < expected:
        before = seen
        wait_until(f"{what}: {before} of {expected}", lambda: count() > before, seconds, 0.05)
        seen = count()
    if seen > expected:
        raise Failure(f"{what}: {seen}, and not {expected}")
