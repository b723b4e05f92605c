# SPDX-License-Identifier: Apache-2.0
"""What was accepted and what arrived, in files that the system under test cannot touch.

Keys are (id, recipient); ids begin with the name of the load that sent them.
"""

import collections
import zlib


class Ledger:
    def __init__(self, folder):
        self.folder = folder
        self.relayed_file = folder / "relayed"
        self.doubtful = []  # (from, to) of the monotonic clock, in ns: what was acknowledged then counts as unknown

    def accepted_file(self, load):
        """The ledger that the load of this name writes."""
        return self.folder / f"accepted-{load}"

    @staticmethod
    def rows(path):
        """(verdict, key, when) of each whole line; when is in ns of the monotonic clock."""
        if not path.exists():
            return
        with open(path, encoding="ascii", errors="replace") as f:
            for line in f:
                row = line.rstrip("\n").split("\t")
                if len(row) == 4:
                    yield row[0], (row[1], row[3]), int(row[2])

    def sent(self, load, verdict):
        """Keys with that verdict: `accepted` (the 250 was seen) or `unknown` (connection lost after the final dot)."""
        return {key for v, key, when in self.rows(self.accepted_file(load))
                if verdict == ("unknown" if self.in_doubt(when) else v)}

    def in_doubt(self, when):
        return any(begin <= when <= end for begin, end in self.doubtful)

    def arrived(self, vmail):
        """key -> how often, and the keys that came changed or cut: at the receiving servers (`relayed*`) and in the Maildirs."""
        count, bad = collections.Counter(), set()
        for ledger in self.folder.glob("relayed*"):
            for verdict, key, _ in self.rows(ledger):
                count[key] += 1
                if verdict != "ok":
                    bad.add(key)
        for path in vmail.glob("*/new/*"):
            key, whole = read_stamped(path.read_bytes())
            count[key] += 1
            if not whole:
                bad.add(key)
        return count, bad


def read_stamped(message):
    """(id, recipient) of a message as it lies in a mailbox, and whether its body has the sum that its stamp says."""
    head, _, body = message.partition(b"\n\n")
    fields = {name.strip().lower(): value.strip() for name, _, value in
              (line.partition(b":") for line in head.split(b"\n"))}
    stamp = fields.get(b"x-bench", b"- - - -").decode().split()
    recipient = fields.get(b"delivered-to", b"?").decode()
    whole = stamp[2:] == [f"{zlib.crc32(body):08x}", str(len(body))]
    return (stamp[0], recipient), whole
