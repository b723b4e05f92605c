# SPDX-License-Identifier: Apache-2.0
"""A file system of its own: a fresh ext4 with a journal, in a file that was written before.

The file is filled with zeros once, so that its blocks exist: otherwise a benchmark would also measure how the file
system below allocates them. The loop device reads and writes it directly, without a second page cache.
"""

import fcntl
import os
import struct
import subprocess
import sys
import tempfile
import time

CHUNK = 4 * 1024 * 1024
EXT4_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
EXT4_GOING_FLAGS_NOLOGFLUSH = 2


class Failure(Exception):
    """The image cannot be made or used; the text says why."""


def command(*words):
    """Runs a command that must succeed; answers its output."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", check=False)
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, words))}: exit {done.returncode}\n{done.stdout}")
    return done.stdout


class Image:
    """Use as a context: the file, the loop device and the mount are gone at the end."""

    def __init__(self, folder, megabytes):
        self.megabytes = megabytes
        self.folder = folder
        self.file = self.device = None
        self.path = None
        self.mounted = False

    def __enter__(self):
        try:
            self._create()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.unmount()
        if self.device:
            command("losetup", "--detach", self.device)
        if self.file:
            os.unlink(self.file)
        if self.path:
            os.rmdir(self.path)
        self.device = self.file = self.path = None

    def _create(self):
        if os.geteuid() != 0:
            raise Failure("this needs root: it mounts a fresh file system")
        # Below /run, so that no folder above is writable by others: a module's folders must not be.
        self.path = tempfile.mkdtemp(prefix="ostler-image-", dir="/run")
        os.chmod(self.path, 0o755)
        handle, self.file = tempfile.mkstemp(prefix="ostler-image-", suffix=".img", dir=self.folder)
        print(f"# writing an image of {self.megabytes} MiB in {self.folder}", file=sys.stderr, flush=True)
        with os.fdopen(handle, "wb") as f:
            for _ in range(self.megabytes * 1024 * 1024 // CHUNK):
                f.write(bytes(CHUNK))
            f.flush()
            os.fsync(f.fileno())
        try:
            self.device = command("losetup", "--find", "--show", "--direct-io=on", self.file).strip()
        except Failure as e:
            raise Failure(f"this needs loop devices (/dev/loop-control): {e}") from e

    def fresh(self, *mkfs, options="defaults"):
        """A new, empty, mounted file system; returns its folder. `mkfs`: more options of mkfs.ext4."""
        self.unmount()
        command("mkfs.ext4", "-q", "-F", "-O", "has_journal", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0",
                *mkfs, self.device)
        self.mount(options)
        os.chmod(self.path, 0o755)
        return self.path

    def again(self):
        """The same file system, with nothing of it left in memory."""
        self.unmount()
        self.mount()

    def mount(self, options="defaults"):
        """Mounts what is there; after a cut that is the journal's replay."""
        command("mount", "-t", "ext4", "-o", options, self.device, self.path)
        self.mounted = True

    def cut(self):
        """As a power cut leaves it: from now on nothing is written, the journal in memory neither; all calls fail."""
        handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(handle, EXT4_IOC_SHUTDOWN, struct.pack("I", EXT4_GOING_FLAGS_NOLOGFLUSH))
        finally:
            os.close(handle)

    def unmount(self, patience=10):
        """The last descriptors of processes that were killed may take a moment to go."""
        end = time.monotonic() + patience
        while self.mounted:
            try:
                command("umount", self.path)
                self.mounted = False
            except Failure:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def megabytes_per_second(self, size=5_000_000, files=100):
        """How fast files of this size are written here, each with its fsync."""
        folder = self.fresh()
        start = time.monotonic()
        for i in range(files):
            handle = os.open(os.path.join(folder, f"f{i}"), os.O_CREAT | os.O_WRONLY, 0o600)
            os.write(handle, bytes(size))
            os.fsync(handle)
            os.close(handle)
        return size * files / (time.monotonic() - start) / 1e6
