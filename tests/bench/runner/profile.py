# SPDX-License-Identifier: Apache-2.0
"""Where the time of a message goes: perf by process and function, and strace -c by process and system call."""

import collections
import os
import re
import signal
import subprocess
import time

from .cpu import stat_fields
from .measure import running
from .pair import load, scenario_options
from .tools import Failure, command

FREQUENCY = 997
ROWS = 40
SYSCALL = re.compile(r"^(?:__(?:x64|arm64|ia32|se|do)_(?:compat_)?sys_|ksys_|__sys_|do_sys_)(\w+)$")
SAMPLE = re.compile(r"^(?P<command>\S.*?)\s+(?P<pid>\d+)\s*$")
FRAME = re.compile(r"^\s+[0-9a-f]+ (?P<symbol>.+?) \((?P<object>[^()]*)\)$")


def role_of(pid):
    """What the process is: of Ostler's workers role and service, otherwise the name of the program."""
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as f:
            words = f.read().split("\0")
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as f:
            name = f.read().strip()
    except OSError:
        return "?"
    if "--worker" not in words:
        return name
    at = words.index("--worker") + 1
    return "/".join(dict.fromkeys(words[at:at + 2]))


def profile(mta, scenario, image, folder, scale=1.0):
    """Two runs: one under perf, one under strace (which is slow, so it gets fewer messages)."""
    with running(mta, scenario, image, folder) as arrivals:
        messages = scenario.messages(mta.name, scale)
        print(under_perf(mta, scenario, arrivals, folder, messages))
        arrivals.forget()
        print(under_strace(mta, scenario, arrivals, folder, max(messages // 10, scenario.sessions)))


def send(mta, scenario, arrivals, folder, messages):
    sent = load(folder, mta.port, *scenario_options(scenario, messages))
    arrivals.wait(sent["accepted"] * scenario.recipients)
    return sent["accepted"]


# ---- perf ----

def under_perf(mta, scenario, arrivals, folder, messages):
    data = os.path.join(os.path.dirname(mta.conf), "perf.data")
    words = ["perf", "record", "-q", "-a", "-g", "-F", str(FREQUENCY), "-o", data]
    try:
        recorder = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError as e:
        raise Failure(f"perf: {e}") from e
    time.sleep(1)
    roles = {pid: role_of(pid) for pid in mta.group.pids()}
    count = send(mta, scenario, arrivals, folder, messages)
    roles.update({pid: role_of(pid) for pid in mta.group.pids() if pid not in roles})
    recorder.send_signal(signal.SIGINT)
    recorder.wait()
    text = command("perf", "script", "-i", data, "-F", "comm,pid,ip,sym,dso")
    os.unlink(data)
    return perf_tables(samples(text), roles, count)


def samples(text):
    """(command, pid, frames from the innermost out) for each sample of perf script."""
    who, frames = None, []
    for line in text.splitlines():
        if found := FRAME.match(line):
            frames.append((found["symbol"].partition("+")[0], os.path.basename(found["object"])))
        elif found := SAMPLE.match(line):
            who, frames = (found["command"], int(found["pid"])), []
        elif not line.strip() and who:
            yield *who, frames
            who = None
    if who:
        yield *who, frames


def place_of(frames):
    """The system call a sample is in, or the function of the program."""
    for symbol, _ in reversed(frames):
        if found := SYSCALL.match(symbol):
            return f"{found[1]}()"
    if not frames:
        return "?"
    symbol, where = frames[0]
    return f"{symbol} [{where}]"


def perf_tables(found, roles, count):
    by_role, by_place, by_leaf = collections.Counter(), collections.Counter(), collections.Counter()
    for name, pid, frames in found:
        role = roles.get(pid) or ("idle" if name.startswith("swapper") else f"({name.split(':')[0]})")
        by_role[role] += 1
        if pid in roles:
            by_place[f"{role}: {place_of(frames)}"] += 1
            by_leaf[f"{frames[0][0]} [{frames[0][1]}]" if frames else "?"] += 1
    del by_role["idle"]

    def lines(title, counter):
        yield f"\n{title}\n"
        for name, n in counter.most_common(ROWS):
            yield f"{n / FREQUENCY / count * 1e6:9.1f}  {name}"

    return "\n".join([
        f"microseconds of CPU per message, of {count} messages, from samples",
        *lines("by process (others of the machine in brackets)", by_role),
        *lines("by process and system call or function", by_place),
        *lines("by innermost function", by_leaf),
    ])


# ---- strace ----

def under_strace(mta, scenario, arrivals, folder, messages):
    tracers = []
    for pid in mta.group.pids():
        if stat_fields(pid):
            out = os.path.join(os.path.dirname(mta.conf), f"strace.{pid}")
            words = ["strace", "-c", "-f", "-q", "-o", out, "-p", str(pid)]
            tracers.append((role_of(pid), out, subprocess.Popen(words, stderr=subprocess.DEVNULL)))
    time.sleep(1)
    count = send(mta, scenario, arrivals, folder, messages)
    calls = collections.Counter()
    for role, out, tracer in tracers:
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
        for name, n in strace_counts(out):
            calls[f"{role}: {name}"] += n
    text = [f"\nsystem calls per message, of {count} messages (strace -c)\n"]
    text.append(f"{sum(calls.values()) / count:9.2f}  all")
    text += [f"{n / count:9.2f}  {name}" for name, n in calls.most_common(2 * ROWS)]
    return "\n".join(text)


def strace_counts(path):
    """(system call, how often) from a table of strace -c."""
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            words = line.split()
            if len(words) >= 5 and words[3].isdigit() and words[-1] not in ("total", "syscall"):
                yield words[-1], int(words[3])
