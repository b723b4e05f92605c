# SPDX-License-Identifier: Apache-2.0
"""Servers of tcp_table(5) and socketmap_table(5) that answer from a dict and remember every byte they were sent."""

import contextlib
import socket
import threading


class MapServer:
    """serve_one(reader, writer) is the protocol's; on host:port, or on a socket of the file system."""

    def __init__(self, replies, default, host="127.0.0.1", port=0, path=None):
        self.replies, self.default = replies, default
        self.seen, self.lock = b"", threading.Lock()
        family = socket.AF_UNIX if path else socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(str(path) if path else (host, port))
        self.listener.listen(100)
        self.port = 0 if path else self.listener.getsockname()[1]
        self.connections = set()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections.add(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as reader:
            while (request := self.read(reader)) is not None:
                with self.lock:
                    self.seen += request
                connection.sendall(self.replies.get(self.key(request), self.default))

    def take_seen(self):
        with self.lock:
            seen, self.seen = self.seen, b""
            return seen

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class TcpTable(MapServer):
    """Replies by key, as whole lines."""

    def read(self, reader):
        return reader.readline() or None

    def key(self, request):
        return request.removeprefix(b"get ").removesuffix(b"\n").decode("latin-1")


class SocketMap(MapServer):
    """Replies by "name key", as whole netstrings."""

    def read(self, reader):
        number = b""
        while (c := reader.read(1)) not in (b":", b""):
            number += c
        return number + b":" + reader.read(int(number) + 1) if number else None

    def key(self, request):
        return request.partition(b":")[2][:-1].decode("latin-1")


def netstring(text):
    return b"%d:%s," % (len(text.encode()), text.encode())
