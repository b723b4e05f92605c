# SPDX-License-Identifier: Apache-2.0
"""Real servers for tests, each in a scratch folder, on a UNIX socket and a port of loopback: OpenLDAP's slapd, memcached, Redis."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

from instance import free_port, wait_for

HERE = pathlib.Path(__file__).resolve().parent


class Server:
    """A program that is started, killed, and started again."""

    program = ""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="server-test-", dir=os.environ.get("OST_SCRATCH")))
        self.folder.chmod(0o755)
        self.socket = self.folder / "socket"
        self.port = free_port()
        self.process = None

    @classmethod
    def available(cls):
        return os.access(cls.program, os.X_OK)

    def command(self):
        raise NotImplementedError

    def accepts(self):
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(str(self.socket))
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            return True
        except OSError:
            return False

    def start(self):
        self.socket.unlink(missing_ok=True)
        with open(self.folder / "output", "ab") as out:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        wait_for(self.accepts)
        self.socket.chmod(0o777)
        return self

    def kill(self):
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Slapd(Server):
    program = "/usr/sbin/slapd"

    def __init__(self, *conf, ldaps=False):
        super().__init__()
        self.ldaps_port = free_port() if ldaps else 0
        refers_to = f"ldap://127.0.0.1:{self.port}"  # itself
        subprocess.run([HERE / "directory/make", self.folder, *conf], check=True, env={**os.environ, "DIRECTORY_REFERS_TO": refers_to})
        self.ldapi = "ldapi://" + str(self.socket).replace("/", "%2F")
        self.urls = f"{self.ldapi} ldap://127.0.0.1:{self.port}" + (f" ldaps://127.0.0.1:{self.ldaps_port}" if ldaps else "")

    def command(self):
        return [self.program, "-f", self.folder / "slapd.conf", "-h", self.urls, "-d", "0"]


class Memcached(Server):
    program = "/usr/bin/memcached"

    def command(self):
        return [self.program, "-u", "root", "-m", "32", "-s", self.socket, "-a", "0777"]

    def accepts(self):  # it has one of the two
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(str(self.socket)) == 0

    def set(self, key, value):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.socket))
            s.sendall(f"set {key} 0 0 {len(value)}\r\n{value}\r\n".encode())
            assert s.recv(100) == b"STORED\r\n"


class Redis(Server):
    program = "/usr/bin/redis-server"

    def command(self):
        return [self.program, "--bind", "127.0.0.1", "--port", str(self.port), "--unixsocket", self.socket, "--dir", self.folder,
                "--save", "", "--daemonize", "no"]

    def cli(self, *words):
        subprocess.run(["/usr/bin/redis-cli", "-s", self.socket, *words], check=True, capture_output=True)


class Silent:
    """Takes connections, and never answers."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.listener.getsockname()[1]
        self.connections = []
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def accept(self):
        while True:
            try:
                self.connections.append(self.listener.accept()[0])
            except OSError:
                return

    def __exit__(self, *exc):
        self.listener.close()
        for c in self.connections:
            c.close()
