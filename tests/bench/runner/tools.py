# SPDX-License-Identifier: Apache-2.0
"""Small helpers: commands that must succeed, waiting, free ports."""

import socket
import subprocess
import sys
import tempfile
import time

from image import Failure

def note(text):
    print(text, file=sys.stderr, flush=True)


def command(*words, **options):
    """Runs a command; its output is part of the Failure when it does not succeed.

    The output goes through a file, not a pipe: a daemon that the command starts may keep it open.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as out:
        done = subprocess.run([str(w) for w in words], stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False, **options)
        out.seek(0)
        text = out.read()
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, words))}: exit {done.returncode}\n{text}")
    return text


def wait_until(what, test, seconds, pause=0.02):
    """Waits until test() is true; a Failure names `what` when it never is."""
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {seconds} seconds")
        time.sleep(pause)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def greets(port):
    """Does an SMTP server greet on that port of the loopback interface?"""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
            return s.recv(4) == b"220 "
    except OSError:
        return False
