# SPDX-License-Identifier: Apache-2.0
"""A receiving SMTP server for tests: keeps what it gets, and can be told to answer otherwise."""

import dataclasses
import re
import socketserver
import threading


@dataclasses.dataclass
class Received:
    sender: str
    recipients: list
    data: bytes
    commands: list

    @property
    def text(self):
        return self.data.decode("utf-8", "replace")


class Sink(socketserver.ThreadingTCPServer):
    """with Sink() as sink: … sink.port, sink.messages. `replies`: stage ('connect', 'helo', 'mail', 'rcpt', 'data', 'dot') to a
    reply text, or to a function of the command line that answers a text or None; an empty text closes the connection."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, host="127.0.0.1", port=0, ehlo=("PIPELINING", "SIZE 100000000", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN"),
                 replies=None):
        self.messages, self.connections = [], 0
        self.ehlo = ehlo
        self.replies = replies or {}
        self.lock = threading.Lock()  # guards messages and connections
        super().__init__((host, port), Handler)
        self.port = self.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.shutdown()
        self.server_close()

    def to(self, recipient):
        with self.lock:
            return [m for m in self.messages if recipient in m.recipients]


class Closed(Exception):
    pass


class Handler(socketserver.StreamRequestHandler):
    def answer(self, stage, line, usual):
        text = self.server.replies.get(stage)
        if callable(text):
            text = text(line)
        if text is None:
            text = usual
        if text == "":
            raise Closed
        self.wfile.write(text.encode() + b"\r\n")
        return text[0] in "23"

    def handle(self):
        with self.server.lock:
            self.server.connections += 1
        try:
            self.talk()
        except (Closed, OSError):
            pass

    def talk(self):
        self.sender, self.rcpts, self.commands = None, [], []
        self.answer("connect", "", "220 sink.test ESMTP")
        while True:
            line = self.rfile.readline(10000)
            if not line:
                return
            line = line.decode("utf-8", "replace").rstrip("\r\n")
            self.commands.append(line)
            verb = line.split(" ")[0].upper()
            if not getattr(self, "do_" + verb.lower(), self.do_unknown)(line):
                return

    def do_unknown(self, line):
        return self.answer("unknown", line, "502 5.5.2 Error: command not recognized") or True

    def do_ehlo(self, line):
        names = ["sink.test", *self.server.ehlo]
        usual = "\r\n".join("250" + ("-" if i + 1 < len(names) else " ") + n for i, n in enumerate(names))
        self.answer("helo", line, usual)
        return True

    do_helo = do_lhlo = do_ehlo

    def do_mail(self, line):
        if self.answer("mail", line, "250 2.1.0 Ok"):
            self.sender, self.rcpts = re.search(r"<(.*?)>", line).group(1), []
        return True

    def do_rcpt(self, line):
        if self.answer("rcpt", line, "250 2.1.5 Ok"):
            self.rcpts.append(re.search(r"<(.*?)>", line).group(1))
        return True

    def do_data(self, line):
        if not self.rcpts:
            self.wfile.write(b"554 5.5.1 Error: no valid recipients\r\n")
            return True
        if not self.answer("data", line, "354 End data with <CR><LF>.<CR><LF>"):
            return True
        data = bytearray()
        while True:
            got = self.rfile.readline(1000000)
            if not got:
                return False
            if got == b".\r\n":
                break
            data += got[1:] if got.startswith(b".") else got
        if self.answer("dot", "", "250 2.0.0 Ok: queued"):
            with self.server.lock:
                self.server.messages.append(Received(self.sender, self.rcpts, bytes(data), self.commands))
        self.sender, self.rcpts = None, []
        return True

    def do_rset(self, line):
        self.sender, self.rcpts = None, []
        return self.answer("rset", line, "250 2.0.0 Ok") or True

    def do_noop(self, line):
        return self.answer("noop", line, "250 2.0.0 Ok") or True

    def do_quit(self, line):
        self.answer("quit", line, "221 2.0.0 Bye")
        return False
