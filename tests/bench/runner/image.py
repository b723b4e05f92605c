# SPDX-License-Identifier: Apache-2.0
"""A file system of its own for each round: a fresh ext4 with a journal, in a file that was written before.

The file is filled with zeros once, so that its blocks exist: otherwise each round would also measure how the file
system below allocates them. The loop device reads and writes it directly, without a second page cache.
"""

import os
import tempfile
import time

from .tools import Failure, command, note

CHUNK = 4 * 1024 * 1024


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
            raise Failure("this needs root: each round mounts a fresh file system, and Postfix starts as root")
        # Below /run, so that no folder above is writable by others: a module's folders must not be.
        self.path = tempfile.mkdtemp(prefix="ostler-bench-", dir="/run")
        os.chmod(self.path, 0o755)
        handle, self.file = tempfile.mkstemp(prefix="ostler-bench-", suffix=".img", dir=self.folder)
        note(f"writing an image of {self.megabytes} MiB in {self.folder}")
        with os.fdopen(handle, "wb") as f:
            for _ in range(self.megabytes * 1024 * 1024 // CHUNK):
                f.write(bytes(CHUNK))
            f.flush()
            os.fsync(f.fileno())
        try:
            self.device = command("losetup", "--find", "--show", "--direct-io=on", self.file).strip()
        except Failure as e:
            raise Failure(f"this needs loop devices (/dev/loop-control): {e}") from e

    def fresh(self, inodes=None):
        """A new, empty, mounted file system, with room for so many files; returns its folder."""
        self.unmount()
        command("mkfs.ext4", "-q", "-F", "-O", "has_journal", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0",
                *(["-N", inodes] if inodes else []), self.device)
        self._mount()
        os.chmod(self.path, 0o755)
        return self.path

    def again(self):
        """The same file system, with nothing of it left in memory."""
        self.unmount()
        self._mount()

    def _mount(self):
        command("mount", "-t", "ext4", self.device, self.path)
        self.mounted = True

    def unmount(self):
        if self.mounted:
            command("umount", self.path)
            self.mounted = False

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
