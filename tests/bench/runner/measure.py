# SPDX-License-Identifier: Apache-2.0
"""One round: a fresh image, an MTA started on it, warmed up, and measured under one scenario."""

import contextlib
import os
import time

from .cpu import machine_seconds
from .pair import Sink, load, scenario_options, wait_for_count
from .tools import Failure

WARM_UP_SHARE = 0.1  # of the messages, sent before the clock starts
SETTLE_SECONDS = 0.5  # after the last delivery: what the MTA still has to note down is counted as well


@contextlib.contextmanager
def running(mta, scenario, image, folder):
    """The MTA on a fresh image, warmed up, stopped at the end; gives what counts its deliveries."""
    with Sink(folder) as sink:
        mta.prepare(image.fresh(), sink.port, scenario.mailboxes)
        try:
            mta.start()
            arrivals = Relayed(sink) if scenario.kind == "relay" else Maildirs(os.path.join(mta.root, "mail"))
            warm_up(mta, scenario, arrivals, folder)
            yield arrivals
        except Failure as e:
            raise Failure(f"{e}\nThe end of its log:\n{mta.log_tail()}") from e
        finally:
            mta.stop()


def one_round(mta, scenario, image, folder, scale=1.0):
    """Returns the figures of one round as a dict."""
    with running(mta, scenario, image, folder) as arrivals:
        return run(mta, scenario, arrivals, folder, scenario.messages(mta.name, scale))


def warm_up(mta, scenario, arrivals, folder):
    """Processes are started, connections and caches are there."""
    messages = scenario.messages(mta.name, WARM_UP_SHARE)
    load(folder, mta.port, *scenario_options(scenario, messages))
    arrivals.wait(messages * scenario.recipients)
    time.sleep(SETTLE_SECONDS)
    arrivals.forget()


def run(mta, scenario, arrivals, folder, messages):
    cpu, machine = mta.group.seconds(), machine_seconds()
    sent = load(folder, mta.port, *scenario_options(scenario, messages))
    last_ns = arrivals.wait(sent["accepted"] * scenario.recipients)
    machine = machine_seconds() - machine
    time.sleep(SETTLE_SECONDS)
    cpu = mta.group.seconds() - cpu
    seconds = (last_ns - sent["start_ns"]) / 1e9
    figures = {
        "messages": sent["accepted"],
        "failed": sent["failed"] + sent["unknown"],
        "seconds": seconds,
        "per_second": sent["accepted"] / seconds,
        "megabytes_per_second": sent["bytes"] / seconds / 1e6,
        "accepted_per_second": sent["per_second"],
        "cpu_us": cpu / sent["accepted"] * 1e6,
        "machine_us": machine / sent["accepted"] * 1e6,
        "accept_p50_us": sent["latency_us"]["p50"],
        "accept_p99_us": sent["latency_us"]["p99"],
    }
    figures.update(arrivals.figures())
    return figures


class Relayed:
    """Deliveries that the sink counts."""

    def __init__(self, sink):
        self.sink = sink

    def forget(self):
        self.sink.forget()

    def wait(self, recipients):
        wait_for_count("messages at the sink", lambda: self.sink.report()["recipients"], recipients)
        return self.sink.report()["last_ns"]

    def figures(self):
        latency = self.sink.report()["latency_us"]
        return {"delivery_p50_us": latency["p50"], "delivery_p99_us": latency["p99"]}


class Maildirs:
    """Deliveries that are files in Maildirs."""

    def __init__(self, folder):
        self.folder = folder
        self.before = 0

    def news(self):
        with os.scandir(self.folder) as boxes:
            return [path for box in boxes if os.path.isdir(path := os.path.join(box.path, "new"))]

    def count(self):
        return sum(len(os.listdir(path)) for path in self.news())

    def forget(self):
        self.before = self.count()

    def wait(self, recipients):
        """The last change of a "new" folder is when the last message was published."""
        wait_for_count("files in Maildirs", self.count, self.before + recipients)
        last = max(os.stat(path).st_mtime_ns for path in self.news())
        return last - time.time_ns() + time.monotonic_ns()

    def figures(self):
        return {}
