# SPDX-License-Identifier: Apache-2.0
"""Host names as one program sees them: a hosts file of its own, and behind it a name server that never answers."""

import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

ADDRESS = "127.77.53.1"  # of loopback, where nobody else serves names
SCRIPT = 'mount --bind "$1" "$(readlink -f /etc/resolv.conf)" && mount --bind "$2" /etc/hosts && shift 2 && exec "$@"'


def available():
    return os.geteuid() == 0 and shutil.which("unshare") is not None


class SilentNameServer:
    """with SilentNameServer({"db.example.test": ["::1", "127.0.0.1"]}) as names: names.run(argv, …). Any other name is asked of a
    server that takes the question and does nothing, for minutes, as far as resolv.conf goes."""

    def __init__(self, hosts=None):
        self.hosts = {"localhost": ["127.0.0.1", "::1"], **(hosts or {})}

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="names-test-", dir=os.environ.get("OST_SCRATCH")))
        self.folder.chmod(0o755)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((ADDRESS, 53))
        (self.folder / "resolv.conf").write_text(f"nameserver {ADDRESS}\noptions timeout:30 attempts:5\n")
        (self.folder / "hosts").write_text("".join(f"{a} {name}\n" for name, addresses in self.hosts.items() for a in addresses))
        return self

    def __exit__(self, *exc):
        self.socket.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def was_asked(self):
        self.socket.setblocking(False)
        try:
            return bool(self.socket.recv(1500))
        except BlockingIOError:
            return False

    def run(self, argv, timeout=100):
        """In a mount namespace of its own."""
        return subprocess.run(["unshare", "-m", "sh", "-c", SCRIPT, "sh", str(self.folder / "resolv.conf"), str(self.folder / "hosts"),
                               *map(str, argv)], text=True, capture_output=True, timeout=timeout, check=False)
