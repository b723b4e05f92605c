# SPDX-License-Identifier: Apache-2.0
"""How all processes of an instance end at once, or stand still."""

import contextlib
import os
import pathlib
import signal

from instance import wait_for

from .bed import alive


def kill_all(instance, top):
    """kill -9 of every process of the instance (whose top() was `top`), those that are born meanwhile included."""
    parents = [pid for pid, name in instance.processes(top).items() if name in ("guardian", "master")]
    for pid in parents:  # each would start the other again
        send(pid, signal.SIGSTOP)
    killed = set()
    while others := set(instance.processes(top)) - set(parents) - killed:
        for pid in others:
            send(pid, signal.SIGKILL)
        killed |= others
    for pid in parents:
        send(pid, signal.SIGKILL)
    wait_for(lambda: not any(alive(pid) for pid in killed | set(parents)), 20)
    instance.started = False


def send(pid, number):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def freeze(instance):
    """Stops every process where no system call is under way: while a file system goes away, a sync that has begun may still
    answer that all is well."""
    pids = list(instance.processes())
    for pid in pids:
        send(pid, signal.SIGSTOP)
    wait_for(lambda: all(stopped(pid) for pid in pids), 20)
    return pids


def stopped(pid):
    """Whether each thread of the process has stopped, or the process is gone."""
    with contextlib.suppress(OSError):
        states = [(task / "stat").read_text().rpartition(")")[2].split()[0] for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]
        return all(state in "TtZX" for state in states)
    return True
