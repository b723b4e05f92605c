# SPDX-License-Identifier: Apache-2.0
"""A name server for tests, on a UDP and TCP port of a loopback address, that answers from a table and can misbehave by name."""

import contextlib
import socket
import socketserver
import struct
import threading
import time

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}
NXDOMAIN, SERVFAIL = 3, 2


def wire_name(name):
    labels = [label.encode() for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def wire_data(kind, text):
    """The data of a record; bytes are taken as they are."""
    if isinstance(text, bytes):
        return text
    if kind == "A":
        return socket.inet_aton(text)
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, text)
    if kind == "MX":
        preference, host = text.split()
        return struct.pack("!H", int(preference)) + wire_name(host)
    if kind == "TXT":
        return b"".join(bytes([len(part)]) + part for part in (text.encode()[i:i + 255] for i in range(0, len(text), 255)))
    return wire_name(text)


def read_question(packet):
    """(name in lower case, type number, the question's bytes)."""
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1").lower())
        at += 1 + packet[at]
    return ".".join(labels), struct.unpack("!H", packet[at + 1:at + 3])[0], packet[12:at + 5]


class Zone:
    """records: (name, type) to a list of texts or bytes. tricks: name to what its answers are instead: 'silent', 'servfail',
    'id' (another's), 'question' (another), 'loop' (a name that points at itself), 'short' (ends in the middle), 'slow' (the name is known
    2 s after it was first asked for, as with a resolver that asks others)."""

    def __init__(self, records, tricks=None):
        self.records, self.tricks = records, tricks or {}
        self.first = {}  # name to when it was first asked for
        self.names = {name for name, _ in records}

    def find(self, name, kind):
        """[(owner, type, data)], CNAMEs followed as a server does."""
        found = []
        for _ in range(20):
            here = self.records.get((name, kind))
            if here is not None:
                return found + [(name, kind, text) for text in here]
            alias = self.records.get((name, "CNAME"))
            if not alias:
                return found
            found.append((name, "CNAME", alias[0]))
            name = alias[0]
        return found

    def answer(self, packet, limit):
        """The answer to that packet; None for none at all."""
        name, number, question = read_question(packet)
        trick = self.tricks.get(name)
        if trick == "silent":
            return None
        if trick == "slow":
            time.sleep(max(0, self.first.setdefault(name, time.monotonic()) + 2 - time.monotonic()))
        kind = next((k for k, n in TYPES.items() if n == number), None)
        found = self.find(name, kind) if kind else []
        rcode = SERVFAIL if trick == "servfail" else 0 if name in self.names else NXDOMAIN
        body = b"".join(wire_name(owner) + struct.pack("!HHIH", TYPES[k], 1, 60, len(data)) + data
                        for owner, k, data in ((o, k, wire_data(k, t)) for o, k, t in found))
        if trick == "loop":
            body = b"\xc0" + bytes([12 + len(question)]) + struct.pack("!HHIH", number, 1, 60, 4) + b"\x7f\0\0\1"
            found = [None]
        ident = packet[:2] if trick != "id" else bytes([packet[0] ^ 0x55, packet[1]])
        if trick == "question":
            question = wire_name("other.test") + question[-4:]
        flags, count = 0x8180 | rcode, len(found)
        if 12 + len(question) + len(body) > limit:
            flags, count, body = flags | 0x0200, 0, b""
        reply = ident + struct.pack("!HHHHH", flags, 1, count, 0, 0) + question + body
        return reply[:len(reply) - 7] if trick == "short" else reply


class Udp(socketserver.BaseRequestHandler):
    def handle(self):
        packet, sock = self.request
        reply = self.server.zone.answer(packet, 1200)
        if reply:
            with contextlib.suppress(OSError):  # the server has been stopped meanwhile
                sock.sendto(reply, self.client_address)


class Tcp(socketserver.StreamRequestHandler):
    def handle(self):
        head = self.rfile.read(2)
        while len(head) == 2:
            reply = self.server.zone.answer(self.rfile.read(struct.unpack("!H", head)[0]), 65535)
            if reply is None:
                return
            self.wfile.write(struct.pack("!H", len(reply)) + reply)
            head = self.rfile.read(2)


class UdpServer(socketserver.ThreadingUDPServer):
    allow_reuse_address, daemon_threads, max_packet_size = True, True, 4096


class TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True


class Dns:
    """with Dns(zone) as dns: dns.port. It can be stopped and started again on the same port."""

    def __init__(self, zone, address="127.0.0.1", port=0):
        self.zone, self.address, self.port, self.servers = zone, address, port, []

    def start(self):
        tcp = TcpServer((self.address, self.port), Tcp)
        self.port = tcp.server_address[1]
        self.servers = [tcp, UdpServer((self.address, self.port), Udp)]
        for server in self.servers:
            server.zone = self.zone
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()
        self.servers = []

    def resolv_conf(self, path):
        """Writes a resolv.conf file that names this server."""
        path.write_text(f"nameserver {self.address}{'' if self.port == 53 else f'@{self.port}'}\n")
        path.chmod(0o644)
        return path

    __enter__ = start

    def __exit__(self, *exc):
        self.stop()
