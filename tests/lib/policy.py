# SPDX-License-Identifier: Apache-2.0
"""A policy server for tests, on a port of 127.0.0.1 or a socket: it notes what it is asked and answers what it is told to."""

import os
import socketserver
import threading


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        with self.server.lock:
            self.server.policy.connections += 1
        request = []
        for line in self.rfile:
            text = line.decode("utf-8", "replace").rstrip("\n")
            if text:
                request.append(tuple(text.split("=", 1)))
                continue
            with self.server.lock:
                self.server.policy.requests.append(request)
            answer = self.server.policy.answer(dict(request))
            if answer is None:
                return
            self.wfile.write(answer if isinstance(answer, bytes) else f"action={answer}\n\n".encode())
            request = []


class TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True


class UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


class Policy:
    """answer(attributes): an action, bytes to be sent as they are, or None: the connection is closed."""

    def __init__(self, answer, path=None, port=0):
        self.answer, self.requests, self.connections = answer, [], 0
        self.server = UnixServer(str(path), Handler) if path else TcpServer(("127.0.0.1", port), Handler)
        self.server.policy, self.server.lock = self, threading.Lock()
        if path:
            os.chmod(path, 0o777)
        else:
            self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()
